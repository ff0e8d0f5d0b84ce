/** One or two replayed avatars on one canvas, drawn anew only when what they show changes. */

import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import type { ReplaySource } from "../../analyst/replaySource";
import { askGraphics } from "../../scene/graphics";
import { GridRenderer } from "../../scene/gridRenderer";
import { useTheme } from "../../scene/useTheme";

export interface Side {
  readonly key: string;
  /** Null: it is being made, or cannot be. */
  readonly source: ReplaySource | null;
  /** What stands over it. */
  readonly title: string;
  readonly note: string | null;
}

export function ReplayStage({ sides }: { readonly sides: readonly Side[] }): ReactElement {
  const theme = useTheme();
  const canvas = useRef<HTMLCanvasElement>(null);
  const stage = useRef<HTMLDivElement>(null);
  const places = useRef(new Map<string, HTMLElement>());
  const [flat, setFlat] = useState(false);
  const now = useRef(sides);
  now.current = sides;
  const graphics = useMemo(askGraphics, []);
  useEffect(() => {
    if (canvas.current === null || stage.current === null) return;
    const box = stage.current;
    let renderer: GridRenderer;
    try {
      renderer = new GridRenderer(canvas.current, {
        theme,
        antialias: !graphics.software,
        ratio: graphics.software ? 1 : Math.min(2, window.devicePixelRatio),
      });
    } catch {
      setFlat(true);
      return;
    }
    let loaded = false;
    renderer.loaded.then(
      () => {
        loaded = true;
      },
      () => setFlat(true),
    );
    let drawn = "";
    let frame = requestAnimationFrame(function look() {
      frame = requestAnimationFrame(look);
      if (!loaded) return;
      const shown = now.current.map(({ key, source }) => `${key}=${source?.frame ?? "none"}`).join(" ");
      const { top } = box.getBoundingClientRect();
      const wanted = `${shown} ${box.clientWidth}x${box.clientHeight} ${top < innerHeight}`;
      if (wanted === drawn) return;
      drawn = wanted;
      renderer.setCells(
        now.current.flatMap(({ key, source }) => {
          const element = places.current.get(key);
          return element === undefined ? [] : [{ key, source, element }];
        }),
      );
      renderer.draw(0);
      // What has been drawn, for whoever looks from outside.
      box.dataset.shown = now.current.map(({ source }) => source?.shown ?? "none").join(" ");
    });
    return () => {
      cancelAnimationFrame(frame);
      renderer.dispose();
    };
  }, [theme, graphics]);
  return (
    <div ref={stage} className="stage replay-stage" data-testid="replay-stage" data-sides={sides.length}>
      <div className="wall-canvas" aria-hidden="true">
        <canvas ref={canvas} />
      </div>
      {flat && (
        <p className="stage-none">This browser cannot draw in 3D (WebGL 2), so the avatar is not shown.</p>
      )}
      <div className="replay-sides">
        {sides.map(({ key, title, note }) => (
          <div
            key={key}
            className="replay-side"
            ref={(element) => {
              if (element === null) places.current.delete(key);
              else places.current.set(key, element);
            }}
          >
            <p className="pill replay-title">{title}</p>
            {note !== null && (
              <p className="pill replay-note" role="status">
                {note}
              </p>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}
