/**
 * The face's skin as one mesh: structured rings around the slit of the mouth and the openings of the eyes, as in a
 * hand-made face mesh, and a Delaunay triangulation between them. The plane that it is made in is the azimuthal
 * equidistant projection of the directions from the head's middle around straight ahead.
 */

import Delaunator from "delaunator";
import { aroundMouth, type FacePoint, lidEdge, lidFold } from "./facePoint";
import { gridTriangles, type Mesh } from "./mesh";
import { blendRgb, PALETTE, type Rgb } from "./palette";
import {
  bell,
  EYE,
  eyeDepth,
  front,
  liddedDepth,
  MOUTH,
  mix,
  NOSE,
  skin,
  skinFront,
  smoothstep,
  type Vec3,
} from "./shape";

/** How fine the mesh is. */
export interface Detail {
  readonly mouthSegments: number;
  readonly mouthRings: number;
  readonly mouthDepthRings: number;
  readonly lidSegments: number;
  readonly lidRings: number;
  /** Distance of free points in front, and on the nose. */
  readonly spacing: number;
  readonly noseSpacing: number;
}

export interface SkinMesh {
  readonly mesh: Mesh;
  /** One for each vertex. */
  readonly points: readonly FacePoint[];
  /** Vertices of the upper lids' edges, from the nose to the temple: lashes grow there. */
  readonly lashLines: readonly { readonly side: number; readonly vertices: readonly number[] }[];
}

/** The last mouth ring, and where lips end. */
const MOUTH_END = 0.64;
const MOUTH_INSIDE = 0.36;
const LIDS = { outerX: 0.3, outerY: 0.265 } as const;
/** The mesh ends at this angle from straight ahead, in radians: under the hair of the nape. */
const BACK = 2.5;

/** A growing mesh: vertices with their place in the plane. */
interface Draft {
  readonly points: FacePoint[];
  readonly plane: [u: number, v: number][];
  readonly triangles: number[];
}

export function buildSkin(detail: Detail): SkinMesh {
  const draft: Draft = { points: [], plane: [], triangles: [] };
  const outlines = [addMouth(draft, detail)];
  const lashLines = [];
  for (const side of [1, -1]) {
    const { outline, lashLine } = addLids(draft, detail, side);
    outlines.push(outline);
    lashLines.push({ side, vertices: lashLine });
  }
  const rim = addFreePoints(draft, detail, outlines);
  fill(draft, [...outlines.flat(), ...rim], outlines);
  const { points, triangles } = draft;
  return {
    points,
    lashLines,
    mesh: {
      name: "Face",
      positions: points.map(({ at }) => at),
      colors: points.map(skinColor),
      triangles,
      morphs: new Map(),
    },
  };
}

/** The lips' outer edge, as a ring, at a place around the mouth: a bow above, full below. */
export function lipEdge(above: number): number {
  if (above < 0) return 0.17 + 0.13 * Math.abs(above) ** 1.2;
  const bow = 0.035 * Math.exp(-(((1 - above) / 0.03) ** 2));
  return 0.16 + 0.09 * above ** 1.1 - bow;
}

function addMouth(draft: Draft, detail: Detail): number[] {
  const { mouthSegments: segments, mouthRings: rings, mouthDepthRings: deep } = detail;
  const first = draft.points.length;
  for (let index = -deep; index <= rings; index += 1) {
    for (let s = 0; s < segments; s += 1) {
      const angle = (2 * Math.PI * s) / segments;
      const ring = index <= 0 ? 0 : MOUTH_END * (0.55 * (index / rings) + 0.45 * (index / rings) ** 2);
      const point = lipPoint(ring, angle);
      place(draft, index < 0 ? insideMouth(point, -index / deep) : point);
    }
  }
  draft.triangles.push(...gridTriangles(first, deep + 1 + rings, segments, true));
  // The throat closes the inside.
  const throat = draft.points.length;
  const deepest = draft.points.slice(first, first + segments);
  const mean = (axis: 0 | 1 | 2): number => deepest.reduce((sum, { at }) => sum + at[axis], 0) / segments;
  place(draft, { ...(deepest[0] as FacePoint), at: [mean(0), mean(1), mean(2)], above: 0 });
  for (let s = 0; s < segments; s += 1) {
    draft.triangles.push(throat, first + s, first + ((s + 1) % segments));
  }
  return Array.from({ length: segments }, (_, s) => first + (deep + rings) * segments + s);
}

