/**
 * The resting shape of the head: a stylised skull as a smooth function of direction. Units: the head is about two
 * units high; x to the subject's left, y up, z forward; the origin is between the ears.
 */

export type Vec3 = readonly [x: number, y: number, z: number];

export const MOUTH = { y: -0.5, halfWidth: 0.25 } as const;
export const EYE = { x: 0.34, y: 0.06, radius: 0.215 } as const;
export const BROW = { y: 0.42, inner: 0.15, outer: 0.55 } as const;

export const smoothstep = (from: number, to: number, value: number): number => {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
};

/** A bell of height 1 around the origin. */
export const bell = (x: number, y: number, width: number, height: number = width): number =>
  Math.exp(-((x / width) ** 2 + (y / height) ** 2));

/** The skin's point in the direction of the unit vector `(x, y, z)` of the sphere that the head was made from. */
export function skin([dx, dy, dz]: Vec3): Vec3 {
  // Skull: wide above, a narrow soft jaw below, a slightly flat face.
  const jaw = smoothstep(0.1, -0.95, dy);
  const crown = smoothstep(0.0, 1, dy);
  const front = Math.max(0, dz);
  let x = dx * (0.88 - 0.25 * jaw + 0.04 * crown);
  let y = dy * (dy > 0 ? 1.05 : 1.0);
  let z = dz * (dz > 0 ? 0.86 : 0.92) * (1 - 0.1 * jaw * (dz < 0 ? 1.8 : 0.2));
  // Chin: a little forward and round.
  z += 0.07 * bell(x, y + 0.86, 0.26, 0.2) * front;
  // Eye sockets, cheeks, and a small nose on a soft bridge.
  for (const side of [-1, 1]) {
    z -= 0.085 * bell(x - side * EYE.x, y - EYE.y, 0.2, 0.17) * front;
    const cheek = bell(x - side * 0.44, y + 0.3, 0.24, 0.2) * front;
    z += 0.045 * cheek;
    x += side * 0.02 * cheek;
  }
  const tip = bell(x, y + 0.2, 0.105, 0.1) * front;
  const wings = (bell(x - 0.085, y + 0.245, 0.06, 0.06) + bell(x + 0.085, y + 0.245, 0.06, 0.06)) * front;
  z += 0.15 * tip + 0.05 * wings + 0.05 * bell(x, y + 0.02, 0.08, 0.22) * front;
  // The lips stand on a gentle mound.
  z += 0.035 * bell(x, y - MOUTH.y, 0.34, 0.2) * front;
  y += 0.015 * tip;
  return [x, y, z];
}

/** The front of the skin at `(x, y)`: found by following the residual, since the skin is near a sphere. */
export function skinFront(x: number, y: number): { point: Vec3; direction: Vec3 } {
  let dx = x / 0.9;
  let dy = y;
  for (let round = 0; round < 24; round += 1) {
    const point = skin(unit(dx, dy));
    dx += (x - point[0]) * 0.9;
    dy += (y - point[1]) * 0.9;
  }
  const direction = unit(dx, dy);
  return { point: skin(direction), direction };
}

/** The forward unit vector with these x and y. */
function unit(x: number, y: number): Vec3 {
  const planar = x * x + y * y;
  if (planar >= 0.999) {
    const scale = Math.sqrt(0.999 / planar);
    return [x * scale, y * scale, Math.sqrt(0.001)];
  }
  return [x, y, Math.sqrt(1 - planar)];
}
