/** The words of the contract, in the order of the wire. Mirrors the server's vocabulary. */

export const EMOTIONS = ["neutral", "happy", "sad", "angry", "surprise", "fear", "disgust"] as const;
export type Emotion = (typeof EMOTIONS)[number];

/** The 52 ARKit blendshape locations; weights are 0..1. "Left" is the subject's left. */
export const BLENDSHAPES = [
  "browDownLeft",
  "browDownRight",
  "browInnerUp",
  "browOuterUpLeft",
  "browOuterUpRight",
  "cheekPuff",
  "cheekSquintLeft",
  "cheekSquintRight",
  "eyeBlinkLeft",
  "eyeBlinkRight",
  "eyeLookDownLeft",
  "eyeLookDownRight",
  "eyeLookInLeft",
  "eyeLookInRight",
  "eyeLookOutLeft",
  "eyeLookOutRight",
  "eyeLookUpLeft",
  "eyeLookUpRight",
  "eyeSquintLeft",
  "eyeSquintRight",
  "eyeWideLeft",
  "eyeWideRight",
  "jawForward",
  "jawLeft",
  "jawOpen",
  "jawRight",
  "mouthClose",
  "mouthDimpleLeft",
  "mouthDimpleRight",
  "mouthFrownLeft",
  "mouthFrownRight",
  "mouthFunnel",
  "mouthLeft",
  "mouthLowerDownLeft",
  "mouthLowerDownRight",
  "mouthPressLeft",
  "mouthPressRight",
  "mouthPucker",
  "mouthRight",
  "mouthRollLower",
  "mouthRollUpper",
  "mouthShrugLower",
  "mouthShrugUpper",
  "mouthSmileLeft",
  "mouthSmileRight",
  "mouthStretchLeft",
  "mouthStretchRight",
  "mouthUpperUpLeft",
  "mouthUpperUpRight",
  "noseSneerLeft",
  "noseSneerRight",
  "tongueOut",
] as const;
export type Blendshape = (typeof BLENDSHAPES)[number];

/** The 15 Oculus visemes; weights are 0..1. */
export const VISEMES = [
  "sil",
  "PP",
  "FF",
  "TH",
  "DD",
  "kk",
  "CH",
  "SS",
  "nn",
  "RR",
  "aa",
  "E",
  "ih",
  "oh",
  "ou",
] as const;
export type Viseme = (typeof VISEMES)[number];

/** Bones of an avatar frame, in degrees; signs are the subject's own: yaw > 0 left, pitch > 0 down, roll > 0 to the left shoulder. */
export const BONES = [
  "head_yaw",
  "head_pitch",
  "head_roll",
  "neck_pitch",
  "body_lean",
  "body_slouch",
] as const;
export type Bone = (typeof BONES)[number];

const positions = <T extends string>(names: readonly T[]): Readonly<Record<T, number>> =>
  Object.fromEntries(names.map((name, index) => [name, index])) as Record<T, number>;

/** Name to place in a frame's arrays. */
export const BLENDSHAPE_INDEX = positions(BLENDSHAPES);
export const VISEME_INDEX = positions(VISEMES);
export const BONE_INDEX = positions(BONES);