function lipPoint(ring: number, angle: number): FacePoint {
  const above = Math.sin(angle);
  const x = MOUTH.halfWidth * Math.cosh(ring) * Math.cos(angle);
  const y = MOUTH.y + MOUTH.halfWidth * Math.sinh(ring) * above;
  const [, , z] = skinFront(x, y);
  const across = ring / lipEdge(above);
  const profile = across >= 1 ? 0 : Math.sin(Math.PI * across ** 0.75) * Math.abs(above) ** 0.55;
  const fullness = (above < 0 ? 0.04 : 0.03) * profile;
  // Lips turn inwards where they meet, and stand a little out of the skin at their edge.
  const seam = 0.026 * bell(across, 0, 0.3, 1) * (0.35 + 0.65 * Math.abs(above));
  const edge = 0.006 * bell(across - 1, 0, 0.16, 1) * Math.abs(above) ** 0.5;
  const corner = 0.02 * bell(Math.abs(x) - MOUTH.halfWidth, y - MOUTH.y, 0.04, 0.04);
  // A resting mouth smiles a little.
  const curve = 0.034 * (x / MOUTH.halfWidth) ** 2 * bell(x, y - MOUTH.y, 0.3, 0.15);
  return { at: [x, y + curve, z + fullness + edge - seam - corner], ring, above, part: "skin", lid: null };
}

function insideMouth(slit: FacePoint, depth: number): FacePoint {
  const [x, y, z] = slit.at;
  const swell = Math.sin((Math.PI / 2) * Math.min(1, 1.6 * depth));
  return {
    ...slit,
    at: [x * (1 + 0.12 * swell), y + slit.above * 0.17 * swell, z - MOUTH_INSIDE * depth ** 1.2 - 0.01],
    ring: -depth,
  };
}

function addLids(draft: Draft, detail: Detail, side: number): { outline: number[]; lashLine: number[] } {
  const { lidSegments: segments, lidRings: rings } = detail;
  const first = draft.points.length;
  for (let index = -1; index <= rings; index += 1) {
    for (let s = 0; s < segments; s += 1) {
      const angle = (2 * Math.PI * s) / segments;
      place(draft, lidPoint(side, angle, index < 0 ? -1 : (index / rings) ** 1.25));
    }
  }
  draft.triangles.push(...gridTriangles(first, rings + 2, segments, true, side < 0));
  const edge = first + segments;
  const half = segments / 2;
  return {
    outline: Array.from({ length: segments }, (_, s) => first + (rings + 1) * segments + s),
    lashLine: Array.from({ length: half + 1 }, (_, s) => edge + half - s),
  };
}

function lidPoint(side: number, angle: number, out: number): FacePoint {
  const [edgeX, edgeY] = lidEdge(angle);
  const share = Math.max(0, out);
  const x = side * (EYE.x + mix(edgeX, LIDS.outerX * Math.cos(angle), share));
  const y = EYE.y + mix(edgeY, LIDS.outerY * Math.sin(angle), share);
  const above = Math.sin(angle);
  const lid = { side, out, above, edge: [edgeX, edgeY] as const };
  if (out < 0)
    return { at: [x, y, eyeDepth(x, y, EYE.radius * 0.985)], ...aroundMouth(x, y), part: "skin", lid };
  const z = liddedDepth(x, y, skinFront(x, y)[2]);
  return { at: [x, y, z - lidFold(lid)], ...aroundMouth(x, y), part: "skin", lid };
}

/** Fills the plane around the rings; returns the free points. */
function addFreePoints(draft: Draft, detail: Detail, outlines: readonly number[][]): number[] {
  const first = draft.points.length;
  const shapes = outlines.map((outline) => outline.map((index) => draft.plane[index] as [number, number]));
  const free = (u: number, v: number, gap: number): void => {
    for (const shape of shapes) {
      if (contains(shape, u, v)) return;
      if (shape.some(([a, b]) => Math.hypot(a - u, b - v) < gap)) return;
    }
    place(draft, freePoint(u, v), [u, v]);
  };
  const nose = (u: number, v: number, grow: number): boolean =>
    Math.abs(u) < 0.2 + grow && v > NOSE.y - 0.22 - grow && v < NOSE.y + 0.3 + grow;
  const step = detail.noseSpacing;
  for (let row = -40; row <= 40; row += 1) {
    for (let column = -40; column <= 40; column += 1) {
      const u = (column + (row % 2 === 0 ? 0 : 0.5)) * step;
      const v = NOSE.y + row * step * 0.866;
      if (nose(u, v, 0)) free(u, v, step * 0.7);
    }
  }
  for (let radius = 0.001; radius <= BACK; radius += spacingAt(radius, detail.spacing)) {
    const spacing = spacingAt(radius, detail.spacing);
    const count = Math.max(1, 2 * Math.round((Math.PI * radius) / spacing));
    for (let i = 0; i < count; i += 1) {
      const angle = Math.PI / 2 + (2 * Math.PI * (i + 0.5)) / count;
      const u = radius * Math.cos(angle);
      const v = radius * Math.sin(angle);
      if (!nose(u, v, 0.4 * spacing)) free(u, v, 0.6 * spacing);
    }
  }
  return Array.from({ length: draft.points.length - first }, (_, i) => first + i);
}

