/**
 * Hair in thick locks, as animators sculpt it: each lock is a tapered leaf that follows a curve over the skull, from the
 * parting outwards; a cap beneath closes the gaps.
 */

import { curve } from "./bodyParts";
import { append, emptyMesh, gridTriangles, type Mesh, randoms } from "./mesh";
import { blendRgb, PALETTE, type Rgb } from "./palette";
import { add, mix, scale, skull, smoothstep, unit, type Vec3 } from "./shape";

export interface HairDetail {
  readonly along: number;
  readonly around: number;
  readonly capRows: number;
  readonly capColumns: number;
}

/** A place over the scalp: degrees to the subject's left of straight ahead, degrees up, distance from the skin. */
type Place = readonly [azimuth: number, elevation: number, lift: number];

interface Lock {
  readonly path: readonly Place[];
  readonly width: number;
  readonly thickness: number;
}

const RADIANS = Math.PI / 180;

const direction = (azimuth: number, elevation: number): Vec3 => [
  Math.sin(azimuth * RADIANS) * Math.cos(elevation * RADIANS),
  Math.sin(elevation * RADIANS),
  Math.cos(azimuth * RADIANS) * Math.cos(elevation * RADIANS),
];

export function buildHair(detail: HairDetail): Mesh {
  const hair = cap(detail);
  const random = randoms(7);
  for (const lock of locks(random)) append(hair, lockMesh(lock, detail, random()));
  return hair;
}

/** The parting runs from above the right brow back to the crown. */
const PARTING: readonly Place[] = [
  [-24, 57, 0],
  [-30, 72, 0],
  [-80, 84, 0],
  [-165, 72, 0],
];

function partingAt(t: number): Vec3 {
  const ways = PARTING.map(([azimuth, elevation]) => direction(azimuth, elevation));
  const at = t * (ways.length - 1);
  return unit(
    [0, 1, 2].map((axis) =>
      curve(
        ways.map((way) => way[axis as 0 | 1 | 2]),
        at,
      ),
    ) as unknown as Vec3,
  );
}

const toPlace = ([x, y, z]: Vec3, lift: number): Place => [
  Math.atan2(x, z) / RADIANS,
  Math.asin(Math.max(-1, Math.min(1, y))) / RADIANS,
  lift,
];

/** How far down locks of the lowest layer reach: over the forehead, above the ears, to the nape. */
const hemAt = (azimuth: number): number =>
  curve([30, 25, 15, 14, -24, -38, -40], Math.min(6, Math.max(0, azimuth / 30)));

function locks(random: () => number): Lock[] {
  const made: Lock[] = [];
  const jitter = (amount: number): number => (random() - 0.5) * 2 * amount;
  /** A lock from the parting to a tip, swept through a place between. */
  const sweep = (t: number, tip: Place, width: number, puff: number, thickness = 0.055): void => {
    const root = partingAt(t);
    const end = direction(tip[0], tip[1]);
    const between = (share: number, lift: number): Place => {
      const way = unit(add(scale(1 - share, root), scale(share, end)));
      return toPlace(way, lift);
    };
    made.push({
      path: [toPlace(root, 0.03), between(0.3, puff), between(0.66, puff * 0.95), [tip[0], tip[1], tip[2]]],
      width,
      thickness,
    });
  };
  // To the left: the fringe first, then over the side to the nape.
  for (let i = 0; i < 9; i += 1) {
    const t = i / 8;
    const azimuth = mix(28, 168, t ** 0.9) + jitter(3);
    const elevation = hemAt(azimuth) + jitter(3);
    sweep(mix(0, 1, t ** 1.2), [azimuth, elevation, 0.075], 0.2, 0.15 + jitter(0.015));
  }
  // A second, higher layer to the left gives volume.
  for (let i = 0; i < 6; i += 1) {
    const t = i / 5;
    const azimuth = mix(44, 150, t) + jitter(4);
    const elevation = mix(30, 2, t) + jitter(4);
    sweep(mix(0.04, 0.85, t), [azimuth, elevation, 0.115], 0.19, 0.205 + jitter(0.02), 0.06);
  }
  // To the right: shorter way from the parting.
  for (let i = 0; i < 8; i += 1) {
    const t = i / 7;
    const azimuth = mix(-58, -172, t ** 0.85) + jitter(3);
    const elevation = hemAt(-azimuth) + jitter(3);
    sweep(mix(0.0, 1, t ** 1.1), [azimuth, elevation, 0.07], 0.19, 0.125 + jitter(0.015));
  }
  for (let i = 0; i < 4; i += 1) {
    const t = i / 3;
    sweep(
      mix(0.02, 0.8, t),
      [mix(-66, -150, t) + jitter(4), mix(30, 0, t), 0.1],
      0.18,
      0.165 + jitter(0.015),
      0.055,
    );
  }
  // Sideburns in front of the ears.
  for (const side of [1, -1]) {
    made.push({
      path: [
        [side * 67, 36, 0.05],
        [side * 71, 20, 0.055],
        [side * 75, 4, 0.035],
        [side * 76, -13, 0.004],
      ],
      width: 0.13,
      thickness: 0.035,
    });
  }
  // The swoop of the fringe over the forehead, and a few free tips.
  made.push(
    {
      path: [
        [-26, 58, 0.03],
        [-12, 57, 0.14],
        [14, 47, 0.11],
        [40, 24, 0.05],
      ],
      width: 0.21,
      thickness: 0.065,
    },
    {
      path: [
        [-28, 60, 0.03],
        [-16, 66, 0.19],
        [12, 60, 0.2],
        [48, 38, 0.1],
      ],
      width: 0.21,
      thickness: 0.07,
    },
    {
      path: [
        [-27, 56, 0.03],
        [-22, 50, 0.1],
        [-8, 43, 0.09],
        [12, 33, 0.045],
      ],
      width: 0.13,
      thickness: 0.045,
    },
    {
      path: [
        [-25, 58, 0.03],
        [-36, 56, 0.11],
        [-48, 44, 0.1],
        [-57, 24, 0.05],
      ],
      width: 0.17,
      thickness: 0.05,
    },
    {
      path: [
        [-60, 84, 0.05],
        [-20, 88, 0.2],
        [30, 82, 0.23],
        [60, 70, 0.24],
      ],
      width: 0.13,
      thickness: 0.05,
    },
  );
  return made;
}

