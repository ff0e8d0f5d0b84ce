/** Meshes as they are built: plain arrays, with displacements by morph target. */

import type { Rgb } from "./palette";
import type { Vec3 } from "./shape";

/** A part of the avatar before it is written. */
export interface Mesh {
  readonly name: string;
  readonly positions: Vec3[];
  readonly colors: Rgb[];
  /** Three indices a triangle, counter-clockwise from outside. */
  readonly triangles: number[];
  /** Displacement of every vertex at full weight, by morph target; a target without entry moves nothing. */
  readonly morphs: Map<string, Vec3[]>;
}

export const emptyMesh = (name: string): Mesh => ({
  name,
  positions: [],
  colors: [],
  triangles: [],
  morphs: new Map(),
});

/** Appends `more` to `mesh`; where only one of them has a morph, the other's vertices rest. */
export function append(mesh: Mesh, more: Mesh): void {
  const first = mesh.positions.length;
  for (const [name, deltas] of more.morphs) {
    const own = mesh.morphs.get(name) ?? mesh.positions.map((): Vec3 => [0, 0, 0]);
    mesh.morphs.set(name, [...own, ...deltas]);
  }
  for (const [name, own] of mesh.morphs) {
    if (!more.morphs.has(name)) mesh.morphs.set(name, [...own, ...more.positions.map((): Vec3 => [0, 0, 0])]);
  }
  mesh.positions.push(...more.positions);
  mesh.colors.push(...more.colors);
  mesh.triangles.push(...more.triangles.map((index) => index + first));
}

/** Quads of a grid of `rows` × `columns` vertices from index `first`; `closed` joins the last column to the first. */
export function gridTriangles(
  first: number,
  rows: number,
  columns: number,
  closed: boolean,
  flip = false,
): number[] {
  const triangles: number[] = [];
  for (let r = 0; r + 1 < rows; r += 1) {
    for (let c = 0; c < (closed ? columns : columns - 1); c += 1) {
      const a = first + r * columns + c;
      const b = first + r * columns + ((c + 1) % columns);
      if (flip) triangles.push(a, b, a + columns, b, b + columns, a + columns);
      else triangles.push(a, a + columns, b, b, a + columns, b + columns);
    }
  }
  return triangles;
}

/** Area-weighted vertex normals: each triangle adds its cross product to its three corners. */
export function normalsOf(positions: readonly Vec3[], triangles: readonly number[]): Vec3[] {
  const sums = positions.map(() => [0, 0, 0] as [number, number, number]);
  for (let t = 0; t < triangles.length; t += 3) {
    const corners = [triangles[t], triangles[t + 1], triangles[t + 2]] as [number, number, number];
    const [a, b, c] = corners.map((index) => positions[index]) as [Vec3, Vec3, Vec3];
    const u = [b[0] - a[0], b[1] - a[1], b[2] - a[2]] as const;
    const v = [c[0] - a[0], c[1] - a[1], c[2] - a[2]] as const;
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]] as const;
    for (const index of corners) {
      const sum = sums[index] as [number, number, number];
      sum[0] += n[0];
      sum[1] += n[1];
      sum[2] += n[2];
    }
  }
  return sums.map(([x, y, z]) => {
    const length = Math.hypot(x, y, z);
    return length < 1e-12 ? [0, 0, 1] : [x / length, y / length, z / length];
  });
}

/** Deterministic random numbers 0..1 (mulberry32). */
export function randoms(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
