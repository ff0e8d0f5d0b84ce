/** Ears, neck and the jumper's shoulders. */

import { emptyMesh, gridTriangles, type Mesh } from "./mesh";
import { blendRgb, PALETTE } from "./palette";
import { bell, mix, scale, smoothstep, type Vec3 } from "./shape";

/** @param side 1: the subject's left ear, -1: right */
export function buildEar(side: number, rings: number, around: number): Mesh {
  const mesh = emptyMesh("Ear");
  const middle: Vec3 = [0.915, -0.07, -0.06];
  // A dish: its rim rolls outwards (the helix), its middle lies deep, its lower end is the lobe.
  for (let r = 0; r <= rings; r += 1) {
    const share = r / rings;
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      const up = Math.sin(turn);
      const lobe = smoothstep(-0.2, -1, up);
      const radiusY = 0.235 * share;
      const radiusZ = (0.155 - 0.04 * lobe) * share;
      const front = smoothstep(0.2, 1, Math.cos(turn));
      const rim = 0.052 * bell(share - 0.78, 0, 0.2) * (1 - 0.75 * front) * (1 - 0.45 * lobe);
      const inner = 0.02 * bell(share - 0.42, 0, 0.12) * (1 - front);
      const behind = -0.11 * smoothstep(0.86, 1, share) * (1 - front) - 0.02 * front;
      const out = rim + inner + behind + 0.035 * (1 - front) * smoothstep(0, 0.8, share);
      const z = Math.cos(turn) * radiusZ;
      const y = up * radiusY;
      mesh.positions.push([
        side * (middle[0] + out - 0.75 * Math.min(0, z) - 0.02),
        middle[1] + y + 0.12 * -z,
        middle[2] + z + 0.12 * y,
      ]);
      const dark = 0.55 * bell(share, 0, 0.42) + 0.25 * bell(share - 0.58, 0, 0.09) * (1 - front);
      mesh.colors.push(
        blendRgb(blendRgb(PALETTE.skin, PALETTE.blush, 0.4 * smoothstep(0.4, 1, share)), PALETTE.shade, dark),
      );
    }
  }
  mesh.triangles.push(...gridTriangles(0, rings + 1, around, true, side > 0));
  return mesh;
}

/** Heights between which the neck bends: below it stands with the body, above it turns with the head. */
export const NECK = { top: -0.72, bottom: -1.3 } as const;

export function buildNeck(rows: number, around: number): Mesh {
  const mesh = emptyMesh("Neck");
  for (let r = 0; r <= rows; r += 1) {
    const t = r / rows;
    const y = mix(-0.45, -1.6, t);
    const radius = 0.315 + 0.07 * smoothstep(0.55, 1, t) + 0.02 * smoothstep(0.4, 0, t);
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      mesh.positions.push([radius * Math.sin(turn), y, -0.13 - 0.05 * t + 0.92 * radius * Math.cos(turn)]);
      const shade = 0.55 * smoothstep(0.6, 0.1, t);
      mesh.colors.push(blendRgb(PALETTE.skin, PALETTE.shade, shade));
    }
  }
  mesh.triangles.push(...gridTriangles(0, rows + 1, around, true, true));
  mesh.triangles.forEach((_, i) => {
    if (i % 3 === 0)
      [mesh.triangles[i + 1], mesh.triangles[i + 2]] = [
        mesh.triangles[i + 2] as number,
        mesh.triangles[i + 1] as number,
      ];
  });
  return mesh;
}

/** The jumper: soft shoulders, and a ribbed collar. */
export function buildBody(rows: number, around: number): Mesh {
  const mesh = emptyMesh("Body");
  const profile: readonly (readonly [y: number, x: number, z: number])[] = [
    [-1.2, 0.36, 0.34],
    [-1.245, 0.44, 0.4],
    [-1.3, 0.58, 0.44],
    [-1.385, 0.78, 0.48],
    [-1.5, 0.96, 0.51],
    [-1.68, 1.08, 0.53],
    [-2.0, 1.14, 0.56],
    [-2.5, 1.15, 0.57],
    [-3.1, 1.12, 0.57],
  ];
  for (let r = 0; r <= rows; r += 1) {
    const at = (r / rows) * (profile.length - 1);
    const [y, rx, rz] = [0, 1, 2].map((axis) =>
      curve(
        profile.map((p) => p[axis as 0 | 1 | 2]),
        at,
      ),
    ) as [number, number, number];
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      const [sin, cos] = [Math.sin(turn), Math.cos(turn)];
      // Rounder than an ellipse at the arms.
      const square = (Math.abs(sin) ** 2.5 + Math.abs(cos) ** 2.5) ** (-1 / 2.5);
      mesh.positions.push([rx * sin * square, y, -0.16 + rz * cos * square]);
      mesh.colors.push(blendRgb(PALETTE.jumper, PALETTE.jumperShade, smoothstep(-1.5, -2.6, y) * 0.8));
    }
  }
  mesh.triangles.push(...gridTriangles(0, rows + 1, around, true));
  const first = mesh.positions.length;
  const tube = 8;
  const ribs = around * 2;
  for (let s = 0; s < ribs; s += 1) {
    const turn = (2 * Math.PI * s) / ribs;
    for (let k = 0; k < tube; k += 1) {
      const angle = (2 * Math.PI * k) / tube;
      const rib = s % 2 === 0 ? 0.012 : 0;
      const radius = 0.405 + (0.058 + rib) * Math.cos(angle);
      mesh.positions.push([
        radius * Math.sin(turn),
        -1.215 + 0.1 * Math.sin(angle) - 0.045 * Math.cos(turn) + 0.03,
        -0.16 + 0.93 * radius * Math.cos(turn),
      ]);
      mesh.colors.push(scale(s % 2 === 0 ? 1 : 0.86, PALETTE.collar));
    }
  }
  const collar = gridTriangles(0, ribs, tube, true, true).map((index) => index + first);
  mesh.triangles.push(...collar);
  for (let k = 0; k < tube; k += 1) {
    const a = first + (ribs - 1) * tube + k;
    const b = first + (ribs - 1) * tube + ((k + 1) % tube);
    const [c, d] = [first + k, first + ((k + 1) % tube)];
    mesh.triangles.push(a, b, c, b, d, c);
  }
  return mesh;
}

/** A smooth curve (Catmull-Rom) through values at 0, 1, 2, … */
export function curve(values: readonly number[], at: number): number {
  const last = values.length - 1;
  const i = Math.min(last - 1, Math.max(0, Math.floor(at)));
  const t = at - i;
  const value = (index: number): number => {
    if (index < 0) return 2 * (values[0] as number) - (values[1] as number);
    if (index > last) return 2 * (values[last] as number) - (values[last - 1] as number);
    return values[index] as number;
  };
  const [a, b, c, d] = [value(i - 1), value(i), value(i + 1), value(i + 2)] as [
    number,
    number,
    number,
    number,
  ];
  return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
}
