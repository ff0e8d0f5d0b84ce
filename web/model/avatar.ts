/** Puts the head together: every mesh with its morph targets, in head units. */

import { BLENDSHAPES, VISEMES } from "../src/protocol/vocabulary";
import { buildBody, buildEar, buildNeck } from "./bodyParts";
import { DISPLACEMENTS, type Displacement } from "./displacements";
import { buildBrow, buildEyeball, buildGleam, buildLashes } from "./eyeParts";
import type { FacePoint } from "./facePoint";
import { buildHair, type HairDetail } from "./hair";
import { append, emptyMesh, type Mesh } from "./mesh";
import { buildTeeth, buildTongue } from "./mouthParts";
import { eyeCenter, type Vec3 } from "./shape";
import { buildSkin, type Detail as SkinDetail } from "./skinMesh";
import { VISEME_SHAPES } from "./visemes";

/** Names of all morph targets, in the file's order: ARKit's 52, then the visemes. */
export const TARGETS: readonly string[] = [...BLENDSHAPES, ...VISEMES.map((viseme) => `viseme_${viseme}`)];

export interface Detail {
  readonly skin: SkinDetail;
  readonly hair: HairDetail;
  readonly around: number;
}

/** For a person's own stage: about 9,000 vertices. */
export const FULL: Detail = {
  skin: {
    mouthSegments: 64,
    mouthRings: 15,
    mouthDepthRings: 6,
    lidSegments: 48,
    lidRings: 10,
    spacing: 0.062,
    noseSpacing: 0.03,
  },
  hair: { along: 16, around: 8, capRows: 22, capColumns: 40 },
  around: 40,
};

/** For a wall of many heads: about a quarter of that. */
export const LIGHT: Detail = {
  skin: {
    mouthSegments: 32,
    mouthRings: 7,
    mouthDepthRings: 2,
    lidSegments: 24,
    lidRings: 5,
    spacing: 0.13,
    noseSpacing: 0.052,
  },
  hair: { along: 7, around: 4, capRows: 11, capColumns: 20 },
  around: 16,
};

export interface Avatar {
  /** Skin and ears; then brows, lashes, teeth and tongue: both with all morph targets. */
  readonly face: Mesh;
  readonly features: Mesh;
  /** Vertices of the face that only lie in the dark at rest: inside of the mouth, the lids' and the lips' edges. */
  readonly unshaded: ReadonlySet<number>;
  readonly hair: Mesh;
  /** Around its own middle; both eyes use it. */
  readonly eyeball: Mesh;
  readonly gleams: Mesh;
  readonly neck: Mesh;
  readonly body: Mesh;
}

export function buildAvatar(detail: Detail): Avatar {
  const { mesh: face, points, lashLines } = buildSkin(detail.skin);
  displace(face, points);
  const around = detail.around;
  const features = emptyMesh("Features");
  for (const { side, vertices } of lashLines) append(features, buildLashes(side, vertices, face));
  for (const side of [1, -1]) {
    const brow = buildBrow(side, Math.round(around * 0.5), Math.max(6, Math.round(around / 4)));
    displace(brow.mesh, brow.points);
    append(features, brow.mesh);
    append(face, buildEar(side, Math.round(around / 4), Math.round(around * 0.6)));
  }
  append(features, buildTeeth(1, around));
  append(features, buildTeeth(-1, around));
  append(features, buildTongue(Math.round(around / 4), Math.round(around / 3)));
  for (const mesh of [face, features]) mixVisemes(mesh);
  const gleams = emptyMesh("Gleams");
  for (const side of [1, -1]) {
    const gleam = buildGleam(Math.round(around / 2));
    const middle = eyeCenter(side);
    append(gleams, {
      ...gleam,
      positions: gleam.positions.map(([x, y, z]): Vec3 => [x + middle[0], y + middle[1], z + middle[2]]),
    });
  }
  return {
    face,
    features,
    unshaded: new Set(
      points.flatMap(({ ring, lid }, i) => (ring < 0.08 || (lid !== null && lid.out <= 0) ? [i] : [])),
    ),
    hair: buildHair(detail.hair),
    eyeball: buildEyeball(around),
    gleams,
    neck: buildNeck(Math.round(around / 4), around),
    body: buildBody(Math.round(around / 2), around),
  };
}

function displace(mesh: Mesh, points: readonly FacePoint[]): void {
  for (const [name, move] of Object.entries(DISPLACEMENTS) as [string, Displacement][]) {
    mesh.morphs.set(name, points.map(move));
  }
}

function mixVisemes(mesh: Mesh): void {
  for (const [viseme, recipe] of Object.entries(VISEME_SHAPES)) {
    const deltas = mesh.positions.map(() => [0, 0, 0] as [number, number, number]);
    for (const [name, weight] of Object.entries(recipe)) {
      mesh.morphs.get(name)?.forEach((delta, i) => {
        const own = deltas[i] as [number, number, number];
        for (const axis of [0, 1, 2] as const) own[axis] += weight * delta[axis];
      });
    }
    mesh.morphs.set(`viseme_${viseme}`, deltas);
  }
}
