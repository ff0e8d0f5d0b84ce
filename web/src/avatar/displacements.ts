/**
 * What each ARKit blendshape does to a point of the face, as a displacement at full weight. The same fields move the
 * skin, the lips and the brows, so that they move together. Eye shapes (blink, look, wide, squint) turn lids and
 * eyeballs instead: see `eyes.ts`.
 */

import type { Blendshape } from "../protocol/vocabulary";
import { BROW, bell, MOUTH, smoothstep, type Vec3 } from "./headShape";

/** A point of the resting face. */
export interface FacePoint {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** Rings outwards from the slit of the mouth: 0 on the slit, about 0.5 at the lips' outer edge; negative inside. */
  readonly ring: number;
  /** Around the mouth: 1 at the middle of the upper lip, 0 at the corners, -1 at the middle of the lower lip. */
  readonly above: number;
  readonly part: "skin" | "brow";
}

export type Displacement = (point: FacePoint) => Vec3;

const JAW = { hingeY: -0.18, hingeZ: -0.05, openRad: 0.3 } as const;

/** How much a point follows the lower jaw, 0..1. */
export function jawShare({ x, y, z, ring, above, part }: FacePoint): number {
  if (part === "brow") return 0;
  const corner = 0.36;
  const near = above <= 0 ? corner + (1 - corner) * Math.abs(above) ** 0.55 : corner * (1 - above) ** 3;
  const chin = smoothstep(MOUTH.y + 0.16, MOUTH.y - 0.2, y) * smoothstep(-0.45, 0.25, z);
  const side = 1 - 0.25 * smoothstep(0.25, 0.6, Math.abs(x));
  const far = smoothstep(0.35, 1.3, ring);
  return near * (1 - far) + chin * side * far;
}

function jawOpen(point: FacePoint): Vec3 {
  const angle = JAW.openRad * jawShare(point);
  const y = point.y - JAW.hingeY;
  const z = point.z - JAW.hingeZ;
  const dy = y * Math.cos(angle) - z * Math.sin(angle) - y;
  const dz = y * Math.sin(angle) + z * Math.cos(angle) - z;
  // An opening mouth draws its corners in.
  const corner = mouthRegion(point) * 0.1 * (1 - Math.abs(point.above));
  return [-point.x * corner, dy, dz];
}

/** 1 on the lips and fading around them. */
const mouthRegion = ({ x, y, part }: FacePoint): number =>
  part === "brow" ? 0 : bell(x, y - MOUTH.y, 0.4, 0.22);
/** 1 on the lips themselves, both of them. */
const lips = ({ ring, part }: FacePoint): number => (part === "brow" ? 0 : 1 - smoothstep(0.3, 1.0, ring));
const upperLip = (point: FacePoint): number => lips(point) * smoothstep(0, 0.5, point.above);
const lowerLip = (point: FacePoint): number => lips(point) * smoothstep(0, -0.5, point.above);
/** The share of one side of the face (1: left, -1: right), with a soft seam in the middle. */
const half = (side: number, x: number): number => smoothstep(-0.12, 0.12, side * x);
const corner = (side: number, { x, y, part }: FacePoint, width = 0.17, height = 0.2): number =>
  part === "brow" ? 0 : bell(x - side * (MOUTH.halfWidth - 0.02), y - MOUTH.y, width, height);
const cheek = (side: number, { x, y, part }: FacePoint): number =>
  part === "brow" ? 0 : bell(x - side * 0.44, y + 0.27, 0.23, 0.2);

const times = (amount: number, [x, y, z]: Vec3): Vec3 => [amount * x, amount * y, amount * z];
const plus = (...all: Vec3[]): Vec3 =>
  all.reduce<Vec3>(([x, y, z], other) => [x + other[0], y + other[1], z + other[2]], [0, 0, 0]);

/** Brow fields reach the skin around the brow less than the brow itself. */
const browShare = ({ y, z, part }: FacePoint): number =>
  part === "brow" ? 1 : 0.55 * bell(0, y - BROW.y, 1, 0.2) * smoothstep(0, 0.3, z);
/** 0 at a brow's inner end, 1 at its outer one. */
const alongBrow = (x: number): number => smoothstep(BROW.inner, BROW.outer, Math.abs(x));

type Sided = (side: number) => Displacement;

const browDown: Sided = (side) => (p) =>
  times(browShare(p) * half(side, p.x), [
    -side * 0.045 * (1 - alongBrow(p.x)),
    -0.135 + 0.085 * alongBrow(p.x),
    0.02,
  ]);
const browOuterUp: Sided = (side) => (p) =>
  times(browShare(p) * half(side, p.x), [0, 0.05 + 0.1 * alongBrow(p.x), -0.01]);
const mouthSmile: Sided = (side) => (p) =>
  plus(
    times(corner(side, p), [side * 0.085, 0.115, -0.045]),
    times(cheek(side, p), [side * 0.02, 0.05, 0.035]),
    // The lips' middle thins and stays: a smile curves.
    times(lips(p) * half(side, p.x) * Math.abs(p.above), [0, -0.012, -0.012]),
  );
const mouthFrown: Sided = (side) => (p) =>
  plus(
    times(corner(side, p), [side * 0.015, -0.1, -0.015]),
    times(upperLip(p) * half(side, p.x), [0, 0.008, 0]),
  );
