/** How eyeballs and lids turn for the ARKit eye shapes. Pure: weights in, angles in radians out. */

import { BLENDSHAPE_INDEX, type Blendshape } from "../protocol/vocabulary";

export interface EyeAngles {
  /** Eyeball, about y: positive to the subject's left. */
  yaw: number;
  /** Eyeball, about x: positive down. */
  pitch: number;
  /** Elevation of the lids' edges above the eye's middle. */
  upperLid: number;
  lowerLid: number;
}

const DEGREE = Math.PI / 180;
const LOOK = { side: 26, up: 20, down: 24 } as const;
const UPPER = { open: 36, closed: -25, wide: 17, squint: -11, followUp: 7, followDown: -15 } as const;
const LOWER = { open: -36, closed: -25, wide: -5, squint: 15, followDown: -4, cheek: 9 } as const;

/** Writes the angles of one eye. @param side 1: the subject's left eye, -1: right */
export function eyeAngles(weights: Float32Array, side: number, into: EyeAngles): void {
  const suffix = side > 0 ? "Left" : "Right";
  const of = (shape: string): number =>
    weights[BLENDSHAPE_INDEX[`${shape}${suffix}` as Blendshape]] as number;
  const down = of("eyeLookDown");
  const up = of("eyeLookUp");
  const blink = of("eyeBlink");
  const squint = of("eyeSquint");
  const wide = of("eyeWide");
  into.yaw = side * (of("eyeLookOut") - of("eyeLookIn")) * LOOK.side * DEGREE;
  into.pitch = (down * LOOK.down - up * LOOK.up) * DEGREE;
  const openUpper =
    UPPER.open + wide * UPPER.wide + squint * UPPER.squint + up * UPPER.followUp + down * UPPER.followDown;
  const openLower =
    LOWER.open +
    wide * LOWER.wide +
    squint * LOWER.squint +
    down * LOWER.followDown +
    of("cheekSquint") * LOWER.cheek;
  into.upperLid = (openUpper + (UPPER.closed - openUpper) * blink) * DEGREE;
  into.lowerLid = (openLower + (LOWER.closed - openLower) * blink) * DEGREE;
  // A lid never passes the other one.
  into.upperLid = Math.max(into.upperLid, into.lowerLid + 0.5 * DEGREE);
}
