/**
 * What each ARKit blendshape does to a point of the face, as a displacement at full weight. The same fields move the
 * skin, the lips and the brows, so that they move together. Points slide over the skull rather than through it.
 */

import type { Blendshape } from "../src/protocol/vocabulary";
import { type FacePoint, lidFold, lidSeam } from "./facePoint";
import {
  add,
  BROW,
  bell,
  EYE,
  eyeDepth,
  liddedDepth,
  MOUTH,
  scale,
  skinFront,
  skullDepth,
  smoothstep,
  type Vec3,
} from "./shape";

export type Displacement = (point: FacePoint) => Vec3;
type Sided = (side: number) => Displacement;

const STILL: Vec3 = [0, 0, 0];
const sum = (...all: Vec3[]): Vec3 => all.reduce(add, STILL);

/** Moves a point over the skull's front by `(dx, dy)`, and `out` of it. */
function slide({ at: [x, y, z], ring }: FacePoint, dx: number, dy: number, out = 0): Vec3 {
  if (Math.hypot(dx, dy) < 1e-5) return [0, 0, out];
  const follow = ring >= 0 && z > 0 ? skullDepth(x + dx, y + dy) - skullDepth(x, y) : 0;
  return [dx, dy, out + follow];
}

/** 1 on the lips, fading over the skin around them; inside of the mouth fading with depth. */
function around({ ring, part }: FacePoint, reach = 0.75): number {
  if (part === "brow") return 0;
  if (ring < 0) return 1 - 0.85 * smoothstep(0, 0.8, -ring);
  return Math.exp(-((Math.max(0, ring - 0.15) / reach) ** 2));
}
/** 1 on the lips themselves, both of them. */
const lips = (p: FacePoint): number =>
  p.ring < 0 || p.part === "brow" ? around(p) : 1 - smoothstep(0.22, 0.75, p.ring);
const upperLip = (p: FacePoint): number => lips(p) * smoothstep(0, 0.6, p.above);
const lowerLip = (p: FacePoint): number => lips(p) * smoothstep(0, -0.6, p.above);
/** The share of one side of the face (1: left, -1: right), with a soft seam in the middle. */
const half = (side: number, x: number): number => smoothstep(-0.1, 0.1, side * x);
/** How far out a place is, in half widths of the mouth. */
const across = (x: number): number => Math.min(1.35, Math.abs(x) / MOUTH.halfWidth);
/** A bell on one side of the skin. */
const spot = (
  side: number,
  { at: [x, y], part, ring }: FacePoint,
  cx: number,
  cy: number,
  w: number,
  h = w,
): number => (part === "brow" || ring < 0 ? 0 : bell(x - side * cx, y - cy, w, h));
/** A bell along a line from (ax, ay) to (bx, by), in face coordinates of one side. */
function fold(
  side: number,
  { at: [x, y, z], part, ring }: FacePoint,
  from: [number, number],
  to: [number, number],
): number {
  if (part === "brow" || ring < 0.3 || z < 0) return 0;
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const along = ((side * x - from[0]) * dx + (y - from[1]) * dy) / (dx * dx + dy * dy);
  const t = Math.min(1, Math.max(0, along));
  const distance = Math.hypot(side * x - from[0] - t * dx, y - from[1] - t * dy);
  return Math.exp(-((distance / 0.045) ** 2)) * smoothstep(0, 0.25, along) * smoothstep(1.1, 0.75, along);
}

// Jaw

export const JAW = { y: -0.2, z: -0.05, openRad: 0.29 } as const;

/** How much a point follows the lower jaw, 0..1. */
export function jawShare({ at: [x, y, z], ring, above, part }: FacePoint): number {
  if (part === "brow") return 0;
  const atCorner = 0.3;
  const near =
    above <= 0 ? atCorner + (1 - atCorner) * Math.abs(above) ** 0.6 : atCorner * (1 - above) ** 2.5;
  const chin = smoothstep(MOUTH.y + 0.17, MOUTH.y - 0.24, y) * smoothstep(-0.5, 0.3, z);
  const side = 1 - 0.3 * smoothstep(0.25, 0.62, Math.abs(x));
  const far = smoothstep(0.3, 1.2, ring);
  return near * (1 - far) + chin * side * far;
}

/** Turned about the jaw's hinge by a share of its full opening. */
export function jawTurn([, y, z]: Vec3, share: number): Vec3 {
  const angle = JAW.openRad * share;
  const [dy, dz] = [y - JAW.y, z - JAW.z];
  return [
    0,
    dy * Math.cos(angle) - dz * Math.sin(angle) - dy,
    dy * Math.sin(angle) + dz * Math.cos(angle) - dz,
  ];
}

