/**
 * Head pose and gaze, with the signs of the contract: yaw > 0 to the subject's left, pitch > 0 down, roll > 0 towards
 * the subject's left shoulder. Pure; formulas as in inference_workers/engines/face_geometry.py.
 *
 * A rotation is nine numbers, row by row, in picture axes: x right, y down, z away from the camera.
 */

export interface Pose {
  readonly yaw: number;
  readonly pitch: number;
  readonly roll: number;
}

export type Rotation = readonly number[];

const RADIANS = Math.PI / 180;

const at = (m: ArrayLike<number>, index: number): number => m[index] ?? 0;

const product = (a: Rotation, b: Rotation): number[] =>
  [0, 1, 2].flatMap((row) =>
    [0, 1, 2].map((column) =>
      [0, 1, 2].reduce((sum, k) => sum + at(a, 3 * row + k) * at(b, 3 * k + column), 0),
    ),
  );

/** First roll about the face's normal, then pitch, then yaw. */
export function rotationOf({ yaw, pitch, roll }: Pose): Rotation {
  const [cy, sy] = [Math.cos(yaw * RADIANS), Math.sin(yaw * RADIANS)];
  const [cp, sp] = [Math.cos(pitch * RADIANS), Math.sin(pitch * RADIANS)];
  const [cr, sr] = [Math.cos(roll * RADIANS), Math.sin(roll * RADIANS)];
  const turn = [cy, 0, -sy, 0, 1, 0, sy, 0, cy];
  const nod = [1, 0, 0, 0, cp, -sp, 0, sp, cp];
  const tilt = [cr, -sr, 0, sr, cr, 0, 0, 0, 1];
  return product(product(turn, nod), tilt);
}

/** The inverse of {@link rotationOf}. */
export function poseOf(rotation: Rotation): Pose {
  // The face's normal, (0, 0, -1) in the head's own axes, points at the camera.
  const [x, y, z] = [-at(rotation, 2), -at(rotation, 5), -at(rotation, 8)];
  const yaw = Math.atan2(x, -z) / RADIANS;
  const pitch = Math.asin(Math.min(1, Math.max(-1, y))) / RADIANS;
  const level = rotationOf({ yaw, pitch, roll: 0 });
  // The transposed level rotation applied to where the head's x axis points.
  const across = [0, 1].map((row) =>
    [0, 1, 2].reduce((sum, k) => sum + at(level, 3 * k + row) * at(rotation, 3 * k), 0),
  );
  return { yaw, pitch, roll: Math.atan2(across[1] ?? 0, across[0] ?? 0) / RADIANS };
}

/**
 * The rotation in a facial transformation matrix of MediaPipe: 16 numbers column by column, axes x right, y up,
 * z towards the camera, possibly scaled.
 */
export function rotationOfTransformation(matrix: ArrayLike<number>): Rotation {
  const scale = Math.hypot(at(matrix, 0), at(matrix, 1), at(matrix, 2)) || 1;
  const sign = [1, -1, -1];
  return [0, 1, 2].flatMap((row) =>
    [0, 1, 2].map(
      (column) => ((sign[row] ?? 1) * (sign[column] ?? 1) * at(matrix, 4 * column + row)) / scale,
    ),
  );
}

/** Cosine between the face's normal and the line of sight, at least 0. */
export const frontality = ({ yaw, pitch }: Pose): number =>
  Math.max(0, Math.cos(yaw * RADIANS) * Math.cos(pitch * RADIANS));

/**
 * Direction of the gaze: x and y of its unit vector, 0 = into the camera. `eyes` say how far the eyes look to the
 * subject's left and down, as shares of their reach in the head: 30 degrees sideways, 25 up and down.
 */
export function gazeOf(pose: Pose, eyesX: number, eyesY: number): [number, number] {
  const both = product(rotationOf(pose), rotationOf({ yaw: 30 * eyesX, pitch: 25 * eyesY, roll: 0 }));
  return [-at(both, 2), -at(both, 5)];
}
