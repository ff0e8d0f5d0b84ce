/** How far an eyeball turns for the ARKit eye shapes, and how lids share what several shapes ask of them. Pure. */

import { BLENDSHAPE_INDEX, type Blendshape } from "../protocol/vocabulary";

const LOOK = { side: 23, up: 18, down: 20 } as const;
const RADIANS = Math.PI / 180;

export interface Gaze {
  /** Radians about y: positive to the subject's left. */
  yaw: number;
  /** Radians about x: positive down. */
  pitch: number;
}

/** Writes where one eye looks. @param side 1: the subject's left eye, -1: right */
export function gazeOf(weights: Float32Array, side: number, into: Gaze): void {
  const suffix = side > 0 ? "Left" : "Right";
  const of = (shape: string): number =>
    weights[BLENDSHAPE_INDEX[`${shape}${suffix}` as Blendshape]] as number;
  into.yaw = side * (of("eyeLookOut") - of("eyeLookIn")) * LOOK.side * RADIANS;
  into.pitch = (of("eyeLookDown") * LOOK.down - of("eyeLookUp") * LOOK.up) * RADIANS;
}

const LIDS = (["Left", "Right"] as const).map((side) => ({
  blink: BLENDSHAPE_INDEX[`eyeBlink${side}`],
  others: (["eyeSquint", "eyeWide", "eyeLookDown", "eyeLookUp"] as const).map(
    (shape) => BLENDSHAPE_INDEX[`${shape}${side}` as Blendshape],
  ),
}));

/**
 * Takes from the shapes that move lids what a blink has already moved: morph targets add up, and a lid would pass the
 * other one. At a full blink nothing else moves the lids.
 */
export function settleLids(weights: Float32Array): void {
  for (const { blink, others } of LIDS) {
    const open = 1 - (weights[blink] as number);
    for (const place of others) weights[place] = (weights[place] as number) * open;
  }
}
