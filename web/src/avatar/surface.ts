/** A mesh that blendshapes deform: resting points, triangles, colours, and sparse displacements by shape. */

import { BLENDSHAPE_INDEX, type Blendshape } from "../protocol/vocabulary";
import { DISPLACEMENTS, type FacePoint } from "./displacements";

export interface Surface {
  /** 3 a vertex. */
  readonly positions: Float32Array;
  /** 3 a vertex, linear RGB. */
  readonly colors: Float32Array;
  readonly triangles: Uint32Array;
}

/** One blendshape's part in a surface: which vertices move, and by how much at full weight. */
interface Morph {
  readonly place: number;
  readonly vertices: Uint32Array;
  readonly deltas: Float32Array;
}

const NEGLIGIBLE = 2e-4;

/** Applies weights to a surface and keeps its normals right. */
export class Deformer {
  /** Current positions and normals, 3 a vertex: what the renderer uploads. */
  readonly positions: Float32Array;
  readonly normals: Float32Array;

  readonly #surface: Surface;
  readonly #morphs: readonly Morph[];

  /** @param points one for each vertex of the surface */
  constructor(surface: Surface, points: readonly FacePoint[]) {
    this.#surface = surface;
    this.positions = surface.positions.slice();
    this.normals = new Float32Array(surface.positions.length);
    this.#morphs = Object.entries(DISPLACEMENTS).map(([name, displace]) => {
      const vertices: number[] = [];
      const deltas: number[] = [];
      points.forEach((point, vertex) => {
        const [dx, dy, dz] = displace(point);
        if (Math.hypot(dx, dy, dz) < NEGLIGIBLE) return;
        vertices.push(vertex);
        deltas.push(dx, dy, dz);
      });
      return {
        place: BLENDSHAPE_INDEX[name as Blendshape],
        vertices: Uint32Array.from(vertices),
        deltas: Float32Array.from(deltas),
      };
    });
    this.#renewNormals();
  }

  /** Deforms by ARKit weights in the order of BLENDSHAPES. */
  apply(weights: Float32Array): void {
    this.positions.set(this.#surface.positions);
    for (const { place, vertices, deltas } of this.#morphs) {
      const weight = weights[place] as number;
      if (weight < 1e-3) continue;
      for (let i = 0; i < vertices.length; i += 1) {
        const at = (vertices[i] as number) * 3;
        const from = i * 3;
        this.positions[at] = (this.positions[at] as number) + weight * (deltas[from] as number);
        this.positions[at + 1] = (this.positions[at + 1] as number) + weight * (deltas[from + 1] as number);
        this.positions[at + 2] = (this.positions[at + 2] as number) + weight * (deltas[from + 2] as number);
      }
    }
    this.#renewNormals();
  }

  /** Area-weighted: each triangle adds its cross product to its three corners. */
  #renewNormals(): void {
    const { triangles } = this.#surface;
    const p = this.positions;
    const n = this.normals;
    n.fill(0);
    for (let t = 0; t < triangles.length; t += 3) {
      const a = (triangles[t] as number) * 3;
      const b = (triangles[t + 1] as number) * 3;
      const c = (triangles[t + 2] as number) * 3;
      const ax = at(p, a);
      const ay = at(p, a + 1);
      const az = at(p, a + 2);
      const ux = at(p, b) - ax;
      const uy = at(p, b + 1) - ay;
      const uz = at(p, b + 2) - az;
      const vx = at(p, c) - ax;
      const vy = at(p, c + 1) - ay;
      const vz = at(p, c + 2) - az;
      const nx = uy * vz - uz * vy;
      const ny = uz * vx - ux * vz;
      const nz = ux * vy - uy * vx;
      add(n, a, nx, ny, nz);
      add(n, b, nx, ny, nz);
      add(n, c, nx, ny, nz);
    }
    for (let i = 0; i < n.length; i += 3) {
      const length = Math.hypot(at(n, i), at(n, i + 1), at(n, i + 2)) || 1;
      n[i] = at(n, i) / length;
      n[i + 1] = at(n, i + 1) / length;
      n[i + 2] = at(n, i + 2) / length;
    }
  }
}

const at = (values: Float32Array, i: number): number => values[i] as number;

function add(values: Float32Array, i: number, x: number, y: number, z: number): void {
  values[i] = at(values, i) + x;
  values[i + 1] = at(values, i + 1) + y;
  values[i + 2] = at(values, i + 2) + z;
}
