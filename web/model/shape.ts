/**
 * The resting shape of the head: a stylised skull as a smooth function of direction, and features laid on it. Units: the
 * head is about two units high (the file is written in metres, see `document.ts`); x to the subject's left, y up,
 * z forward; the origin is between the ears.
 */

export type Vec3 = readonly [x: number, y: number, z: number];

/** Middle and half width of the slit between the lips. */
export const MOUTH = { y: -0.49, halfWidth: 0.235 } as const;
/** An eye's middle, the ball's radius, and the resting opening's half width and heights. */
export const EYE = { x: 0.345, y: 0.03, radius: 0.29, half: 0.214, upper: 0.154, lower: 0.137 } as const;
export const BROW = { y: 0.33, inner: 0.13, outer: 0.56 } as const;
export const NOSE = { y: -0.19 } as const;
/** The lids' thickness: how far their skin lies above the ball. */
export const LID = 0.02;
const PROTRUSION = 0.05;

export const smoothstep = (from: number, to: number, value: number): number => {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
};

export const mix = (from: number, to: number, share: number): number => from + (to - from) * share;

/** A bell of height 1 around the origin. */
export const bell = (x: number, y: number, width: number, height: number = width): number =>
  Math.exp(-((x / width) ** 2 + (y / height) ** 2));

/** The greater of two values, rounded where they are within `reach` of each other. */
export const softMax = (a: number, b: number, reach: number): number => {
  const h = Math.max(0, reach - Math.abs(a - b)) / reach;
  return Math.max(a, b) + h * h * reach * 0.25;
};

export const add = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const scale = (amount: number, [x, y, z]: Vec3): Vec3 => [amount * x, amount * y, amount * z];
export const unit = (v: Vec3): Vec3 => scale(1 / (Math.hypot(...v) || 1), v);

/** The skull alone, without features, in the direction of a unit vector. */
export function skull([dx, dy, dz]: Vec3): Vec3 {
  const jaw = smoothstep(-0.15, -1, dy);
  const crown = smoothstep(0.1, 1, dy);
  const width = 0.92 - 0.07 * jaw + 0.02 * crown;
  const depth = dz > 0 ? 0.85 - 0.03 * crown : 0.97 - 0.22 * jaw;
  // Full cheeks: the face is widest below the eyes.
  const full = 0.05 * bell(dy + 0.42, 0, 0.36) * smoothstep(-0.3, 0.4, dz);
  return [dx * (width + full), dy > 0 ? dy * 1.1 : dy, dz * depth + 0.03 * jaw];
}

/** The skin's point in the direction of a unit vector, lids left out. */
export function skin(way: Vec3): Vec3 {
  const [x, y, z] = skull(way);
  return [x, y, z + relief(x, y) * Math.max(0, way[2]) ** 0.5];
}

/** How far features stand out of the skull's front. */
function relief(x: number, y: number): number {
  const side = Math.abs(x);
  let out = 0;
  // Chin, brow, sockets, cheeks.
  out += 0.075 * bell(x, y + 0.84, 0.2, 0.16);
  out += 0.03 * bell(side - 0.3, y - BROW.y - 0.02, 0.28, 0.12);
  out -= 0.05 * bell(side - EYE.x, y - EYE.y, 0.22, 0.17);
  out += 0.05 * bell(side - 0.47, y + 0.33, 0.22, 0.2);
  // A small round nose on a soft bridge.
  const under = smoothstep(-0.335, -0.25, y);
  out += 0.165 * bell(x, y - NOSE.y, 0.088, 0.1) * under;
  out += 0.07 * bell(side - 0.085, y + 0.225, 0.05, 0.055) * under;
  out += 0.06 * bell(x, y + 0.02, 0.07, 0.17);
  // The lips stand on a gentle mound, under a shallow philtrum.
  out += 0.04 * bell(x, y - MOUTH.y, 0.3, 0.17);
  out -= 0.012 * bell(x, y + 0.375, 0.026, 0.05);
  // The dip between lower lip and chin.
  out -= 0.02 * bell(x, y + 0.65, 0.16, 0.05);
  return out;
}

/** The direction whose skin lies at `(x, y)` in front: found by following the residual, since the skin is near a sphere. */
export function front(x: number, y: number): Vec3 {
  let dx = x / 0.9;
  let dy = y;
  for (let round = 0; round < 16; round += 1) {
    const point = skull(forward(dx, dy));
    dx += (x - point[0]) * 0.95;
    dy += (y - point[1]) * 0.95;
  }
  return forward(dx, dy);
}

export const skinFront = (x: number, y: number): Vec3 => skin(front(x, y));
/** Depth of the featureless skull's front: what lips and brows slide on. */
export const skullDepth = (x: number, y: number): number => skull(front(x, y))[2];

/** The forward unit vector with these x and y. */
function forward(x: number, y: number): Vec3 {
  const planar = x * x + y * y;
  if (planar >= 0.99) {
    const share = Math.sqrt(0.99 / planar);
    return [x * share, y * share, 0.1];
  }
  return [x, y, Math.sqrt(1 - planar)];
}

/** The middle of an eyeball. @param side 1: the subject's left, -1: right */
export const eyeCenter = (side: number): Vec3 => {
  const [, , z] = skinFront(EYE.x, EYE.y);
  return [side * EYE.x, EYE.y, z - EYE.radius + PROTRUSION];
};
const EYE_Z = eyeCenter(1)[2];

/** Depth of a sphere's front around the eye on that side of the face; far behind beyond its edge. */
export function eyeDepth(x: number, y: number, radius: number): number {
  const rest = radius ** 2 - (Math.abs(x) - EYE.x) ** 2 - (y - EYE.y) ** 2;
  return rest <= 0 ? -9 : EYE_Z + Math.sqrt(rest);
}

/** Skin with lids: the skin, or the shell around the eyeball where that lies in front. */
export const liddedDepth = (x: number, y: number, skinDepth: number): number => {
  const shell = eyeDepth(x, y, EYE.radius + LID);
  return shell < -1 ? skinDepth : softMax(skinDepth, shell, 0.05);
};
