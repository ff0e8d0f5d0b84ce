/**
 * A VRM (0 or 1) as an avatar. One with ARKit-named expressions or morph targets ("perfect sync") follows them all;
 * any other follows through VRM's own presets: blinks, vowels and a few emotions.
 */

import { VRMExpressionPresetName as Preset, type VRM, VRMUtils } from "@pixiv/three-vrm";
import type { Group } from "three";
import {
  BLENDSHAPE_INDEX,
  BLENDSHAPES,
  type Blendshape,
  VISEME_INDEX,
  type Viseme,
} from "../protocol/vocabulary";
import type { AvatarModel } from "./avatarModel";
import { type BoneName, Skeleton } from "./bones";
import { frameHead } from "./framing";
import type { Rig } from "./rig";
import { readTarget } from "./targetNames";

const BONES: readonly BoneName[] = ["spine", "neck", "head", "leftEye", "rightEye"];

type Weighted<T> = readonly (readonly [name: T, weight: number])[];

/** VRM's presets as mixtures of ARKit shapes; the weights of each add up to 1. */
const PRESETS: readonly (readonly [preset: string, shapes: Weighted<Blendshape>])[] = [
  [Preset.BlinkLeft, [["eyeBlinkLeft", 1]]],
  [Preset.BlinkRight, [["eyeBlinkRight", 1]]],
  [
    Preset.Happy,
    [
      ["mouthSmileLeft", 0.5],
      ["mouthSmileRight", 0.5],
    ],
  ],
  [
    Preset.Angry,
    [
      ["browDownLeft", 0.4],
      ["browDownRight", 0.4],
      ["noseSneerLeft", 0.1],
      ["noseSneerRight", 0.1],
    ],
  ],
  [
    Preset.Sad,
    [
      ["mouthFrownLeft", 0.35],
      ["mouthFrownRight", 0.35],
      ["browInnerUp", 0.3],
    ],
  ],
  [
    Preset.Surprised,
    [
      ["eyeWideLeft", 0.35],
      ["eyeWideRight", 0.35],
      ["browOuterUpLeft", 0.15],
      ["browOuterUpRight", 0.15],
    ],
  ],
];
const VOWELS: readonly (readonly [preset: string, visemes: Weighted<Viseme>])[] = [
  [
    Preset.Aa,
    [
      ["aa", 1],
      ["kk", 0.3],
      ["DD", 0.2],
    ],
  ],
  [
    Preset.Ih,
    [
      ["ih", 1],
      ["SS", 0.5],
      ["nn", 0.3],
      ["TH", 0.3],
    ],
  ],
  [
    Preset.Ou,
    [
      ["ou", 1],
      ["RR", 0.5],
      ["CH", 0.5],
    ],
  ],
  [Preset.Ee, [["E", 1]]],
  [Preset.Oh, [["oh", 1]]],
];

export class VrmAvatar implements AvatarModel {
  readonly root: Group;
  readonly name: string;
  readonly missing: readonly Blendshape[];
  readonly #vrm: VRM;
  readonly #own: readonly (readonly [expression: string, place: number])[];
  readonly #skeleton: Skeleton;

  constructor(vrm: VRM, name: string) {
    this.#vrm = vrm;
    this.name = name;
    VRMUtils.rotateVRM0(vrm);
    const found = new Set<Blendshape>();
    this.#own = Object.keys(vrm.expressionManager?.expressionMap ?? {}).flatMap((expression) => {
      const read = readTarget(expression);
      if (read?.kind !== "blendshape") return [];
      found.add(read.name);
      return [[expression, BLENDSHAPE_INDEX[read.name]] as const];
    });
    this.missing = BLENDSHAPES.filter((shape) => !found.has(shape));
    const bones = Object.fromEntries(
      BONES.flatMap((bone) => {
        const node = vrm.humanoid.getRawBoneNode(bone);
        return node === null ? [] : [[bone, node]];
      }),
    );
    // What the page turns are the raw bones; VRM would copy its normalised ones over them.
    vrm.humanoid.autoUpdateHumanBones = false;
    lowerArms(vrm);
    this.root = frameHead(vrm.scene, vrm.humanoid.getRawBoneNode("head") ?? undefined);
    this.#skeleton = new Skeleton(bones, this.root, true);
    vrm.scene.traverse((node) => {
      node.frustumCulled = false;
    });
  }

  apply(rig: Rig, dt: number): void {
    const manager = this.#vrm.expressionManager;
    if (manager !== undefined) {
      if (this.#own.length > 0) {
        for (const [expression, place] of this.#own)
          manager.setValue(expression, rig.weights[place] as number);
      } else {
        for (const [preset, shapes] of PRESETS)
          manager.setValue(preset, total(shapes, BLENDSHAPE_INDEX, rig.weights));
      }
      // Speech comes as visemes where no ARKit mouth carries it.
      if (!this.#own.some(([, place]) => place === BLENDSHAPE_INDEX.jawOpen)) {
        for (const [preset, visemes] of VOWELS)
          manager.setValue(preset, total(visemes, VISEME_INDEX, rig.visemes));
      }
    }
    this.#skeleton.apply(rig);
    this.root.position.y = rig.lift;
    this.#vrm.update(Math.min(dt, 0.1));
  }

  dispose(): void {
    VRMUtils.deepDispose(this.#vrm.scene);
  }
}

function total<T extends string>(
  parts: Weighted<T>,
  places: Readonly<Record<T, number>>,
  weights: Float32Array,
): number {
  let sum = 0;
  for (const [name, weight] of parts) sum += weight * (weights[places[name]] as number);
  return Math.min(1, sum);
}

/** VRMs rest with their arms stretched out: let them hang. */
function lowerArms(vrm: VRM): void {
  for (const [bone, angle] of [
    ["leftUpperArm", -1.2],
    ["rightUpperArm", 1.2],
  ] as const) {
    const arm = vrm.humanoid.getNormalizedBoneNode(bone);
    if (arm !== null) arm.rotation.z = vrm.meta.metaVersion === "0" ? -angle : angle;
  }
  vrm.humanoid.update();
}