const mouthDimple: Sided = (side) => (p) => times(corner(side, p, 0.13, 0.13), [side * 0.04, 0.015, -0.05]);
const mouthStretch: Sided = (side) => (p) => times(corner(side, p, 0.2, 0.2), [side * 0.085, -0.02, -0.04]);
const mouthPress: Sided = (side) => (p) =>
  times(lips(p) * half(side, p.x), [0, (MOUTH.y - p.y) * 0.35, -0.018]);
const mouthUpperUp: Sided = (side) => (p) => times(upperLip(p) * half(side, p.x), [0, 0.06, 0.01]);
const mouthLowerDown: Sided = (side) => (p) => times(lowerLip(p) * half(side, p.x), [0, -0.065, 0.006]);
const cheekSquint: Sided = (side) => (p) =>
  p.part === "brow" ? [0, 0, 0] : times(bell(p.x - side * 0.4, p.y + 0.2, 0.24, 0.15), [0, 0.06, 0.035]);
const noseSneer: Sided = (side) => (p) =>
  plus(
    p.part === "brow"
      ? [0, 0, 0]
      : times(bell(p.x - side * 0.1, p.y + 0.24, 0.09, 0.1), [side * 0.012, 0.05, 0.015]),
    times(0.4 * upperLip(p) * half(side, p.x), [0, 0.05, 0.01]),
    times(0.25 * browShare(p) * half(side, p.x) * (1 - alongBrow(p.x)), [0, -0.08, 0.01]),
  );
const mouthSideways: Sided = (side) => (p) => times(mouthRegion(p), [side * 0.12, 0, -0.01]);
const jawSideways: Sided = (side) => (p) => times(jawShare(p), [side * 0.1, 0, 0]);

/** Every shape that moves points; the others move eyes or the tongue. */
export const DISPLACEMENTS: Readonly<Partial<Record<Blendshape, Displacement>>> = {
  browDownLeft: browDown(1),
  browDownRight: browDown(-1),
  browInnerUp: (p) => times(browShare(p), [0, 0.15 * (1 - alongBrow(p.x)) ** 1.3, -0.005]),
  browOuterUpLeft: browOuterUp(1),
  browOuterUpRight: browOuterUp(-1),
  cheekPuff: (p) =>
    plus(
      ...[-1, 1].map((side) =>
        p.part === "brow"
          ? ([0, 0, 0] as const)
          : times(bell(p.x - side * 0.45, p.y + 0.45, 0.24, 0.22), [side * 0.1, 0, 0.08]),
      ),
      times(mouthRegion(p), [-p.x * 0.15, 0, 0.03]),
    ),
  cheekSquintLeft: cheekSquint(1),
  cheekSquintRight: cheekSquint(-1),
  jawForward: (p) => times(jawShare(p), [0, 0, 0.08]),
  jawLeft: jawSideways(1),
  jawOpen,
  jawRight: jawSideways(-1),
  mouthClose: (p) => {
    // Undoes the jaw's opening at the lips: the lower one comes up more than the upper goes down.
    const [, dy, dz] = jawOpen({ ...p, above: -1, ring: 0 });
    const share = lips(p) * (jawShare(p) - 0.36);
    return [0, -dy * share, -dz * share];
  },
  mouthDimpleLeft: mouthDimple(1),
  mouthDimpleRight: mouthDimple(-1),
  mouthFrownLeft: mouthFrown(1),
  mouthFrownRight: mouthFrown(-1),
  mouthFunnel: (p) =>
    plus(
      times(mouthRegion(p), [-p.x * 0.36, 0, 0.07]),
      times(upperLip(p), [0, 0.05, 0.035]),
      times(lowerLip(p), [0, -0.055, 0.035]),
    ),
  mouthLeft: mouthSideways(1),
  mouthLowerDownLeft: mouthLowerDown(1),
  mouthLowerDownRight: mouthLowerDown(-1),
  mouthPressLeft: mouthPress(1),
  mouthPressRight: mouthPress(-1),
  mouthPucker: (p) =>
    plus(times(mouthRegion(p), [-p.x * 0.5, 0, 0.09]), times(lips(p), [0, (p.y - MOUTH.y) * 0.3, 0.03])),
  mouthRight: mouthSideways(-1),
  mouthRollLower: (p) => times(lowerLip(p), [0, 0.035, -0.05]),
  mouthRollUpper: (p) => times(upperLip(p), [0, -0.03, -0.045]),
  mouthShrugLower: (p) =>
    plus(
      times(lowerLip(p), [0, 0.045, 0.03]),
      p.part === "brow" ? [0, 0, 0] : times(bell(p.x, p.y + 0.72, 0.22, 0.14), [0, 0.04, 0.03]),
    ),
  mouthShrugUpper: (p) => times(upperLip(p), [0, 0.035, 0.025]),
  mouthSmileLeft: mouthSmile(1),
  mouthSmileRight: mouthSmile(-1),
  mouthStretchLeft: mouthStretch(1),
  mouthStretchRight: mouthStretch(-1),
  mouthUpperUpLeft: mouthUpperUp(1),
  mouthUpperUpRight: mouthUpperUp(-1),
  noseSneerLeft: noseSneer(1),
  noseSneerRight: noseSneer(-1),
};
