/** The wall's faces without 3D: one canvas under all tiles, with a sketch of a face in each. */

import { type ReactElement, useEffect, useRef } from "react";
import type { GridCell } from "../../scene/AvatarGrid";
import { neutralPose } from "../../stream/pose";
import { drawSketch } from "./sketch";

const FRAME_MS = 1_000 / 30;

export function SketchGrid({ cells }: { readonly cells: readonly GridCell[] }): ReactElement {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const target = canvas.current;
    const context = target?.getContext("2d");
    if (target === null || context === null || context === undefined) return;
    const rest = neutralPose();
    const pose = neutralPose();
    const draw = (): void => {
      const box = target.getBoundingClientRect();
      const ratio = Math.min(2, window.devicePixelRatio);
      const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
      if (target.width !== width || target.height !== height) Object.assign(target, { width, height });
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      const style = getComputedStyle(target);
      const color = (name: string): string => style.getPropertyValue(name);
      const colors = { face: color("--track"), line: color("--ink"), mouth: color("--danger") };
      for (const { source, element } of cells) {
        const place = element.getBoundingClientRect();
        if (place.bottom < 0 || place.top > window.innerHeight) continue;
        const live = source?.sample(pose) === "live";
        const size = 0.34 * Math.min(place.width, place.height) * ratio;
        const x = (place.left + place.width / 2 - box.left) * ratio;
        const y = (place.top + place.height * 0.46 - box.top) * ratio;
        context.setTransform(size, 0, 0, size, x, y);
        drawSketch(context, live ? pose : rest, colors);
      }
    };
    const timer = setInterval(draw, FRAME_MS);
    return () => clearInterval(timer);
  }, [cells]);
  return (
    <div aria-hidden="true">
      <canvas ref={canvas} />
    </div>
  );
}
