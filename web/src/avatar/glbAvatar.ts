/** A GLB with morph targets as an avatar: ours, and anyone's with ARKit's names. */

import { type Material, Mesh, type Object3D, type Texture } from "three";
import { BLENDSHAPE_INDEX, BLENDSHAPES, type Blendshape, VISEME_INDEX } from "../protocol/vocabulary";
import type { AvatarModel } from "./avatarModel";
import { findBones, Skeleton } from "./bones";
import { frameHead } from "./framing";
import { type MorphedBy, ProcessorMorph } from "./processorMorph";
import type { Rig } from "./rig";
import { readTarget } from "./targetNames";

/** The morph targets of one mesh, and where in the rig their weights are. */
interface Binding {
  readonly influences: number[];
  readonly shapes: readonly { readonly target: number; readonly place: number }[];
  readonly visemes: readonly { readonly target: number; readonly place: number }[];
}

const MOUTH = /^(jaw|mouth|tongue)/;

export class GlbAvatar implements AvatarModel {
  readonly root: Object3D;
  readonly name: string;
  readonly missing: readonly Blendshape[];
  readonly #scene: Object3D;
  readonly #bindings: readonly Binding[];
  readonly #skeleton: Skeleton;
  readonly #lift: Object3D;
  /** Whether the mouth follows visemes, for want of ARKit's shapes. */
  readonly #byVisemes: boolean;
  readonly #morph: ProcessorMorph | null;

  /**
   * @param scene the file's scene, at rest; it becomes a part of this avatar
   * @param morphs who adds morph targets up; see `processorMorph.ts`
   */
  constructor(scene: Object3D, name: string, morphs: MorphedBy = "graphics") {
    this.#scene = scene;
    this.name = name;
    const found = new Set<Blendshape>();
    this.#bindings = bind(scene, found);
    this.missing = BLENDSHAPES.filter((shape) => !found.has(shape));
    this.#byVisemes = ![...found].some((shape) => MOUTH.test(shape));
    const bones = findBones(scene);
    this.#skeleton = new Skeleton(bones, scene, !eyesHaveMorphs(scene));
    this.#lift = frameHead(scene, bones.head);
    this.root = this.#lift;
    this.#morph = morphs === "processor" ? new ProcessorMorph(scene) : null;
    // A morph or a bone may carry a mesh out of the box that it is culled by.
    scene.traverse((node) => {
      node.frustumCulled = false;
    });
  }

  apply(rig: Rig): void {
    for (const { influences, shapes, visemes } of this.#bindings) {
      for (const { target, place } of shapes) influences[target] = rig.weights[place] as number;
      if (!this.#byVisemes) continue;
      for (const { target, place } of visemes) influences[target] = rig.visemes[place] as number;
    }
    this.#morph?.update();
    this.#skeleton.apply(rig);
    this.#lift.position.y = rig.lift;
  }

  dispose(): void {
    disposeOf(this.#scene);
  }

  /** Frees what this one does not share with clones of the same model. */
  disposeOwn(): void {
    this.#morph?.dispose();
  }
}

function bind(scene: Object3D, found: Set<Blendshape>): Binding[] {
  const bindings: Binding[] = [];
  scene.traverse((node) => {
    if (!(node instanceof Mesh) || node.morphTargetInfluences === undefined) return;
    const shapes: Binding["shapes"][number][] = [];
    const visemes: Binding["visemes"][number][] = [];
    for (const [name, target] of Object.entries(node.morphTargetDictionary ?? {})) {
      const read = readTarget(name);
      if (read === null) continue;
      if (read.kind === "viseme") {
        visemes.push({ target, place: VISEME_INDEX[read.name] });
      } else {
        shapes.push({ target, place: BLENDSHAPE_INDEX[read.name] });
        found.add(read.name);
      }
    }
    if (shapes.length + visemes.length > 0) {
      bindings.push({ influences: node.morphTargetInfluences, shapes, visemes });
    }
  });
  return bindings;
}

/** Whether morph targets turn the eyeballs: then the eyes' bones stay as they are. */
function eyesHaveMorphs(scene: Object3D): boolean {
  let found = false;
  scene.traverse((node) => {
    if (!(node instanceof Mesh) || !/eye/i.test(node.name) || /lash|brow|lid|wet|shadow/i.test(node.name))
      return;
    const names = Object.keys(node.morphTargetDictionary ?? {});
    found ||= names.some((name) => /eyeLook/i.test(name));
  });
  return found;
}

/** Frees geometries, materials and textures under `root`. */
export function disposeOf(root: Object3D): void {
  root.traverse((node) => {
    if (!(node instanceof Mesh)) return;
    node.geometry.dispose();
    for (const material of [node.material].flat() as Material[]) {
      for (const value of Object.values(material) as unknown[]) {
        if (typeof value === "object" && value !== null && "isTexture" in value) (value as Texture).dispose();
      }
      material.dispose();
    }
  });
}