function jawOpen(p: FacePoint): Vec3 {
  // An opening mouth draws its corners in, and the cheeks become longer.
  const drawn = around(p, 0.5) * 0.13 * (1 - Math.abs(p.above) ** 2);
  const hollow = -0.02 * (spot(1, p, 0.5, -0.42, 0.16, 0.22) + spot(-1, p, 0.5, -0.42, 0.16, 0.22));
  return sum(jawTurn(p.at, jawShare(p)), [-p.at[0] * drawn, 0, hollow]);
}

// Brows and eyes

/** Brow fields reach the skin around a brow less than the brow itself. */
const browShare = ({ at: [, y, z], part }: FacePoint): number =>
  part === "brow" ? 1 : 0.7 * bell(0, y - BROW.y - 0.02, 1, 0.17) * smoothstep(0, 0.3, z);
/** 0 at a brow's inner end, 1 at its outer one. */
const alongBrow = (x: number): number => smoothstep(BROW.inner - 0.04, BROW.outer, Math.abs(x));

const browDown: Sided = (side) => (p) => {
  const share = browShare(p) * half(side, p.at[0]);
  const outer = alongBrow(p.at[0]);
  const pinch = 0.016 * spot(side, p, 0.07, BROW.y - 0.03, 0.05, 0.09);
  return sum(slide(p, -side * share * 0.05 * (1 - outer), share * (-0.125 + 0.1 * outer), 0.018 * share), [
    0,
    0,
    pinch,
  ]);
};
const browOuterUp: Sided = (side) => (p) => {
  const share = browShare(p) * half(side, p.at[0]);
  const outer = alongBrow(p.at[0]);
  return slide(p, 0, share * (0.035 + 0.115 * outer - 0.03 * outer ** 3), 0);
};

/** Slides lids over the eyeball: `upper` and `lower` are the edges' shifts at a place of the edge. */
const lids =
  (
    side: number,
    upper: (edge: FacePoint["lid"] & object) => number,
    lower: (edge: FacePoint["lid"] & object) => number,
  ): Displacement =>
  (p) => {
    const { lid } = p;
    if (lid === null || lid.side !== side) return STILL;
    const share = lid.out <= 0 ? 1 : (1 - lid.out) ** 1.25;
    const edge = lid.above >= 0 ? upper(lid) : lower(lid);
    return lidSlide(p, edge * share);
  };

function lidSlide({ at: [x, y], lid }: FacePoint, dy: number): Vec3 {
  if (Math.abs(dy) < 1e-5) return STILL;
  const rim = lid !== null && lid.out < 0;
  const depth = (at: number): number =>
    rim ? eyeDepth(x, at, EYE.radius * 0.985) : liddedDepth(x, at, skinFront(x, at)[2]);
  return [0, dy, depth(y + dy) - depth(y)];
}

const arch = (above: number): number => Math.abs(above) ** 0.6;
const eyeBlink: Sided = (side) => {
  const close = lids(
    side,
    ({ edge: [x, y] }) => lidSeam(x) - y,
    ({ edge: [x, y] }) => lidSeam(x) - y,
  );
  // A closing lid's fold smooths out, and the lid bulges over the cornea.
  return (p) => {
    if (p.lid === null || p.lid.side !== side || p.lid.out < 0) return close(p);
    return sum(close(p), [0, 0, lidFold(p.lid) + 0.012 * arch(p.lid.above) * bell(p.lid.out - 0.3, 0, 0.3)]);
  };
};
const eyeWide: Sided = (side) =>
  lids(
    side,
    ({ above }) => 0.06 * arch(above),
    ({ above }) => -0.022 * arch(above),
  );
const eyeSquint: Sided = (side) => (p) =>
  sum(
    lids(
      side,
      ({ above }) => -0.045 * arch(above),
      ({ above }) => 0.07 * arch(above),
    )(p),
    [0, 0, 0.014 * spot(side, p, EYE.x, EYE.y - 0.2, 0.17, 0.05)],
  );
const eyeLookDown: Sided = (side) =>
  lids(
    side,
    ({ above }) => -0.085 * arch(above),
    ({ above }) => -0.03 * arch(above),
  );
const eyeLookUp: Sided = (side) =>
  lids(
    side,
    ({ above }) => 0.035 * arch(above),
    ({ above }) => 0.016 * arch(above),
  );
