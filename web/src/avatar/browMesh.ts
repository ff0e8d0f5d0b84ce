/** A brow: a tapered tube along an arch that lies on the skin; it moves with the same fields as the skin. */

import type { FacePoint } from "./displacements";
import { BROW, skinFront, type Vec3 } from "./headShape";
import { PALETTE } from "./palette";
import type { Surface } from "./surface";

const ALONG = 20;
const AROUND = 8;
const HALF_HEIGHT = 0.036;
const HALF_DEPTH = 0.022;

/** @param side 1: the subject's left, -1: right */
export function buildBrow(side: number): { surface: Surface; points: FacePoint[] } {
  const points: FacePoint[] = [];
  const triangles: number[] = [];
  for (let i = 0; i <= ALONG; i += 1) {
    const t = i / ALONG;
    const [x, y, z] = spine(side, t);
    const taper = Math.max(0.02, Math.sin(Math.PI * (0.12 + 0.85 * t) ** 0.8) ** 0.6);
    for (let k = 0; k < AROUND; k += 1) {
      const angle = (2 * Math.PI * k) / AROUND;
      points.push({
        x,
        y: y + Math.cos(angle) * HALF_HEIGHT * taper,
        z: z + 0.012 + Math.sin(angle) * HALF_DEPTH * taper,
        ring: 9,
        above: 1,
        part: "brow",
      });
    }
  }
  for (let i = 0; i < ALONG; i += 1) {
    for (let k = 0; k < AROUND; k += 1) {
      const a = i * AROUND + k;
      const b = i * AROUND + ((k + 1) % AROUND);
      if (side < 0) triangles.push(a, a + AROUND, b, b, a + AROUND, b + AROUND);
      else triangles.push(a, b, a + AROUND, b, b + AROUND, a + AROUND);
    }
  }
  return {
    points,
    surface: {
      positions: Float32Array.from(points.flatMap(({ x, y, z }) => [x, y, z])),
      colors: Float32Array.from(points.flatMap(() => [...PALETTE.brow])),
      triangles: Uint32Array.from(triangles),
    },
  };
}

function spine(side: number, t: number): Vec3 {
  const x = side * (BROW.inner + (BROW.outer - BROW.inner) * t);
  const y = BROW.y - 0.045 + 0.085 * Math.sin(Math.PI * (0.12 + 0.72 * t)) - 0.03 * t * t;
  return skinFront(x, y).point;
}
