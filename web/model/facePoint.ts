/** A point of the resting face, in the terms in which blendshapes move it. */

import { bell, EYE, MOUTH, type Vec3 } from "./shape";

export interface FacePoint {
  readonly at: Vec3;
  /** Rings outwards from the slit of the mouth (confocal ellipses): 0 on the slit, negative inside of the mouth. */
  readonly ring: number;
  /** Around the mouth: 1 at the middle of the upper lip, 0 at the corners, -1 at the middle of the lower lip. */
  readonly above: number;
  readonly part: "skin" | "brow";
  /** Present near an eye. */
  readonly lid: LidPlace | null;
}

export interface LidPlace {
  /** 1: the subject's left eye, -1: right. */
  readonly side: number;
  /** From 0 on the lid's edge to 1 where the lids end; -1 on the edge's inner rim. */
  readonly out: number;
  /** Around the eye: 1 in the middle of the upper lid, -1 of the lower, 0 in the corners. */
  readonly above: number;
  /** The place of the lid's edge at this angle, as `lidEdge` gives it. */
  readonly edge: readonly [x: number, y: number];
}

/** How high the outer corner of an eye stands above the inner one. */
const TILT = 0.022;

/** The resting edge of the lids around an eye, relative to its middle; x is positive towards the temple. */
export function lidEdge(angle: number): readonly [x: number, y: number] {
  const across = Math.cos(angle);
  const up = Math.sin(angle);
  const height = up > 0 ? EYE.upper * up ** 0.9 : -EYE.lower * Math.abs(up) ** 0.95;
  // The upper lid's arch is highest a little towards the nose, the lower one's towards the temple.
  const lean = up > 0 ? -0.014 * up : 0.012 * -up;
  return [EYE.half * across + lean, height + TILT * across];
}

/** How deep the skin is folded above the upper lid, and less so below the lower one. */
export const lidFold = ({ out, above }: LidPlace): number =>
  above > 0 ? 0.018 * bell(out - 0.36, 0, 0.09) * above ** 0.5 : 0.006 * bell(out - 0.4, 0, 0.12) * -above;

/** Where the lids meet in a blink, for a place across the eye: a bow below the middle. */
export function lidSeam(x: number): number {
  const across = Math.min(1, Math.abs(x) / EYE.half);
  return -0.62 * EYE.lower * Math.sqrt(1 - across ** 2) + TILT * (x / EYE.half);
}

/** Coordinates around the slit of the mouth of a place on the face's front. */
export function aroundMouth(x: number, y: number): { readonly ring: number; readonly above: number } {
  // w = acosh(z): ring is its real part, and the sine of its imaginary part says above or below.
  const zx = x / MOUTH.halfWidth;
  const zy = (y - MOUTH.y) / MOUTH.halfWidth;
  const [sx, sy] = complexRoot(zx * zx - zy * zy - 1, 2 * zx * zy);
  const same = zx * sx + zy * sy >= 0 ? 1 : -1;
  const re = zx + same * sx;
  const im = zy + same * sy;
  const ring = Math.log(Math.hypot(re, im));
  return { ring, above: Math.sin(Math.atan2(im, re)) };
}

function complexRoot(re: number, im: number): readonly [number, number] {
  const size = Math.hypot(re, im);
  const root = Math.sqrt((size + re) / 2);
  const other = Math.sqrt(Math.max(0, (size - re) / 2));
  return [root, im < 0 ? -other : other];
}
