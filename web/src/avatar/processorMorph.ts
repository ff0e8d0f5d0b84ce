/**
 * Morph targets added up by the processor, for pictures that the processor draws anyway: a software renderer's shader
 * asks every vertex about every target, while a face at any moment moves some vertices by a few of them.
 */

import { BufferAttribute, type BufferGeometry, DynamicDrawUsage, Mesh, type Object3D } from "three";

/** Who adds up a model's morph targets: the graphics card's shader, or the page's own code. */
export type MorphedBy = "graphics" | "processor";

/** A target's part in a mesh: which vertices move, and how their positions and normals change at full weight. */
interface Sparse {
  readonly vertices: Uint32Array;
  /** 6 a vertex: position, then normal. */
  readonly deltas: Float32Array;
}

interface Source {
  readonly positions: Float32Array;
  readonly normals: Float32Array;
  readonly targets: readonly Sparse[];
}

const NEGLIGIBLE = 1e-3;
/** Clones of a model share what is read out of a geometry. */
const sources = new WeakMap<BufferGeometry, Source>();

class MorphedMesh {
  readonly #source: Source;
  readonly #influences: readonly number[];
  readonly #positions: BufferAttribute;
  readonly #normals: BufferAttribute;

  constructor(mesh: Mesh, influences: readonly number[]) {
    this.#source = sourceOf(mesh.geometry);
    this.#influences = influences;
    this.#positions = new BufferAttribute(this.#source.positions.slice(), 3).setUsage(DynamicDrawUsage);
    this.#normals = new BufferAttribute(this.#source.normals.slice(), 3).setUsage(DynamicDrawUsage);
    // Colours and triangles stay shared.
    const own = mesh.geometry.clone();
    for (const [name, attribute] of Object.entries(mesh.geometry.attributes))
      own.setAttribute(name, attribute);
    own.setIndex(mesh.geometry.index);
    own.setAttribute("position", this.#positions);
    own.setAttribute("normal", this.#normals);
    own.morphAttributes = {};
    mesh.geometry = own;
  }

  update(): void {
    const { positions, normals, targets } = this.#source;
    const p = this.#positions.array as Float32Array;
    const n = this.#normals.array as Float32Array;
    p.set(positions);
    n.set(normals);
    targets.forEach(({ vertices, deltas }, target) => {
      const weight = this.#influences[target] as number;
      if (weight < NEGLIGIBLE) return;
      for (let i = 0; i < vertices.length; i += 1) {
        const at = (vertices[i] as number) * 3;
        const from = i * 6;
        for (let axis = 0; axis < 3; axis += 1) {
          p[at + axis] = (p[at + axis] as number) + weight * (deltas[from + axis] as number);
          n[at + axis] = (n[at + axis] as number) + weight * (deltas[from + 3 + axis] as number);
        }
      }
    });
    this.#positions.needsUpdate = true;
    this.#normals.needsUpdate = true;
  }
}

/** All meshes with morph targets under an avatar. Made once; from then on the graphics card knows of no targets. */
export class ProcessorMorph {
  readonly #meshes: MorphedMesh[] = [];
  readonly #geometries: BufferGeometry[] = [];

  constructor(root: Object3D) {
    root.traverse((node) => {
      if (!(node instanceof Mesh) || node.morphTargetInfluences === undefined) return;
      this.#meshes.push(new MorphedMesh(node, node.morphTargetInfluences));
      this.#geometries.push(node.geometry);
    });
  }

  /** Shows the meshes' present `morphTargetInfluences`. */
  update(): void {
    for (const mesh of this.#meshes) mesh.update();
  }

  dispose(): void {
    for (const geometry of this.#geometries) geometry.dispose();
  }
}

function sourceOf(geometry: BufferGeometry): Source {
  const known = sources.get(geometry);
  if (known !== undefined) return known;
  const read = (attribute: Parameters<typeof unpack>[0] | undefined): Float32Array =>
    attribute === undefined
      ? new Float32Array(geometry.getAttribute("position").count * 3)
      : unpack(attribute);
  const moves = geometry.morphAttributes.position ?? [];
  const turns = geometry.morphAttributes.normal ?? [];
  const made: Source = {
    positions: read(geometry.getAttribute("position")),
    normals: read(geometry.getAttribute("normal")),
    targets: moves.map((move, i) => sparse(read(move), read(turns[i]))),
  };
  sources.set(geometry, made);
  return made;
}

function unpack(attribute: {
  count: number;
  getComponent(index: number, component: number): number;
}): Float32Array {
  const values = new Float32Array(attribute.count * 3);
  for (let i = 0; i < values.length; i += 1) values[i] = attribute.getComponent(Math.floor(i / 3), i % 3);
  return values;
}

function sparse(moves: Float32Array, turns: Float32Array): Sparse {
  const vertices: number[] = [];
  const deltas: number[] = [];
  for (let v = 0; v < moves.length / 3; v += 1) {
    const both = [...moves.subarray(3 * v, 3 * v + 3), ...turns.subarray(3 * v, 3 * v + 3)];
    if (both.every((value) => value === 0)) continue;
    vertices.push(v);
    deltas.push(...both);
  }
  return { vertices: Uint32Array.from(vertices), deltas: Float32Array.from(deltas) };
}
