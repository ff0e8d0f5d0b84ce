/**
 * Hair as a shell around the skull: where there is none, the shell lies under the skin, so the hairline is simply where
 * the two meet. A side parting, a swept fringe, strands as soft ridges.
 */

import { skin, smoothstep, type Vec3 } from "./headShape";
import { blendRgb, PALETTE } from "./palette";
import type { Surface } from "./surface";

const AROUND = 104;
const DOWN = 52;
const PART_X = -0.3;

export function buildHair(): Surface {
  const positions: number[] = [];
  const colors: number[] = [];
  const triangles: number[] = [];
  for (let i = 0; i <= DOWN; i += 1) {
    const polar = (Math.PI * 0.86 * i) / DOWN;
    for (let k = 0; k < AROUND; k += 1) {
      const turn = (2 * Math.PI * k) / AROUND;
      const way: Vec3 = [Math.sin(polar) * Math.sin(turn), Math.cos(polar), Math.sin(polar) * Math.cos(turn)];
      const [x, y, z] = skin(way);
      const { thickness, ridge } = strand(way);
      positions.push(x + way[0] * thickness, y + way[1] * thickness, z + way[2] * thickness);
      const shade = 0.5 + 0.5 * ridge;
      const color = blendRgb(PALETTE.hair, [0.42, 0.28, 0.4], 0.16 * shade + 0.12 * Math.max(0, way[1]));
      colors.push(...color);
      if (i === 0) continue;
      const a = (i - 1) * AROUND + k;
      const b = (i - 1) * AROUND + ((k + 1) % AROUND);
      triangles.push(a, a + AROUND, b, b, a + AROUND, b + AROUND);
    }
  }
  return {
    positions: Float32Array.from(positions),
    colors: Float32Array.from(colors),
    triangles: Uint32Array.from(triangles),
  };
}

function strand([x, y, z]: Vec3): { thickness: number; ridge: number } {
  const front = smoothstep(-0.15, 0.65, z);
  const side = smoothstep(0.45, 0.9, Math.abs(x));
  // The hairline's height in front (a fringe swept from the parting), at the temples and at the nape.
  const sweep =
    0.13 * (x - PART_X) ** 2 -
    0.16 * smoothstep(PART_X, 0.75, x) +
    0.05 * Math.exp(-(((x - PART_X) / 0.13) ** 2));
  const frontLine = 0.6 + sweep;
  const templeLine = 0.02;
  const napeLine = -0.62;
  const sideLine = frontLine + (templeLine - frontLine) * side;
  const line = sideLine * front + napeLine * (1 - front);
  const grown = smoothstep(line - 0.04, line + 0.2, y);
  const angle = Math.atan2(x - PART_X, z + 0.4 + 0.6 * y);
  const ridge = Math.sin(angle * 17 + 3 * y) * 0.6 + Math.sin(angle * 29 - 2 * y + 1) * 0.4;
  const parting = 1 - 0.5 * Math.exp(-(((x - PART_X) / 0.05) ** 2)) * smoothstep(-0.3, 0.3, z);
  const fringe =
    0.05 * Math.exp(-(((y - line - 0.12) / 0.16) ** 2)) * front * smoothstep(PART_X - 0.1, 0.3, x);
  const body = 0.135 * parting + 0.03 * smoothstep(0.3, 1, y) + fringe + 0.011 * ridge;
  return { thickness: -0.1 + grown * (0.1 + body), ridge };
}
