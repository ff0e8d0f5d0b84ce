/**
 * The face's skin: rings around the slit of the mouth, which grow from lips to the whole head, as in a hand-made face
 * mesh. The rings are confocal ellipses in the stereographic plane around the mouth, so upper and lower lip meet in the
 * slit without sharing vertices. Behind the slit, more rings make the inside of the mouth.
 */

import type { FacePoint } from "./displacements";
import { bell, EYE, MOUTH, skin, skinFront, smoothstep, type Vec3 } from "./headShape";
import { blendRgb, PALETTE, type Rgb } from "./palette";
import type { Surface } from "./surface";

const SEGMENTS = 112;
const RINGS = 60;
/** Half the slit in the stereographic plane; the last ring lies near the opposite pole. */
const FOCUS = 0.31;
const LAST_RING = 5.3;
const LIP_EDGE = 0.25;
const INSIDE_RINGS = 6;
const INSIDE_DEPTH = 0.34;

export interface FaceMesh {
  readonly surface: Surface;
  readonly points: readonly FacePoint[];
}

export function buildFace(): FaceMesh {
  const points: FacePoint[] = [];
  const colors: number[] = [];
  const ring = (index: number): void => {
    for (let s = 0; s < SEGMENTS; s += 1) {
      const angle = (2 * Math.PI * s) / SEGMENTS;
      const point = index < 0 ? inside(-index, angle) : outside(ringAt(index), angle);
      points.push(point);
      colors.push(...(index < 0 ? insideColor(-index) : skinColor(point)));
    }
  };
  for (let index = -INSIDE_RINGS; index <= RINGS; index += 1) ring(index);
  const rings = INSIDE_RINGS + 1 + RINGS;
  const triangles: number[] = [];
  for (let r = 0; r + 1 < rings; r += 1) {
    for (let s = 0; s < SEGMENTS; s += 1) {
      const next = (s + 1) % SEGMENTS;
      const a = r * SEGMENTS + s;
      const b = r * SEGMENTS + next;
      triangles.push(a, a + SEGMENTS, b, b, a + SEGMENTS, b + SEGMENTS);
    }
  }
  close(points, colors, triangles, 0, PALETTE.throat, true);
  close(points, colors, triangles, (rings - 1) * SEGMENTS, PALETTE.skin, false);
  return {
    points,
    surface: {
      positions: Float32Array.from(points.flatMap(({ x, y, z }) => [x, y, z])),
      colors: Float32Array.from(colors),
      triangles: Uint32Array.from(triangles),
    },
  };
}

/** Finer near the lips. */
function ringAt(index: number): number {
  const t = index / RINGS;
  return LAST_RING * (0.34 * t + 0.66 * t * t);
}

const mouthDirection = skinFront(0, MOUTH.y).direction;

/** From the stereographic plane around the mouth's direction to the unit sphere. */
function direction(u: number, v: number): Vec3 {
  const radius = Math.hypot(u, v);
  const angle = 2 * Math.atan(radius / 2);
  const share = radius === 0 ? 0 : Math.sin(angle) / radius;
  const [, my, mz] = mouthDirection;
  // The plane's axes at the mouth: x, and up along the sphere.
  const along = Math.cos(angle);
  return [u * share, my * along + mz * v * share, mz * along - my * v * share];
}

function outside(ring: number, angle: number): FacePoint {
  const above = Math.sin(angle);
  const u = FOCUS * Math.cosh(ring) * Math.cos(angle);
  const v = FOCUS * Math.sinh(ring) * above;
  const way = direction(u, v);
  const [x, y, z] = skin(way);
  const across = ring / LIP_EDGE;
  const profile = across >= 1 ? 0 : Math.sin(Math.PI * across ** 0.8) * (0.3 + 0.7 * Math.abs(above) ** 0.7);
  const fullness = (above < 0 ? 0.042 : 0.03) * profile;
  const crease = 0.02 * bell(across, 0, 0.35, 1);
  const out = fullness - crease;
  // The resting mouth smiles a little: its corners stand higher than its middle.
  const curve = 0.03 * (x / MOUTH.halfWidth) ** 2 * bell(x, y - MOUTH.y, 0.36, 0.16);
  return {
    x: x + way[0] * out,
    y: y + way[1] * out + curve,
    z: z + way[2] * out,
    ring,
    above,
    part: "skin",
  };
}

function inside(depth: number, angle: number): FacePoint {
  const slit = outside(0, angle);
  const share = depth / INSIDE_RINGS;
  const height = 0.16 * Math.sin((Math.PI / 2) * share);
  return {
    ...slit,
    x: slit.x * (1 - 0.15 * share),
    y: slit.y + slit.above * height,
    z: slit.z - INSIDE_DEPTH * share,
    ring: -share,
  };
}

/** Closes the first or last ring with a fan around its middle. */
function close(
  points: FacePoint[],
  colors: number[],
  triangles: number[],
  first: number,
  color: Rgb,
  inwards: boolean,
): void {
  const ring = points.slice(first, first + SEGMENTS);
  const mean = (of: (point: FacePoint) => number): number =>
    ring.reduce((sum, p) => sum + of(p), 0) / ring.length;
  const center = points.length;
  points.push({
    x: mean((p) => p.x),
    y: mean((p) => p.y),
    z: mean((p) => p.z),
    ring: ring[0]?.ring ?? 0,
    above: 0,
    part: "skin",
  });
  colors.push(...color);
  for (let s = 0; s < SEGMENTS; s += 1) {
    const a = first + s;
    const b = first + ((s + 1) % SEGMENTS);
    if (inwards) triangles.push(center, a, b);
    else triangles.push(center, b, a);
  }
}

const insideColor = (depth: number): Rgb =>
  blendRgb(PALETTE.mouth, PALETTE.throat, smoothstep(0, INSIDE_RINGS, depth));

function skinColor({ x, y, z, ring, above }: FacePoint): Rgb {
  const front = smoothstep(0.1, 0.5, z);
  let color: Rgb = PALETTE.skin;
  const cheeks = bell(Math.abs(x) - 0.47, y + 0.28, 0.2, 0.15);
  const nose = bell(x, y + 0.2, 0.12, 0.1);
  color = blendRgb(color, PALETTE.blush, front * Math.min(0.5, 0.42 * cheeks + 0.25 * nose));
  // Lids lie in a little shade.
  const socket = bell(Math.abs(x) - EYE.x, y - EYE.y - 0.04, 0.21, 0.2);
  color = blendRgb(color, PALETTE.blush, front * 0.16 * socket);
  const lip = 1 - smoothstep(LIP_EDGE * 0.8, LIP_EDGE * 1.15, ring + 0.03 * (1 - Math.abs(above)));
  return blendRgb(color, PALETTE.lips, 0.85 * lip);
}
