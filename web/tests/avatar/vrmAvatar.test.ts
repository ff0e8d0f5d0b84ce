import { Euler, Mesh, Quaternion } from "three";
import { beforeAll, describe, expect, it } from "vitest";
import { loadAvatar } from "../../src/avatar/loadAvatar";
import { Rig } from "../../src/avatar/rig";
import { BLENDSHAPE_INDEX, BONE_INDEX, VISEME_INDEX } from "../../src/protocol/vocabulary";
import { neutralPose, type Pose } from "../../src/stream/pose";
import { smallGlb } from "./glbs";

/** The bones that VRM demands, each a child of the one before, with the head's place last. */
const BONES = [
  "hips",
  "spine",
  "head",
  "leftUpperLeg",
  "leftLowerLeg",
  "leftFoot",
  "rightUpperLeg",
  "rightLowerLeg",
  "rightFoot",
  "leftUpperArm",
  "leftLowerArm",
  "leftHand",
  "rightUpperArm",
  "rightLowerArm",
  "rightHand",
];
const TARGETS = ["a", "b", "c"];

/** A VRM 1 of one triangle whose expressions move its three morph targets. */
function smallVrm(expressions: { preset?: readonly string[]; custom?: readonly string[] }): ArrayBuffer {
  let target = 0;
  const bind = (names: readonly string[] = []): object =>
    Object.fromEntries(
      names.map((name) => {
        const expression = { morphTargetBinds: [{ node: 0, index: target, weight: 1 }] };
        target += 1;
        return [name, expression];
      }),
    );
  const vrm = {
    specVersion: "1.0",
    meta: { name: "small", authors: ["a test"], licenseUrl: "https://vrm.dev/licenses/1.0/" },
    humanoid: { humanBones: Object.fromEntries(BONES.map((bone, i) => [bone, { node: i + 1 }])) },
    expressions: { preset: bind(expressions.preset), custom: bind(expressions.custom) },
  };
  return smallGlb({
    targets: TARGETS,
    gltf: {
      extensionsUsed: ["VRMC_vrm"],
      extensions: { VRMC_vrm: vrm },
      scenes: [{ nodes: [0, 1] }],
      nodes: [
        { name: "Face", mesh: 0 },
        { name: "hips", translation: [0, 0.9, 0], children: [2, 4, 7] },
        { name: "spine", translation: [0, 0.3, 0], children: [3, 10, 13] },
        { name: "head", translation: [0, 0.3, 0] },
        ...["leftUpperLeg", "leftLowerLeg", "leftFoot"].map((name, i) => limb(name, i, 5)),
        ...["rightUpperLeg", "rightLowerLeg", "rightFoot"].map((name, i) => limb(name, i, 8)),
        ...["leftUpperArm", "leftLowerArm", "leftHand"].map((name, i) => limb(name, i, 11)),
        ...["rightUpperArm", "rightLowerArm", "rightHand"].map((name, i) => limb(name, i, 14)),
      ],
    },
  });
}

const limb = (name: string, place: number, second: number): object => ({
  name,
  translation: [name.startsWith("left") ? 0.1 : -0.1, -0.1, 0],
  ...(place < 2 && { children: [second + place] }),
});

const follow = async (vrm: ArrayBuffer, change: (pose: Pose) => void) => {
  const model = await loadAvatar(vrm, "small.vrm");
  const rig = new Rig();
  const pose = neutralPose();
  change(pose);
  for (let t = 0; t < 2; t += 1 / 60) {
    rig.update(pose, 1 / 60);
    model.apply(rig, 1 / 60);
  }
  let influences: number[] = [];
  model.root.traverse((node) => {
    if (node instanceof Mesh) influences = node.morphTargetInfluences ?? influences;
  });
  return { model, influences };
};

describe("VrmAvatar", () => {
  beforeAll(() => {
    Object.assign(globalThis, { self: globalThis });
  });

  it("follows ARKit-named expressions one to one", async () => {
    const vrm = smallVrm({ custom: ["JawOpen", "MouthSmileLeft"] });
    const { model, influences } = await follow(vrm, ({ blendshapes, visemes }) => {
      blendshapes[BLENDSHAPE_INDEX.jawOpen] = 0.5;
      blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft] = 0.8;
      visemes[VISEME_INDEX.aa] = 1;
    });
    expect(influences[0]).toBeCloseTo(0.5, 2);
    expect(influences[1]).toBeCloseTo(0.8, 2);
    expect(model.missing).toHaveLength(50);
  });

  it("makes do with VRM's presets: blink, smile, and vowels from visemes", async () => {
    const { influences } = await follow(
      smallVrm({ preset: ["blinkLeft", "happy", "aa"] }),
      ({ blendshapes, visemes }) => {
        blendshapes[BLENDSHAPE_INDEX.eyeBlinkLeft] = 1;
        blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft] = 0.6;
        blendshapes[BLENDSHAPE_INDEX.mouthSmileRight] = 0.6;
        visemes[VISEME_INDEX.aa] = 0.9;
      },
    );
    expect(influences[0]).toBeCloseTo(1, 2);
    expect(influences[1]).toBeCloseTo(0.6, 2);
    expect(influences[2]).toBeCloseTo(0.9, 2);
  });

  it("turns its head to the subject's left for a positive yaw", async () => {
    const { model } = await follow(smallVrm({ preset: ["aa"] }), ({ bones }) => {
      bones[BONE_INDEX.head_yaw] = 25;
    });
    const head = model.root.getObjectByName("head");
    const turn = new Euler().setFromQuaternion(
      head?.getWorldQuaternion(new Quaternion()) ?? new Quaternion(),
      "YXZ",
    );
    expect(turn.y).toBeCloseTo((25 * Math.PI) / 180, 2);
  });
});
