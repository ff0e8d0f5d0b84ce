/** One eye: ball, iris, pupil, a highlight that stays with the light, lids, and a line of lashes. */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  Group,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  SphereGeometry,
} from "three";
import { type EyeAngles, eyeAngles } from "./eyes";
import { EYE, skinFront } from "./headShape";
import { blendRgb, PALETTE, type Rgb } from "./palette";

const LID_RADIUS = EYE.radius * 1.075;
const IRIS_HALF_ANGLE = 0.62;
const LID_BACK = 1.9;
/** How much of the ball stands in front of the socket's skin. */
const PROTRUSION = 0.115;

export class EyeModel {
  readonly group = new Group();
  readonly #side: number;
  readonly #ball = new Group();
  readonly #upper: Mesh;
  readonly #lower: Mesh;
  readonly #lashes: Mesh;
  readonly #angles: EyeAngles = { yaw: 0, pitch: 0, upperLid: 0, lowerLid: 0 };

  /** @param side 1: the subject's left, -1: right */
  constructor(side: number, skinMaterial: MeshStandardMaterial) {
    this.#side = side;
    const [x, y, z] = skinFront(side * EYE.x, EYE.y).point;
    this.group.position.set(x, y, z - EYE.radius + PROTRUSION);
    // Faces curve: eyes look a little outwards with them.
    this.group.rotation.y = side * 0.1;
    const white = new MeshStandardMaterial({ color: new Color(...PALETTE.eyeball), roughness: 0.35 });
    this.#ball.add(new Mesh(new SphereGeometry(EYE.radius, 32, 24), white));
    const iris = new MeshStandardMaterial({ vertexColors: true, roughness: 0.85 });
    this.#ball.add(new Mesh(irisGeometry(), iris));
    this.group.add(this.#ball, highlight(0.34, 0.3, 0.036), highlight(-0.26, -0.22, 0.017));
    this.#upper = new Mesh(lidGeometry(1), skinMaterial);
    this.#lower = new Mesh(lidGeometry(-1), skinMaterial);
    const dark = new MeshStandardMaterial({ color: new Color(...PALETTE.lash), roughness: 0.9 });
    this.#lashes = new Mesh(lashGeometry(), dark);
    this.group.add(this.#upper, this.#lower, this.#lashes);
  }

  /** Turns ball and lids by ARKit weights in the order of BLENDSHAPES. */
  apply(weights: Float32Array): void {
    eyeAngles(weights, this.#side, this.#angles);
    this.#ball.rotation.set(this.#angles.pitch, this.#angles.yaw - this.group.rotation.y, 0, "YXZ");
    this.#upper.rotation.x = -this.#angles.upperLid;
    this.#lashes.rotation.x = -this.#angles.upperLid;
    this.#lower.rotation.x = -this.#angles.lowerLid;
  }
}

/** A small white cap in direction (yaw, elevation) of the ball. */
function highlight(yaw: number, elevation: number, size: number): Mesh {
  const mesh = new Mesh(new SphereGeometry(size, 12, 8), new MeshBasicMaterial({ color: 0xffffff }));
  const reach = EYE.radius * 0.995;
  mesh.position.set(
    Math.sin(yaw) * Math.cos(elevation) * reach,
    Math.sin(elevation) * reach,
    Math.cos(yaw) * Math.cos(elevation) * reach,
  );
  mesh.lookAt(mesh.position.x * 2, mesh.position.y * 2, mesh.position.z * 2);
  mesh.scale.z = 0.35;
  return mesh;
}

/** A cap on the ball's front in rings of colour: pupil, iris from inner to outer, dark rim. */
function irisGeometry(): BufferGeometry {
  const bands: readonly (readonly [share: number, color: Rgb])[] = [
    [0, PALETTE.pupil],
    [0.22, PALETTE.pupil],
    [0.44, PALETTE.pupil],
    [0.46, PALETTE.irisOuter],
    [0.52, PALETTE.iris],
    [0.74, PALETTE.irisInner],
    [0.86, PALETTE.iris],
    [0.94, PALETTE.irisOuter],
    [1, blendRgb(PALETTE.irisOuter, PALETTE.eyeball, 0.35)],
  ];
  const around = 48;
  const positions: number[] = [];
  const colors: number[] = [];
  const triangles: number[] = [];
  bands.forEach(([share, color], band) => {
    const angle = share * IRIS_HALF_ANGLE;
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      const radius = EYE.radius * 1.008;
      positions.push(
        Math.sin(angle) * Math.cos(turn) * radius,
        Math.sin(angle) * Math.sin(turn) * radius,
        Math.cos(angle) * radius,
      );
      // The iris is lighter below, where the light falls through it.
      const lit = band >= 3 && band <= 6 ? 0.82 - 0.3 * Math.sin(turn) : 1;
      colors.push(color[0] * lit, color[1] * lit, color[2] * lit);
      if (band === 0) continue;
      const a = (band - 1) * around + s;
      const b = (band - 1) * around + ((s + 1) % around);
      triangles.push(a, a + around, b, b, a + around, b + around);
    }
  });
  return geometry(positions, triangles, colors);
}

/** A lid: a shell over the ball, from its edge (elevation 0 before turning) over the top (1) or the bottom (-1). */
function lidGeometry(way: number): BufferGeometry {
  const across = 28;
  const along = 12;
  const positions: number[] = [];
  const colors: number[] = [];
  const triangles: number[] = [];
  for (let i = 0; i <= along; i += 1) {
    const t = i / along;
    // The first two rows roll inwards: the lid's thickness.
    const radius = i === 0 ? EYE.radius * 0.99 : LID_RADIUS;
    const elevation = i === 0 ? way * 0.02 : way * (0.0 + LID_BACK * ((i - 1) / (along - 1)));
    for (let k = 0; k <= across; k += 1) {
      const side = Math.PI * (k / across - 0.5) * 0.98;
      positions.push(
        Math.sin(side) * radius,
        Math.cos(side) * Math.sin(elevation) * radius,
        Math.cos(side) * Math.cos(elevation) * radius,
      );
      colors.push(...blendRgb(PALETTE.skin, PALETTE.blush, 0.14 - 0.1 * t));
      if (i === 0 || k === 0) continue;
      const a = (i - 1) * (across + 1) + k - 1;
      const c = a + across + 1;
      if (way > 0) triangles.push(a, a + 1, c, a + 1, c + 1, c);
      else triangles.push(a, c, a + 1, a + 1, c, c + 1);
    }
  }
  return geometry(positions, triangles, colors);
}

/** A line along the upper lid's edge, thicker towards the temple. */
function lashGeometry(): BufferGeometry {
  const along = 28;
  const around = 6;
  const positions: number[] = [];
  const triangles: number[] = [];
  for (let i = 0; i <= along; i += 1) {
    const side = Math.PI * (i / along - 0.5) * 0.9;
    const thickness = 0.014 * Math.cos(side * 0.95) ** 0.5 + 0.002;
    for (let k = 0; k < around; k += 1) {
      const turn = (2 * Math.PI * k) / around;
      const radius = LID_RADIUS + Math.cos(turn) * thickness;
      const y = Math.sin(turn) * thickness;
      positions.push(Math.sin(side) * radius, y, Math.cos(side) * radius);
      if (i === 0) continue;
      const a = (i - 1) * around + k;
      const b = (i - 1) * around + ((k + 1) % around);
      triangles.push(a, a + around, b, b, a + around, b + around);
    }
  }
  return geometry(positions, triangles);
}

function geometry(positions: number[], triangles: number[], colors?: number[]): BufferGeometry {
  const made = new BufferGeometry();
  made.setAttribute("position", new BufferAttribute(Float32Array.from(positions), 3));
  if (colors !== undefined) made.setAttribute("color", new BufferAttribute(Float32Array.from(colors), 3));
  made.setIndex(triangles);
  made.computeVertexNormals();
  return made;
}
