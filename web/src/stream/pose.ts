import { BLENDSHAPES, BONES, VISEMES } from "../protocol/vocabulary";

/** Everything that moves the avatar at one instant, in preallocated arrays. */
export interface Pose {
  /** 0..1 in the order of BLENDSHAPES. */
  readonly blendshapes: Float32Array;
  /** 0..1 in the order of VISEMES. */
  readonly visemes: Float32Array;
  /** Degrees (body_slouch: 0..1) in the order of BONES. */
  readonly bones: Float32Array;
  /** 0..1. */
  glow: number;
}

export const neutralPose = (): Pose => ({
  blendshapes: new Float32Array(BLENDSHAPES.length),
  visemes: new Float32Array(VISEMES.length),
  bones: new Float32Array(BONES.length),
  glow: 0,
});