/** Lids bulge a little over the cornea as it passes; `way` 1: to the subject's left. */
const eyeLookAside =
  (side: number, way: number): Displacement =>
  (p) => {
    if (p.lid === null || p.lid.side !== side || p.lid.out < 0) return STILL;
    const share = (1 - p.lid.out) ** 1.25 * arch(p.lid.above);
    const x = p.lid.edge[0] * side * way;
    return [0, 0.016 * share * Math.sign(p.lid.above) * smoothstep(-0.1, 0.2, x), 0];
  };
const cheekSquint: Sided = (side) => (p) =>
  sum(
    lids(
      side,
      () => 0,
      ({ above }) => 0.018 * arch(above),
    )(p),
    slide(p, 0, 0.05 * spot(side, p, 0.43, -0.22, 0.22, 0.15), 0.04 * spot(side, p, 0.43, -0.22, 0.22, 0.15)),
  );

// Mouth and nose

const mouthSmile: Sided = (side) => (p) => {
  const [x, y] = p.at;
  const share = around(p) * half(side, x);
  const reach = across(x);
  const thin = lips(p) * half(side, x) * (p.ring < 0 ? 0.05 : 0.2) * (y - MOUTH.y);
  const cheek = spot(side, p, 0.45, -0.24, 0.2, 0.17);
  return sum(
    slide(
      p,
      side * (0.085 * share * reach ** 1.3 + 0.012 * cheek),
      share * (0.128 * reach ** 2.1 - 0.016) - thin + 0.05 * cheek,
      -0.02 * share * reach ** 2 + 0.07 * cheek,
    ),
    [0, 0, -0.022 * fold(side, p, [0.15, -0.27], [0.4, -0.5])],
  );
};
const mouthFrown: Sided = (side) => (p) => {
  const [x] = p.at;
  const share = around(p, 0.6) * half(side, x);
  const reach = across(x);
  return sum(slide(p, side * 0.012 * share * reach, share * (-0.105 * reach ** 2.2 + 0.018), 0.006 * share), [
    0,
    0,
    0.012 * spot(side, p, 0.2, -0.68, 0.09, 0.08),
  ]);
};
const mouthDimple: Sided = (side) => (p) => {
  const share = around(p, 0.5) * half(side, p.at[0]) * across(p.at[0]) ** 2;
  return slide(p, side * 0.04 * share, 0.018 * share, -0.045 * share);
};
const mouthStretch: Sided = (side) => (p) => {
  const share = around(p) * half(side, p.at[0]) * across(p.at[0]) ** 1.2;
  return slide(p, side * 0.085 * share, -0.03 * share, -0.015 * share);
};
const mouthPress: Sided = (side) => (p) => {
  const [x, y] = p.at;
  const share = lips(p) * half(side, x);
  return sum([0, (MOUTH.y - y) * 0.42 * share, -0.02 * share], slide(p, side * 0.012 * share * across(x), 0));
};
const mouthUpperUp: Sided = (side) => (p) =>
  sum(scale(upperLip(p) * half(side, p.at[0]), [0, 0.062, 0.012]), [
    0,
    0.015 * spot(side, p, 0.17, -0.3, 0.1, 0.08),
    0.012 * spot(side, p, 0.2, -0.28, 0.1, 0.08),
  ]);
const mouthLowerDown: Sided = (side) => (p) => scale(lowerLip(p) * half(side, p.at[0]), [0, -0.068, 0.01]);
const noseSneer: Sided = (side) => (p) => {
  const wing = spot(side, p, 0.1, -0.23, 0.085, 0.09);
  const brow = browShare(p) * half(side, p.at[0]) * (1 - alongBrow(p.at[0]));
  return sum(
    [side * 0.014 * wing, 0.048 * wing, 0.016 * wing],
    scale(0.5 * upperLip(p) * half(side, p.at[0]), [0, 0.055, 0.012]),
    slide(p, -side * 0.01 * brow, -0.035 * brow, 0.01 * brow),
    [0, 0, -0.016 * fold(side, p, [0.13, -0.2], [0.3, -0.48])],
    [0, 0, 0.02 * spot(side, p, 0.06, 0.1, 0.05, 0.06)],
  );
};
const mouthSideways: Sided = (side) => (p) => slide(p, side * 0.115 * around(p), 0);
const jawSideways: Sided = (side) => (p) => scale(jawShare(p), [side * 0.095, 0, 0]);

function cheekPuff(p: FacePoint): Vec3 {
  const puff = (side: number): Vec3 => scale(spot(side, p, 0.44, -0.47, 0.22, 0.21), [side * 0.14, 0, 0.11]);
  const share = around(p, 0.5);
  return sum(puff(1), puff(-1), slide(p, -p.at[0] * 0.16 * share, 0, 0.03 * share));
}

