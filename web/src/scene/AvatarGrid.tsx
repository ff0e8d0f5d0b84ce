/** Many avatars in one canvas: put it first into a box of `position: relative`, and lay cells out by CSS. */

import { type ReactElement, useEffect, useRef } from "react";
import { askGraphics } from "./graphics";
import { type GridCell, GridRenderer } from "./gridRenderer";
import { useTheme } from "./useTheme";

export type { GridCell } from "./gridRenderer";

interface AvatarGridProps {
  /** Keep it the same while nothing changes. */
  readonly cells: readonly GridCell[];
  readonly framesPerSecond?: number;
  /** The avatars cannot be drawn: no WebGL 2, or no model. */
  readonly onTrouble?: (error: unknown) => void;
}

export function AvatarGrid({ cells, framesPerSecond = 30, onTrouble }: AvatarGridProps): ReactElement {
  const theme = useTheme();
  const canvas = useRef<HTMLCanvasElement>(null);
  const grid = useRef<GridRenderer | null>(null);
  const trouble = useRef(onTrouble);
  trouble.current = onTrouble;
  useEffect(() => {
    if (canvas.current === null) return;
    const { software } = askGraphics();
    let made: GridRenderer;
    try {
      made = new GridRenderer(canvas.current, {
        theme,
        antialias: !software,
        ratio: software ? 0.75 : Math.min(2, window.devicePixelRatio),
      });
    } catch (error) {
      trouble.current?.(error);
      return;
    }
    grid.current = made;
    made.loaded.catch((error: unknown) => trouble.current?.(error));
    let last = performance.now();
    let due = last;
    let frame = requestAnimationFrame(function tick(now) {
      frame = requestAnimationFrame(tick);
      // A frame that comes a little early still counts, so that 30 of 60 are drawn and not 20.
      if (now < due - 4) return;
      due = Math.max(due + 1_000 / framesPerSecond, now - 1_000 / framesPerSecond);
      made.draw((now - last) / 1_000);
      last = now;
    });
    return () => {
      cancelAnimationFrame(frame);
      grid.current = null;
      made.dispose();
    };
  }, [framesPerSecond, theme]);
  useEffect(() => {
    grid.current?.setCells(cells);
  });
  return (
    <div aria-hidden="true" style={FILL}>
      <canvas ref={canvas} style={{ width: "100%", height: "100%" }} />
    </div>
  );
}

const FILL = { position: "absolute", inset: 0, pointerEvents: "none" } as const;
