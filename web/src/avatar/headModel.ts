/** The default avatar: our own head, made from the meshes of this folder, moved by a Rig. No React. */

import {
  BufferAttribute,
  BufferGeometry,
  CapsuleGeometry,
  Color,
  DynamicDrawUsage,
  Group,
  LatheGeometry,
  Mesh,
  MeshStandardMaterial,
  SphereGeometry,
  TorusGeometry,
  Vector2,
} from "three";
import { BLENDSHAPE_INDEX } from "../protocol/vocabulary";
import { buildBrow } from "./browMesh";
import { type FacePoint, jawShare } from "./displacements";
import { EyeModel } from "./eyeModel";
import { buildFace } from "./faceMesh";
import { buildHair } from "./hairMesh";
import { MOUTH, skinFront } from "./headShape";
import { PALETTE, type Rgb } from "./palette";
import type { Rig } from "./rig";
import { Deformer, type Surface } from "./surface";

const material = (color: Rgb, roughness: number): MeshStandardMaterial =>
  new MeshStandardMaterial({ color: new Color(...color), roughness });

/** A deformed mesh and what deforms it. */
interface Soft {
  readonly deformer: Deformer;
  readonly geometry: BufferGeometry;
}

export class HeadModel {
  readonly root = new Group();
  readonly #body = new Group();
  readonly #neck = new Group();
  readonly #head = new Group();
  readonly #soft: Soft[] = [];
  readonly #eyes: readonly EyeModel[];
  readonly #jaw = new Group();
  readonly #tongue: Mesh;

  constructor() {
    const skinMaterial = new MeshStandardMaterial({ vertexColors: true, roughness: 0.62 });
    const face = buildFace();
    this.#head.add(this.#softMesh(face.surface, face.points, skinMaterial));
    const browMaterial = new MeshStandardMaterial({ vertexColors: true, roughness: 0.9 });
    for (const side of [1, -1]) {
      const brow = buildBrow(side);
      this.#head.add(this.#softMesh(brow.surface, brow.points, browMaterial));
    }
    this.#eyes = [1, -1].map((side) => new EyeModel(side, skinMaterial));
    for (const eye of this.#eyes) this.#head.add(eye.group);
    this.#head.add(hardMesh(buildHair(), new MeshStandardMaterial({ vertexColors: true, roughness: 0.72 })));
    this.#head.add(teeth(1));
    this.#tongue = tongue();
    this.#jaw.add(teeth(-1), this.#tongue);
    this.#head.add(this.#jaw);
    // The head turns where the neck meets the skull, the body leans at the waist.
    this.#neck.add(this.#head, throat());
    this.#head.position.y = 1.3;
    this.#neck.position.y = 1.1;
    this.#body.position.y = WAIST_Y;
    this.#body.add(this.#neck, ...bust());
    this.root.add(this.#body);
  }

  /** Shows the rig's present state. Call once a rendered frame. */
  apply(rig: Rig): void {
    for (const { deformer, geometry } of this.#soft) {
      deformer.apply(rig.weights);
      geometry.getAttribute("position").needsUpdate = true;
      geometry.getAttribute("normal").needsUpdate = true;
    }
    for (const eye of this.#eyes) eye.apply(rig.weights);
    this.#applyJaw(rig.weights);
    this.#head.quaternion.copy(rig.head);
    this.#neck.quaternion.copy(rig.neck);
    this.#body.quaternion.copy(rig.body);
    this.#body.position.y = WAIST_Y + rig.lift;
  }

  /** Frees what the graphics card holds. */
  dispose(): void {
    this.root.traverse((object) => {
      if (!(object instanceof Mesh)) return;
      object.geometry.dispose();
      object.material.dispose();
    });
  }

  #applyJaw(weights: Float32Array): void {
    const of = (name: keyof typeof BLENDSHAPE_INDEX): number => weights[BLENDSHAPE_INDEX[name]] as number;
    const open = of("jawOpen");
    this.#jaw.rotation.x = open * 0.3 * LOWER_LIP_SHARE * (1 - 0.8 * of("mouthClose"));
    this.#jaw.position.set(0.1 * (of("jawLeft") - of("jawRight")), JAW_Y, JAW_Z + 0.08 * of("jawForward"));
    const out = of("tongueOut");
    this.#tongue.position.z = TONGUE.z + 0.24 * out;
    this.#tongue.position.y = TONGUE.y + 0.03 * out;
  }

  #softMesh(surface: Surface, points: readonly FacePoint[], look: MeshStandardMaterial): Mesh {
    const deformer = new Deformer(surface, points);
    const geometry = new BufferGeometry();
    const dynamic = (array: Float32Array): BufferAttribute =>
      new BufferAttribute(array, 3).setUsage(DynamicDrawUsage);
    geometry.setAttribute("position", dynamic(deformer.positions));
    geometry.setAttribute("normal", dynamic(deformer.normals));
    geometry.setAttribute("color", new BufferAttribute(surface.colors, 3));
    geometry.setIndex(new BufferAttribute(surface.triangles, 1));
    const mesh = new Mesh(geometry, look);
    mesh.frustumCulled = false;
    this.#soft.push({ deformer, geometry });
    return mesh;
  }
}

/** The body leans about this height. */
const WAIST_Y = -2.4;
const JAW_Y = -0.18;
const JAW_Z = -0.05;
const mouthZ = skinFront(0, MOUTH.y).point[2];
const TONGUE = { y: MOUTH.y - 0.07 - JAW_Y, z: mouthZ - 0.3 - JAW_Z } as const;
/** How much the lower lip's middle follows the jaw: the teeth behind it do the same. */
const LOWER_LIP_SHARE = jawShare({ x: 0, y: MOUTH.y, z: mouthZ, ring: 0, above: -1, part: "skin" });

function hardMesh(surface: Surface, look: MeshStandardMaterial): Mesh {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(surface.positions, 3));
  geometry.setAttribute("color", new BufferAttribute(surface.colors, 3));
  geometry.setIndex(new BufferAttribute(surface.triangles, 1));
  geometry.computeVertexNormals();
  return new Mesh(geometry, look);
}