function mouthFunnel(p: FacePoint): Vec3 {
  const share = around(p, 0.6);
  return sum(
    slide(p, -p.at[0] * 0.36 * share, 0, 0.075 * share),
    scale(upperLip(p), [0, 0.052, 0.03]),
    scale(lowerLip(p), [0, -0.06, 0.03]),
  );
}

function mouthPucker(p: FacePoint): Vec3 {
  const share = around(p, 0.6);
  const full = p.ring < 0 ? 0 : lips(p);
  return sum(slide(p, -p.at[0] * 0.5 * share, 0, 0.085 * share), [
    0,
    (p.at[1] - MOUTH.y) * 0.32 * full,
    0.035 * full * Math.abs(p.above),
  ]);
}

/** Undoes the jaw's opening at the lips: they meet again about a third of the way down. */
function mouthClose(p: FacePoint): Vec3 {
  if (p.ring < -0.5) return STILL;
  const meeting = 0.42;
  const [, dy, dz] = jawTurn(p.at, jawShare(p));
  const [, goalY, goalZ] = jawTurn(p.at, meeting);
  const share = lips(p);
  return [0, (goalY - dy) * share, (goalZ - dz) * share];
}

/** Every shape that moves skin or brows; the tongue's own is in `mouthParts.ts`. */
export const DISPLACEMENTS: Readonly<Record<Exclude<Blendshape, "tongueOut">, Displacement>> = {
  browDownLeft: browDown(1),
  browDownRight: browDown(-1),
  browInnerUp: (p) => {
    const share = browShare(p) * (1 - alongBrow(p.at[0])) ** 1.2;
    return slide(p, 0, 0.15 * share, 0);
  },
  browOuterUpLeft: browOuterUp(1),
  browOuterUpRight: browOuterUp(-1),
  cheekPuff,
  cheekSquintLeft: cheekSquint(1),
  cheekSquintRight: cheekSquint(-1),
  eyeBlinkLeft: eyeBlink(1),
  eyeBlinkRight: eyeBlink(-1),
  eyeLookDownLeft: eyeLookDown(1),
  eyeLookDownRight: eyeLookDown(-1),
  eyeLookInLeft: eyeLookAside(1, -1),
  eyeLookInRight: eyeLookAside(-1, 1),
  eyeLookOutLeft: eyeLookAside(1, 1),
  eyeLookOutRight: eyeLookAside(-1, -1),
  eyeLookUpLeft: eyeLookUp(1),
  eyeLookUpRight: eyeLookUp(-1),
  eyeSquintLeft: eyeSquint(1),
  eyeSquintRight: eyeSquint(-1),
  eyeWideLeft: eyeWide(1),
  eyeWideRight: eyeWide(-1),
  jawForward: (p) => scale(jawShare(p), [0, 0, 0.08]),
  jawLeft: jawSideways(1),
  jawOpen,
  jawRight: jawSideways(-1),
  mouthClose,
  mouthDimpleLeft: mouthDimple(1),
  mouthDimpleRight: mouthDimple(-1),
  mouthFrownLeft: mouthFrown(1),
  mouthFrownRight: mouthFrown(-1),
  mouthFunnel,
  mouthLeft: mouthSideways(1),
  mouthLowerDownLeft: mouthLowerDown(1),
  mouthLowerDownRight: mouthLowerDown(-1),
  mouthPressLeft: mouthPress(1),
  mouthPressRight: mouthPress(-1),
  mouthPucker,
  mouthRight: mouthSideways(-1),
  mouthRollLower: (p) => scale(lowerLip(p), [0, 0.03, -0.05]),
  mouthRollUpper: (p) => scale(upperLip(p), [0, -0.026, -0.045]),
  mouthShrugLower: (p) =>
    sum(scale(lowerLip(p), [0, 0.042, 0.03]), scale(spot(1, p, 0, -0.74, 0.22, 0.14), [0, 0.045, 0.03])),
  mouthShrugUpper: (p) => scale(upperLip(p), [0, 0.034, 0.025]),
  mouthSmileLeft: mouthSmile(1),
  mouthSmileRight: mouthSmile(-1),
  mouthStretchLeft: mouthStretch(1),
  mouthStretchRight: mouthStretch(-1),
  mouthUpperUpLeft: mouthUpperUp(1),
  mouthUpperUpRight: mouthUpperUp(-1),
  noseSneerLeft: noseSneer(1),
  noseSneerRight: noseSneer(-1),
};
