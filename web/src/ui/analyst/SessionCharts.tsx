import { type ReactElement, useEffect, useMemo, useState } from "react";
import type { SessionEvents } from "../../analyst/answers";
import { type Playhead, TICKS_A_SECOND } from "../../analyst/playhead";
import { type Lines, nearest } from "../../analyst/series";
import { differences, joined, type Ticks } from "../../analyst/ticks";
import type { Track } from "../../analyst/track";
import { EMOTIONS } from "../../protocol/vocabulary";
import { Store } from "../../stream/store";
import { emotionWord } from "../emotionColors";
import { type Axis, elapsedWord } from "./axes";
import { Chart, type ChartLine, type Shared } from "./Chart";
import { toldWord } from "./words";

const TIME: Axis = { kind: "elapsed", label: "Time" };
const SHARE = [0, 1] as const;
const SIGNED = [-1, 1] as const;

interface SessionChartsProps {
  readonly playhead: Playhead;
  readonly lines: Lines;
  readonly stride: number;
  readonly events: SessionEvents | null;
  /** The two sides, when they are compared. */
  readonly compared: readonly Track[] | null;
}

/** The session along time, in step with its replay. */
export function SessionCharts({
  playhead,
  lines,
  stride,
  events,
  compared,
}: SessionChartsProps): ReactElement {
  const shared = useShared(playhead);
  const drawn = useMemo(() => drawnOf(lines), [lines]);
  const onPick = (seconds: number): void => {
    playhead.pause();
    playhead.seek(lines.sequences[nearest(lines.seconds, seconds)] ?? playhead.first);
  };
  const chart = (
    title: string,
    hint: string,
    shown: readonly ChartLine[],
    range?: readonly [number, number],
    unit = "",
  ): ReactElement => (
    <Chart
      title={title}
      hint={hint}
      axis={TIME}
      xs={lines.seconds}
      lines={shown}
      shared={shared}
      unit={unit}
      onPick={onPick}
      {...(range === undefined ? {} : { range })}
    />
  );
  return (
    <section className="session-charts" aria-label="Along time">
      <p className="hint">
        Click to go to a tick, drag to look closer, double-click to see all.
        {stride > 1 && ` Of this long session every ${stride}th tick is drawn; the replay has them all.`}
      </p>
      {compared !== null && <Differences tracks={compared} shared={shared} onPick={onPick} />}
      {chart("Emotions", "Scores, 0 to 1", drawn.emotions, SHARE)}
      {chart("Valence and arousal", "-1 to 1", drawn.affect, SIGNED)}
      {chart(
        "Voice and weights",
        "Speaking probability, and how much each side weighs",
        drawn.weights,
        SHARE,
      )}
      {chart("Latency", "From capture to the fused frame", drawn.latency, undefined, "ms")}
      {events !== null && <Events events={events} lines={lines} playhead={playhead} />}
    </section>
  );
}

function drawnOf(lines: Lines): Readonly<Record<"emotions" | "affect" | "weights" | "latency", ChartLine[]>> {
  return {
    emotions: EMOTIONS.map((name, i) => ({
      label: emotionWord[name],
      color: name,
      values: lines.emotions[i] ?? [],
    })),
    affect: [
      { label: "Valence", color: "accent", values: lines.valence },
      { label: "Arousal", color: "angry", values: lines.arousal },
    ],
    weights: [
      { label: "Speaking", color: "happy", values: lines.speaking },
      { label: "Face weighs", color: "accent", values: lines.faceWeight },
      { label: "Voice weighs", color: "fear", values: lines.speechWeight },
    ],
    latency: [
      { label: "Face", color: "accent", values: lines.faceMs },
      { label: "Voice", color: "fear", values: lines.speechMs },
    ],
  };
}

let made = 0;

function useShared(playhead: Playhead): Shared {
  const shared = useMemo((): Shared => {
    made += 1;
    return { name: `session-${made}`, zoom: new Store(null), playhead: new Store(0) };
  }, []);
  useEffect(() => {
    const place = (): void =>
      shared.playhead.set((playhead.position.get().sequence - playhead.first) / TICKS_A_SECOND);
    place();
    return playhead.position.subscribe(place);
  }, [playhead, shared]);
  return shared;
}

interface DifferencesProps {
  readonly tracks: readonly Track[];
  readonly shared: Shared;
  readonly onPick: (seconds: number) => void;
}

/** How far the two sides' faces lie apart, tick by tick. */
function Differences({ tracks, shared, onPick }: DifferencesProps): ReactElement {
  const [share, setShare] = useState(0);
  const [sides, setSides] = useState<readonly Ticks[] | null>(null);
  const [trouble, setTrouble] = useState(false);
  const [left, right] = tracks;
  useEffect(() => {
    let over = false;
    setSides(null);
    setTrouble(false);
    Promise.all([left, right].map((track) => track?.all((part) => !over && setShare(part)))).then(
      (found) => {
        if (!over) setSides(found.flatMap((ticks) => (ticks === undefined ? [] : [joined([ticks])])));
      },
      () => {
        if (!over) setTrouble(true);
      },
    );
    return () => {
      over = true;
    };
  }, [left, right]);
  const drawn = useMemo(() => {
    const [ours, theirs] = sides ?? [];
    if (ours === undefined || theirs === undefined) return null;
    const origin = ours.atUs[0] ?? 0;
    const values = differences(ours, theirs);
    return { seconds: Array.from(ours.atUs, (at) => (at - origin) / 1e6), values };
  }, [sides]);
  if (drawn === null) {
    return (
      <p className="panel hint" role="status">
        {trouble
          ? "Not all ticks could be had, so the difference along time is not shown."
          : `Comparing tick by tick… ${Math.round(100 * share)} %`}
      </p>
    );
  }
  const known = drawn.values.filter((value) => value !== null);
  const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
  return (
    <Chart
      title="Difference"
      hint={`Mean absolute difference of the 52 blendshapes, 0 to 1; over the session ${mean.toFixed(4)}`}
      axis={TIME}
      xs={drawn.seconds}
      lines={[{ label: "Difference", color: "danger", values: drawn.values, filled: true }]}
      shared={shared}
      onPick={onPick}
    />
  );
}

interface EventsProps {
  readonly events: SessionEvents;
  readonly lines: Lines;
  readonly playhead: Playhead;
}

/** What clients did and where ticks are missing; each leads to its tick. */
function Events({ events: { events, gaps }, lines, playhead }: EventsProps): ReactElement | null {
  const first = lines.originMs;
  const rows = [
    ...events.map(({ kind, at_ms, value, felt }) => ({
      atMs: at_ms,
      word: toldWord(kind, value, felt ?? null),
    })),
    ...gaps.map(({ from_ms, ticks, flagged }) => ({
      atMs: from_ms,
      word: `${ticks} ticks missing${flagged ? "" : ", not flagged"}`,
    })),
  ].sort((a, b) => a.atMs - b.atMs);
  if (rows.length === 0) return null;
  return (
    <section className="panel" data-testid="events">
      <h2>What happened</h2>
      <ul className="events">
        {rows.map(({ atMs, word }, i) => {
          const seconds = (atMs - first) / 1_000;
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: several may happen in one millisecond
            <li key={`${atMs} ${i}`}>
              <button
                type="button"
                className="table-pick"
                onClick={() => {
                  playhead.pause();
                  playhead.seek(lines.sequences[nearest(lines.seconds, seconds)] ?? playhead.first);
                }}
              >
                <span className="events-at">{elapsedWord(seconds, 0)}</span> {word}
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