function lockMesh({ path, width, thickness }: Lock, { along, around }: HairDetail, tone: number): Mesh {
  const mesh = emptyMesh("Hair");
  const bones = path.map(([azimuth, elevation, lift]) => {
    const way = direction(azimuth, elevation);
    return { at: add(skull(way), scale(lift, way)), way };
  });
  const sample = (t: number, of: "at" | "way"): Vec3 =>
    [0, 1, 2].map((axis) =>
      curve(
        bones.map((bone) => bone[of][axis as 0 | 1 | 2]),
        t * (bones.length - 1),
      ),
    ) as unknown as Vec3;
  for (let i = 0; i <= along; i += 1) {
    const t = i / along;
    const at = sample(t, "at");
    const up = unit(sample(t, "way"));
    const ahead = unit(sub(sample(Math.min(1, t + 0.01), "at"), sample(Math.max(0, t - 0.01), "at")));
    const aside = unit(cross(ahead, up));
    // A leaf: narrow at the root, full in the first half, ending in a point that curls in.
    const leaf = Math.sin(Math.PI * Math.min(1, 0.2 + 0.8 * t) ** 0.85) ** 0.7 * (t > 0.995 ? 0.02 : 1);
    for (let k = 0; k < around; k += 1) {
      const turn = (2 * Math.PI * k) / around;
      const ridge = 1 + 0.12 * Math.cos(3 * turn);
      const side = Math.cos(turn) * width * leaf * 0.62;
      const height =
        Math.sin(turn) * thickness * leaf * ridge +
        0.01 * Math.cos(6 * (side / width) * Math.PI) * leaf * (Math.sin(turn) > 0.2 ? 1 : 0);
      mesh.positions.push(
        add(at, add(scale(side, aside), scale(height - (0.16 * (side * side)) / width, up))),
      );
      mesh.colors.push(lockColor(t, Math.sin(turn), tone));
    }
  }
  mesh.triangles.push(...gridTriangles(0, along + 1, around, true, false));
  return mesh;
}

function lockColor(t: number, outside: number, tone: number): Rgb {
  const light = 0.1 + 0.18 * tone + 0.3 * smoothstep(0.25, 0.75, t) * smoothstep(1.15, 0.8, t);
  return blendRgb(PALETTE.hair, PALETTE.hairLight, Math.max(0, light * (0.55 + 0.45 * outside)));
}

/** A thin shell over the scalp; where no hair grows it lies under the skin, so the hairline is where the two meet. */
function cap({ capRows, capColumns }: HairDetail): Mesh {
  const mesh = emptyMesh("Hair");
  const grown: number[] = [];
  for (let r = 0; r <= capRows; r += 1) {
    const polar = (Math.PI * 0.8 * r) / capRows;
    for (let c = 0; c < capColumns; c += 1) {
      const turn = (2 * Math.PI * c) / capColumns;
      const way: Vec3 = [Math.sin(polar) * Math.sin(turn), Math.cos(polar), Math.sin(polar) * Math.cos(turn)];
      const [x, y, z] = skull(way);
      const fronts = smoothstep(-0.3, 0.3, way[2]);
      const sides = smoothstep(0.5, 0.85, Math.abs(way[0]));
      // High in front, down to the ears at the sides, and to the nape behind.
      const line = mix(mix(-0.5, 0.68, fronts), 0.3, sides * fronts);
      const share = smoothstep(line - 0.05, line + 0.16, way[1]);
      grown.push(share);
      mesh.positions.push(add([x, y, z], scale(-0.1 + 0.18 * share, way)));
      mesh.colors.push(PALETTE.hair);
    }
  }
  // What would lie under the face is left out.
  const triangles = gridTriangles(0, capRows + 1, capColumns, true);
  for (let t = 0; t < triangles.length; t += 3) {
    const corners = triangles.slice(t, t + 3);
    if (corners.some((corner) => (grown[corner] as number) > 0)) mesh.triangles.push(...corners);
  }
  return mesh;
}

const sub = (a: Vec3, b: Vec3): Vec3 => add(a, scale(-1, b));
const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