/** An arch of teeth as one smooth band; 1: upper (fixed to the skull), -1: lower (in the jaw's group). */
function teeth(way: number): Group {
  const group = new Group();
  const band = new Mesh(new TorusGeometry(0.19, 0.05, 10, 28, Math.PI), material(PALETTE.tooth, 0.35));
  band.rotation.x = Math.PI / 2;
  band.scale.set(1, 0.78, 1.15);
  group.add(band);
  const lower = way < 0;
  group.position.set(
    0,
    MOUTH.y + way * 0.055 - (lower ? JAW_Y + 0.02 : 0),
    mouthZ - (lower ? 0.3 : 0.25) - (lower ? JAW_Z + 0.02 : 0),
  );
  group.scale.setScalar(lower ? 0.92 : 1);
  return group;
}

function tongue(): Mesh {
  const mesh = new Mesh(new SphereGeometry(0.12, 20, 14), material(PALETTE.tongue, 0.5));
  mesh.scale.set(0.95, 0.36, 1.25);
  mesh.position.set(0, TONGUE.y, TONGUE.z);
  return mesh;
}

/** The neck, in the neck's own coordinates: it reaches from the collar into the head. */
function throat(): Mesh {
  const mesh = new Mesh(new CapsuleGeometry(0.34, 0.75, 8, 28), material(PALETTE.skin, 0.65));
  mesh.position.set(0, 0.2, -0.14);
  return mesh;
}

/** Shoulders in a jumper with a rolled collar, in the body's coordinates. */
function bust(): Mesh[] {
  const profile = [
    [0.0, 1.28],
    [0.4, 1.27],
    [0.5, 1.2],
    [0.78, 1.08],
    [1.06, 0.9],
    [1.2, 0.62],
    [1.25, 0.2],
    [1.22, -0.6],
  ].map(([radius, y]) => new Vector2(radius, y));
  const torso = new Mesh(new LatheGeometry(smooth(profile), 48), material(PALETTE.jumper, 0.85));
  torso.scale.set(1.12, 1, 0.66);
  torso.position.z = -0.1;
  const collar = new Mesh(new TorusGeometry(0.4, 0.105, 16, 40), material(PALETTE.collar, 0.85));
  collar.rotation.x = Math.PI / 2 + 0.12;
  collar.position.set(0, 1.3, -0.12);
  collar.scale.set(1, 0.94, 1.1);
  return [torso, collar];
}

/** Rounds a profile by Chaikin's corner cutting. */
function smooth(points: Vector2[]): Vector2[] {
  let line = [...points].reverse();
  for (let round = 0; round < 3; round += 1) {
    const cut: Vector2[] = [];
    line.forEach((point, i) => {
      const next = line[i + 1];
      if (i === 0) cut.push(point);
      if (next === undefined) cut.push(point);
      else cut.push(point.clone().lerp(next, 0.25), point.clone().lerp(next, 0.75));
    });
    line = cut;
  }
  return line;
}
