/** What is inside of the mouth: two arches of teeth in their gums, and a tongue. The lower ones follow the jaw. */

import { jawShare, jawTurn } from "./displacements";
import type { FacePoint } from "./facePoint";
import { emptyMesh, gridTriangles, type Mesh } from "./mesh";
import { blendRgb, PALETTE, type Rgb } from "./palette";
import { add, MOUTH, mix, scale, skinFront, smoothstep, type Vec3 } from "./shape";

const LIPS_Z = skinFront(0, MOUTH.y)[2];
const TEETH = { halfAngle: 1.35, width: 0.205, depth: 0.2, gap: 0.055, teeth: 10 } as const;

/** How much the lower lip's middle follows the jaw: teeth and tongue behind it do the same. */
const JAW_SHARE = jawShare({
  at: [0, MOUTH.y, LIPS_Z],
  ring: 0,
  above: -1,
  part: "skin",
  lid: null,
} satisfies FacePoint);

/** @param way 1: upper teeth, fixed to the skull; -1: lower ones. @param across columns of the band */
export function buildTeeth(way: number, across: number): Mesh {
  const mesh = emptyMesh("Teeth");
  // Across the band: from the gum over the front to the edge, and back up behind.
  const profile: readonly (readonly [y: number, z: number, color: Rgb])[] = [
    [0.085, -0.03, PALETTE.gum],
    [0.08, 0.004, PALETTE.gum],
    [0.058, 0.01, blendRgb(PALETTE.gum, PALETTE.tooth, 0.6)],
    [0.045, 0.008, PALETTE.tooth],
    [0.0, 0.006, PALETTE.tooth],
    [-0.04, 0.002, PALETTE.tooth],
    [-0.052, -0.01, PALETTE.tooth],
    [-0.04, -0.03, PALETTE.tooth],
    [0.03, -0.05, blendRgb(PALETTE.tooth, PALETTE.gum, 0.4)],
  ];
  const size = way > 0 ? 1 : 0.9;
  profile.forEach(([py, pz, color]) => {
    for (let i = 0; i <= across; i += 1) {
      const t = (2 * i) / across - 1;
      const angle = t * TEETH.halfAngle * (way > 0 ? 1 : 0.72);
      const place = (((t + 1) / 2) * TEETH.teeth) % 1;
      // Teeth round off towards their neighbours, and become smaller to the back.
      const between = Math.exp(-((Math.min(place, 1 - place) / 0.09) ** 2));
      const out = pz - 0.012 * between;
      const short = 1 - 0.3 * t * t - 0.1 * between * (py < 0 ? 1 : 0);
      mesh.positions.push([
        size * Math.sin(angle) * (TEETH.width + out),
        MOUTH.y + way * (0.02 + py * (way > 0 ? 1 : 0.62) * short) + (way > 0 ? 0.012 : -0.03),
        LIPS_Z - TEETH.gap - (way > 0 ? 0 : 0.06) - size * (1 - Math.cos(angle)) * TEETH.depth + out,
      ]);
      // Farther back, less light comes in.
      const dim = 1 - 0.72 * smoothstep(0.4, 1, Math.abs(t)) - 0.12 * between;
      mesh.colors.push(scale(dim, color));
    }
  });
  mesh.triangles.push(...gridTriangles(0, profile.length, across + 1, false, way < 0));
  if (way < 0) followJaw(mesh, 1);
  return mesh;
}

export function buildTongue(rows: number, columns: number): Mesh {
  const mesh = emptyMesh("Tongue");
  for (let r = 0; r <= rows; r += 1) {
    const t = r / rows;
    // From the throat (0) to the tip (1).
    const round = Math.sqrt(Math.max(0, 1 - ((t - 0.35) / 0.65) ** 2));
    for (let c = 0; c < columns; c += 1) {
      const angle = (2 * Math.PI * c) / columns;
      const groove = Math.sin(angle) > 0 ? 0.016 * round * Math.exp(-((Math.cos(angle) / 0.25) ** 2)) : 0;
      mesh.positions.push([
        0.125 * round * Math.cos(angle),
        MOUTH.y -
          0.085 +
          0.035 * Math.sin(Math.PI * t) +
          (0.045 * Math.sin(angle) - groove) * (0.3 * (1 - t) + 0.7 * round),
        LIPS_Z - 0.4 + 0.31 * t,
      ]);
      mesh.colors.push(blendRgb(PALETTE.mouth, PALETTE.tongue, 0.35 + 0.65 * smoothstep(0.1, 0.75, t)));
    }
  }
  mesh.triangles.push(...gridTriangles(0, rows + 1, columns, true, true));
  followJaw(mesh, 0.9);
  mesh.morphs.set(
    "tongueOut",
    mesh.positions.map(([x, y, z]): Vec3 => {
      const t = (z - (LIPS_Z - 0.4)) / 0.31;
      const share = smoothstep(0, 1, t);
      // Out between the lips, then down over the lower one.
      return [
        x * 0.12 * share,
        share * mix(0.02, -0.075, share) + (y - MOUTH.y + 0.085) * -0.25 * share,
        0.27 * share,
      ];
    }),
  );
  return mesh;
}

/** Adds the jaw's morphs to a part that moves with it. */
function followJaw(mesh: Mesh, share: number): void {
  const all = (move: (at: Vec3) => Vec3): Vec3[] => mesh.positions.map((at) => scale(share, move(at)));
  mesh.morphs.set(
    "jawOpen",
    all((at) => jawTurn(at, JAW_SHARE)),
  );
  mesh.morphs.set(
    "mouthClose",
    all((at) => scale(-0.3, jawTurn(at, JAW_SHARE))),
  );
  mesh.morphs.set(
    "jawForward",
    all(() => [0, 0, 0.08]),
  );
  mesh.morphs.set(
    "jawLeft",
    all(() => [0.095, 0, 0]),
  );
  mesh.morphs.set(
    "jawRight",
    all(() => [-0.095, 0, 0]),
  );
}

export const moved = (mesh: Mesh, by: Vec3): Mesh => ({
  ...mesh,
  positions: mesh.positions.map((at) => add(at, by)),
});