/** Coarser towards the back of the head. */
const spacingAt = (radius: number, spacing: number): number =>
  spacing * (1 + 2.2 * smoothstep(1.1, 2.1, radius));

function freePoint(u: number, v: number): FacePoint {
  const angle = Math.hypot(u, v);
  const share = angle === 0 ? 0 : Math.sin(angle) / angle;
  const [x, y, z] = skin([u * share, v * share, Math.cos(angle)]);
  const depth = angle < 1.1 ? liddedDepth(x, y, z) : z;
  const frontal = z > -0.1;
  return {
    at: [x, y, depth],
    ...(frontal ? aroundMouth(x, y) : { ring: 9, above: Math.sign(y - MOUTH.y) }),
    part: "skin",
    lid: null,
  };
}

function place(draft: Draft, point: FacePoint, plane?: [number, number]): void {
  draft.points.push(point);
  draft.plane.push(plane ?? planeOf(point.at));
}

function planeOf([x, y]: Vec3): [number, number] {
  const [dx, dy, dz] = front(x, y);
  const angle = Math.acos(Math.min(1, dz));
  const planar = Math.hypot(dx, dy) || 1;
  return [(dx / planar) * angle, (dy / planar) * angle];
}

function fill(draft: Draft, vertices: readonly number[], outlines: readonly number[][]): void {
  const plane = vertices.map((index) => draft.plane[index] as [number, number]);
  const found = Delaunator.from(plane).triangles;
  const shapes = outlines.map((outline) => outline.map((index) => draft.plane[index] as [number, number]));
  for (let t = 0; t < found.length; t += 3) {
    const [a, b, c] = [found[t], found[t + 1], found[t + 2]] as [number, number, number];
    const [pa, pb, pc] = [plane[a], plane[b], plane[c]] as [
      [number, number],
      [number, number],
      [number, number],
    ];
    const u = (pa[0] + pb[0] + pc[0]) / 3;
    const v = (pa[1] + pb[1] + pc[1]) / 3;
    if (shapes.some((shape) => contains(shape, u, v))) continue;
    const turn = (pb[0] - pa[0]) * (pc[1] - pa[1]) - (pb[1] - pa[1]) * (pc[0] - pa[0]);
    const corners = turn > 0 ? [a, b, c] : [a, c, b];
    draft.triangles.push(...corners.map((corner) => vertices[corner] as number));
  }
}

/** Whether a polygon holds a point: crossings of a ray. */
function contains(shape: readonly (readonly [number, number])[], u: number, v: number): boolean {
  let inside = false;
  for (let i = 0, j = shape.length - 1; i < shape.length; j = i, i += 1) {
    const [ui, vi] = shape[i] as [number, number];
    const [uj, vj] = shape[j] as [number, number];
    if (vi > v !== vj > v && u < ((uj - ui) * (v - vi)) / (vj - vi) + ui) inside = !inside;
  }
  return inside;
}

function skinColor({ at: [x, y, z], ring, above, lid }: FacePoint): Rgb {
  if (ring < 0) return blendRgb(PALETTE.mouth, PALETTE.throat, smoothstep(0, 0.9, -ring));
  const facing = smoothstep(0.0, 0.5, z);
  const side = Math.abs(x);
  let color: Rgb = PALETTE.skin;
  const cheeks = bell(side - 0.5, y + 0.3, 0.2, 0.15);
  const nose = bell(x, y - NOSE.y, 0.1, 0.09);
  const chin = bell(x, y + 0.86, 0.16, 0.1);
  color = blendRgb(color, PALETTE.blush, facing * Math.min(0.55, 0.5 * cheeks + 0.3 * nose + 0.12 * chin));
  const nostrils = bell(side - 0.055, y + 0.305, 0.03, 0.018);
  color = blendRgb(color, PALETTE.shade, facing * 0.75 * nostrils);
  if (lid !== null) {
    // Lids are a little warmer than the face, their edges more so.
    const warm =
      lid.above > 0 ? 0.3 * (1 - smoothstep(0.3, 0.5, lid.out)) : 0.14 * (1 - smoothstep(0, 0.5, lid.out));
    color = blendRgb(color, PALETTE.blush, warm);
    if (lid.out <= 0) color = blendRgb(color, PALETTE.shade, 0.35);
  }
  const edge = lipEdge(above);
  const lip = 1 - smoothstep(edge * 0.92, edge * 1.08, ring);
  color = blendRgb(color, PALETTE.lips, 0.78 * lip);
  // The line where they meet.
  return blendRgb(color, PALETTE.mouth, 0.75 * bell(ring, 0, 0.035, 1));
}
