/** A chart by uPlot: lines, areas or bars over one axis, in the page's colours. Frame-rate state stays outside React. */

import { type ReactElement, type ReactNode, useEffect, useId, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { nearest } from "../../analyst/series";
import { useTheme } from "../../scene/useTheme";
import type { Store } from "../../stream/store";
import { type Axis, axisValues, valueWord } from "./axes";

export interface ChartLine {
  readonly label: string;
  /** A custom property of the style sheet, without its dashes. */
  readonly color: string;
  readonly values: readonly (number | null)[];
  /** What is told in words, where the drawn value is another: a bar that stands on others. */
  readonly own?: readonly (number | null)[];
  readonly as?: "line" | "bars" | "steps";
  readonly dashed?: boolean;
  readonly filled?: boolean;
}

/** What charts of the same time share. */
export interface Shared {
  /** Charts of one name show the cursor together. */
  readonly name: string;
  /** The stretch of the axis that is shown; null: all. */
  readonly zoom: Store<readonly [number, number] | null>;
  /** Where the replay stands on the axis. */
  readonly playhead: Store<number>;
}

interface ChartProps {
  readonly title: string;
  /** Under the title: what is drawn, in which unit. */
  readonly hint?: ReactNode;
  readonly axis: Axis;
  readonly xs: readonly number[];
  readonly lines: readonly ChartLine[];
  /** How far the value axis goes; left out: as far as the values. */
  readonly range?: readonly [number, number];
  /** Values as people read them. */
  readonly unit?: string;
  readonly height?: number;
  readonly shared?: Shared;
  /** Told where on the axis somebody clicked. */
  readonly onPick?: (x: number) => void;
}

const HEIGHT = 180;
const uPlotBars = uPlot.paths.bars;
const uPlotSteps = uPlot.paths.stepped;

export function Chart(props: ChartProps): ReactElement {
  const { title, hint, lines, xs } = props;
  const titleId = useId();
  const theme = useTheme();
  const box = useRef<HTMLDivElement>(null);
  const pick = useRef(props.onPick);
  pick.current = props.onPick;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme's colours are read from the page
  useEffect(() => {
    if (box.current === null || xs.length === 0) return;
    return draw(box.current, props, (x) => pick.current?.(x));
  }, [xs, lines, props.axis, props.range, props.shared, props.unit, props.height, theme]);
  return (
    <figure className="chart panel" aria-labelledby={titleId} data-testid="chart" data-points={xs.length}>
      <figcaption>
        <h3 id={titleId}>{title}</h3>
        {hint !== undefined && <p className="hint">{hint}</p>}
      </figcaption>
      {xs.length === 0 ? (
        <p className="chart-none" style={{ minHeight: props.height ?? HEIGHT }}>
          Nothing in this period
        </p>
      ) : (
        <div ref={box} className="chart-box" style={{ minHeight: props.height ?? HEIGHT }} />
      )}
    </figure>
  );
}

function draw(box: HTMLDivElement, props: ChartProps, onPick: (x: number) => void): () => void {
  const { shared, axis, lines, unit = "", height = HEIGHT } = props;
  const style = getComputedStyle(box);
  const color = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  const grid = { stroke: color("line"), width: 1 };
  const began = performance.now();
  const options: uPlot.Options = {
    width: Math.max(160, box.clientWidth),
    height,
    padding: [8, 8, 0, 0],
    cursor: {
      y: false,
      points: { size: 6 },
      drag: { x: true, y: false, setScale: shared === undefined },
      ...(shared === undefined ? {} : { sync: { key: shared.name, setSeries: false } }),
    },
    legend: { live: true },
    scales: {
      x: { time: false, ...axisRange(props) },
      y: props.range === undefined ? {} : { range: [...props.range] as [number, number] },
    },
    axes: [
      {
        stroke: color("soft"),
        grid: { show: false },
        ticks: grid,
        font: FONT,
        size: 30,
        space: axis.kind === "clock" ? 96 : 64,
        values: (u, splits) => axisValues(axis, splits, u.scales.x?.min ?? 0, u.scales.x?.max ?? 0),
        ...(axis.kind === "words"
          ? { splits: (u) => placesOf(axis.words, u.bbox.width / devicePixelRatio) }
          : {}),
      },
      { stroke: color("soft"), grid, ticks: { show: false }, font: FONT, size: 46 },
    ],
    series: [
      { label: axis.label, value: (_, x) => (x === null ? "–" : (axisValues(axis, [x], x, x)[0] ?? "")) },
      ...lines.map(
        ({
          label,
          color: name,
          values,
          own = values,
          as = "line",
          dashed = false,
          filled = false,
        }): uPlot.Series => ({
          label,
          stroke: color(name),
          width: as === "bars" ? 0 : 1.5,
          points: as === "line" ? { size: 4 } : { show: false },
          value: (_, __, ___, place) => valueWord(place === null ? null : own[place], unit),
          ...(dashed ? { dash: [5, 4] } : {}),
          ...(filled || as === "bars" ? { fill: filled ? `${color(name)}33` : color(name) } : {}),
          ...(as === "bars" && uPlotBars ? { paths: uPlotBars({ size: [0.85, 64, 3], gap: 1 }) } : {}),
          ...(as === "steps" && uPlotSteps ? { paths: uPlotSteps({ align: 1 }) } : {}),
        }),
      ),
    ],
  };
  // Only this chart's own work counts: uPlot draws in a microtask, after others may have been made.
  const spent = { made: 0, drawing: 0 };
  options.hooks = {
    drawClear: [
      () => {
        spent.drawing = performance.now();
      },
    ],
    draw: [
      () => {
        box.dataset.drawnMs = (spent.made + performance.now() - spent.drawing).toFixed(1);
      },
    ],
  };
  const data = [props.xs, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData;
  const plot = new uPlot(options, data, box);
  spent.made = performance.now() - began;
  const resize = new ResizeObserver(() => {
    const width = Math.max(160, box.clientWidth);
    if (width !== plot.width) plot.setSize({ width, height });
  });
  resize.observe(box);
  plot.over.addEventListener("click", () => {
    const { left } = plot.cursor;
    if (left !== undefined && left !== null && left >= 0) onPick(plot.posToVal(left, "x"));
  });
  const unshare = shared === undefined ? () => undefined : share(plot, shared, props.xs);
  return () => {
    unshare();
    resize.disconnect();
    plot.destroy();
  };
}

/** Places of the words for which there is room, side by side. */
function placesOf(words: readonly string[], width: number): number[] {
  const longest = Math.max(...words.map(({ length }) => length)) * 6.5 + 14;
  const every = Math.max(1, Math.ceil((longest * words.length) / Math.max(1, width)));
  return words.map((_, i) => i).filter((i) => i % every === 0);
}

const FONT = "12px ui-sans-serif, system-ui, sans-serif";

function axisRange({ axis, xs, lines }: ChartProps): Pick<uPlot.Scale, "range"> {
  const wide = lines.some(({ as }) => as === "bars");
  if (!wide) return {};
  // Half a bar of room at both ends.
  const step = xs.length > 1 ? Math.min(...xs.slice(1).map((x, i) => x - (xs[i] as number))) : 1;
  const room = axis.kind === "words" ? 0.6 : step * 0.6;
  return { range: (_, low, high) => [low - room, high + room] };
}

/** Ties a chart to the others of its time: what is zoomed into, and where the replay stands. */
function share(plot: uPlot, { zoom, playhead }: Shared, xs: readonly number[]): () => void {
  const line = document.createElement("div");
  line.className = "chart-playhead";
  plot.over.append(line);
  const place = (): void => {
    const left = plot.valToPos(playhead.get(), "x");
    line.hidden = !Number.isFinite(left) || left < -1 || left > plot.over.clientWidth + 1;
    line.style.transform = `translateX(${left}px)`;
    // Where nobody points at anything, the words below tell of the tick that is shown.
    if ((plot.cursor.left ?? -1) < 0) plot.setLegend({ idx: nearest(xs, playhead.get()) }, false);
  };
  const applyZoom = (): void => {
    const [min, max] = zoom.get() ?? [xs[0] as number, xs.at(-1) as number];
    plot.setScale("x", { min, max });
  };
  plot.hooks.setSelect = [
    (u) => {
      const { left, width } = u.select;
      if (width < 4) return;
      u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      zoom.set([u.posToVal(left, "x"), u.posToVal(left + width, "x")]);
    },
  ];
  plot.hooks.setScale = [() => queueMicrotask(place)];
  plot.hooks.setSize = [() => queueMicrotask(place)];
  const whole = (): void => zoom.set(null);
  plot.over.addEventListener("dblclick", whole);
  const unwatch = [playhead.subscribe(place), zoom.subscribe(applyZoom)];
  if (zoom.get() !== null) applyZoom();
  queueMicrotask(place);
  return () => {
    for (const end of unwatch) end();
  };
}
