/**
 * Ambient occlusion of the resting head, kept in vertex colours: how much of the sky above each vertex is free. It is
 * what makes hair stand off the forehead and the chin off the neck without a shadow map at run time.
 */

import { BufferAttribute, BufferGeometry, DoubleSide, Ray, Vector3 } from "three";
import { MeshBVH } from "three-mesh-bvh";
import type { Avatar } from "./avatar";
import type { Occlusion } from "./document";
import { type Mesh, normalsOf } from "./mesh";
import type { Vec3 } from "./shape";

const RAYS = 56;
/** Farther away nothing shades, in head units. */
const REACH = 0.75;
const OFFSET = 0.012;
/** How dark full occlusion is. */
const STRENGTH = 0.78;
const DARKEST = 0.42;

export function occlusionOf(avatar: Avatar): Occlusion {
  const occluders = geometryOf([avatar.face, avatar.hair, avatar.neck, avatar.body]);
  const bvh = new MeshBVH(occluders);
  const lit = (mesh: Mesh): number[] => lightOf(mesh, bvh);
  const face = lit(avatar.face).map((light, i) => (avatar.unshaded.has(i) ? 1 : light));
  return { face, hair: lit(avatar.hair), neck: lit(avatar.neck), body: lit(avatar.body) };
}

function lightOf(mesh: Mesh, bvh: MeshBVH): number[] {
  const normals = normalsOf(mesh.positions, mesh.triangles);
  const ray = new Ray();
  const raw = mesh.positions.map((at, i) => {
    const normal = normals[i] as Vec3;
    let free = 0;
    for (let r = 0; r < RAYS; r += 1) {
      cosineDirection(normal, r, ray.direction);
      ray.origin.set(...at).addScaledVector(new Vector3(...normal), OFFSET);
      const hit = bvh.raycastFirst(ray, DoubleSide, 0, REACH);
      free += hit === null ? 1 : (hit.distance / REACH) ** 0.8;
    }
    return Math.max(DARKEST, 1 - STRENGTH * (1 - free / RAYS));
  });
  return smooth(smooth(raw, mesh), mesh);
}

/** The `index`-th of a fixed set of directions around a normal, dense as the cosine (Hammersley's sequence). */
function cosineDirection([nx, ny, nz]: Vec3, index: number, into: Vector3): void {
  let radical = 0;
  for (let bits = index, digit = 0.5; bits > 0; bits >>= 1, digit /= 2) if (bits & 1) radical += digit;
  const turn = 2 * Math.PI * radical;
  const height = Math.sqrt(1 - (index + 0.5) / RAYS);
  const planar = Math.sqrt(1 - height * height);
  const normal = new Vector3(nx, ny, nz);
  const aside = new Vector3(...(Math.abs(nx) < 0.9 ? ([1, 0, 0] as const) : ([0, 1, 0] as const)))
    .cross(normal)
    .normalize();
  const other = normal.clone().cross(aside);
  into
    .copy(normal)
    .multiplyScalar(height)
    .addScaledVector(aside, planar * Math.cos(turn))
    .addScaledVector(other, planar * Math.sin(turn))
    .normalize();
}

/** Each vertex takes half of its neighbours' mean. */
function smooth(values: readonly number[], mesh: Mesh): number[] {
  const sums = values.map(() => 0);
  const counts = values.map(() => 0);
  for (let t = 0; t < mesh.triangles.length; t += 3) {
    const corners = [0, 1, 2].map((k) => mesh.triangles[t + k] as number);
    for (const a of corners) {
      for (const b of corners) {
        if (a === b) continue;
        sums[a] = (sums[a] as number) + (values[b] as number);
        counts[a] = (counts[a] as number) + 1;
      }
    }
  }
  return values.map((value, i) => {
    const count = counts[i] as number;
    return count === 0 ? value : 0.5 * value + (0.5 * (sums[i] as number)) / count;
  });
}

function geometryOf(meshes: readonly Mesh[]): BufferGeometry {
  const positions: number[] = [];
  const triangles: number[] = [];
  for (const mesh of meshes) {
    const first = positions.length / 3;
    for (const at of mesh.positions) positions.push(...at);
    for (const index of mesh.triangles) triangles.push(first + index);
  }
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(Float32Array.from(positions), 3));
  geometry.setIndex(triangles);
  return geometry;
}
