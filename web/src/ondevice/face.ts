/** From what the face landmarker finds in a picture to the features that are sent. */

import type { FaceFeatures } from "../protocol/features";
import { BLENDSHAPE_INDEX, BLENDSHAPES, type Blendshape } from "../protocol/vocabulary";
import { actionUnits, affectOf } from "./faceRules";
import { frontality, gazeOf, type Pose, poseOf, rotationOfTransformation } from "./pose";
import rules from "./rules.json";

/** One face as MediaPipe's FaceLandmarker describes it. */
export interface FoundFace {
  /** x and y as shares of the picture. */
  readonly landmarks: readonly { readonly x: number; readonly y: number }[];
  readonly blendshapes: readonly { readonly categoryName: string; readonly score: number }[];
  /** 16 numbers, column by column. */
  readonly transformation: ArrayLike<number>;
}

/** x, y, width, height. */
export type Box = readonly [number, number, number, number];

const clamp = (value: number, least = 0, most = 1): number => Math.min(most, Math.max(least, value));

/**
 * Confidence of a face: 1, less where it is small (below 96 pixels wide) or seen from the side (beyond 30 degrees). The
 * server multiplies this by the landmark network's own probability, which MediaPipe does not tell.
 */
export function confidenceOf(box: Box, pose: Pose): number {
  const { fullSizePx, leastSizePx, fullFrontality } = rules.face;
  const size = (Math.min(box[2], box[3]) - leastSizePx) / (fullSizePx - leastSizePx);
  return clamp(size) * Math.min(1, frontality(pose) / fullFrontality);
}

/** The upright box around landmarks. */
export function boxOf(landmarks: FoundFace["landmarks"]): Box {
  let [left, top, right, bottom] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (const { x, y } of landmarks) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return [left, top, right - left, bottom - top];
}

/** Numbers faces: the same one again if it comes back within a second about where it was lost. */
export class FaceTrack {
  #box: Box | null = null;
  #seenAtMs = 0;
  #following = false;
  #id = -1;

  lost(): void {
    this.#following = false;
  }

  seen(box: Box, atMs: number): number {
    const { reacquireMs, reacquireOverlap } = rules.face;
    const same =
      this.#following ||
      (this.#box !== null &&
        atMs - this.#seenAtMs <= reacquireMs &&
        overlap(this.#box, box) >= reacquireOverlap);
    if (!same) this.#id += 1;
    this.#following = true;
    this.#box = box;
    this.#seenAtMs = atMs;
    return this.#id;
  }
}

/** Intersection over union. */
function overlap(one: Box, other: Box): number {
  const width = Math.min(one[0] + one[2], other[0] + other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[1] + one[3], other[1] + other[3]) - Math.max(one[1], other[1]);
  if (width <= 0 || height <= 0) return 0;
  const both = width * height;
  return both / (one[2] * one[3] + other[2] * other[3] - both);
}

/** @param width of the picture in pixels  @param height likewise */
export function describeFace(face: FoundFace, width: number, height: number, trackId: number): FaceFeatures {
  const blendshapes = new Array<number>(BLENDSHAPES.length).fill(0);
  for (const { categoryName, score } of face.blendshapes) {
    const index = BLENDSHAPE_INDEX[categoryName as Blendshape];
    if (index !== undefined) blendshapes[index] = clamp(score);
  }
  const w = (name: Blendshape): number => blendshapes[BLENDSHAPE_INDEX[name]] ?? 0;
  const aus = actionUnits(blendshapes);
  const pose = poseOf(rotationOfTransformation(face.transformation));
  const left = w("eyeLookOutLeft") - w("eyeLookInLeft") + w("eyeLookInRight") - w("eyeLookOutRight");
  const down = w("eyeLookDownLeft") + w("eyeLookDownRight") - w("eyeLookUpLeft") - w("eyeLookUpRight");
  const box = boxOf(face.landmarks);
  return {
    ...affectOf(aus),
    confidence: confidenceOf([0, 0, box[2] * width, box[3] * height], pose),
    aus,
    blendshapes,
    pose: [pose.yaw, pose.pitch, pose.roll],
    gaze: gazeOf(pose, 0.5 * left, 0.5 * down),
    blink: [w("eyeBlinkLeft"), w("eyeBlinkRight")],
    box: box.map((value) => clamp(value, -4, 4)),
    faceCount: 1,
    trackId,
  };
}
