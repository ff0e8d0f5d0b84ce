/** Eyeballs, the light that glances off them, lashes and brows. */

import type { FacePoint } from "./facePoint";
import { emptyMesh, gridTriangles, type Mesh } from "./mesh";
import { blendRgb, PALETTE, type Rgb } from "./palette";
import { add, BROW, EYE, mix, scale, skinFront, smoothstep, type Vec3 } from "./shape";

const IRIS = 0.455;

/** The front of an eyeball around its own middle, in rings of colour: pupil, iris from inner to outer, rim, white. */
export function buildEyeball(around: number): Mesh {
  const mesh = emptyMesh("Eyeball");
  const bands: readonly (readonly [angle: number, color: Rgb])[] = [
    [0, PALETTE.pupil],
    [IRIS * 0.4, PALETTE.pupil],
    [IRIS * 0.45, blendRgb(PALETTE.pupil, PALETTE.iris, 0.55)],
    [IRIS * 0.52, PALETTE.irisInner],
    [IRIS * 0.7, PALETTE.iris],
    [IRIS * 0.86, blendRgb(PALETTE.iris, PALETTE.irisOuter, 0.5)],
    [IRIS * 0.95, PALETTE.irisOuter],
    [IRIS, blendRgb(PALETTE.irisOuter, PALETTE.eyeball, 0.25)],
    [IRIS * 1.06, PALETTE.eyeball],
    [0.62, PALETTE.eyeball],
    [0.8, blendRgb(PALETTE.eyeball, PALETTE.eyeRim, 0.5)],
    [1.0, PALETTE.eyeRim],
    [1.3, PALETTE.eyeRim],
    [1.7, PALETTE.eyeRim],
  ];
  bands.forEach(([angle, color], band) => {
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      mesh.positions.push([
        Math.sin(angle) * Math.cos(turn) * EYE.radius,
        Math.sin(angle) * Math.sin(turn) * EYE.radius,
        Math.cos(angle) * EYE.radius,
      ]);
      // Light falls in from above and leaves through the lower iris, where faint rays show.
      const iris = band >= 2 && band <= 6;
      const rays = 1 + 0.1 * Math.cos(turn * 12) * (s % 2 === 0 ? 1 : 0.4);
      mesh.colors.push(iris ? scale((0.86 - 0.36 * Math.sin(turn)) * rays, color) : color);
    }
  });
  mesh.triangles.push(...gridTriangles(0, bands.length, around, true));
  return mesh;
}

/** Two glints, large above and small below, that stay where the light is while the eye turns. Around the eye's middle. */
export function buildGleam(around: number): Mesh {
  const mesh = emptyMesh("Gleam");
  for (const [yaw, elevation, size] of [
    [-0.19, 0.23, 0.034],
    [0.17, -0.2, 0.015],
  ] as const) {
    const first = mesh.positions.length;
    const middle: Vec3 = [
      Math.sin(yaw) * Math.cos(elevation),
      Math.sin(elevation),
      Math.cos(yaw) * Math.cos(elevation),
    ];
    mesh.positions.push(scale(EYE.radius * 1.012, middle));
    for (let s = 0; s < around; s += 1) {
      const turn = (2 * Math.PI * s) / around;
      const at = add(middle, [
        (Math.cos(turn) * size) / EYE.radius,
        (Math.sin(turn) * size) / EYE.radius,
        -middle[0] * ((Math.cos(turn) * size) / EYE.radius) -
          middle[1] * ((Math.sin(turn) * size) / EYE.radius),
      ]);
      mesh.positions.push(scale(EYE.radius * 1.01, at));
      mesh.triangles.push(first, first + 1 + s, first + 1 + ((s + 1) % around));
    }
  }
  mesh.colors.push(...mesh.positions.map((): Rgb => [1, 1, 1]));
  return mesh;
}

/** How far the lashes' tips sink at full weight, as a share of their rise: they follow the lid's turn. */
const SINK: Partial<Record<string, number>> = {
  eyeBlink: 1.75,
  eyeLookDown: 0.8,
  eyeSquint: 0.5,
  eyeWide: -0.35,
  eyeLookUp: -0.2,
};

/**
 * Lashes along an upper lid's edge: a dark line that thickens and sweeps up towards the temple.
 *
 * @param vertices of the lid's edge, from the nose to the temple
 * @param face the skin with its morphs
 */
export function buildLashes(side: number, vertices: readonly number[], face: Mesh): Mesh {
  const mesh = emptyMesh("Lashes");
  const rows = 4;
  const stations = vertices.map((vertex, i) => {
    const t = i / (vertices.length - 1);
    const root = face.positions[vertex] as Vec3;
    const long =
      0.01 + 0.03 * smoothstep(0.1, 0.85, t) + 0.018 * smoothstep(0.72, 0.93, t) * smoothstep(1.02, 0.95, t);
    const thick = 0.006 + 0.012 * smoothstep(0, 0.55, t) * smoothstep(1.05, 0.8, t);
    const aside = 0.25 * (t - 0.45) + 0.25 * smoothstep(0.7, 1, t);
    const rise = long * (0.55 + 0.35 * t);
    const tip: Vec3 = [side * long * aside, rise, long * 0.75];
    return { vertex, root, thick, tip, rise };
  });
  for (const { root, thick, tip } of stations) {
    mesh.positions.push(
      add(root, [0, -0.3 * thick, -0.004]),
      add(root, [0, -0.35 * thick, 0.007]),
      add(root, tip),
      add(root, [0, thick, 0.003]),
    );
  }
  mesh.colors.push(...mesh.positions.map(() => PALETTE.lash));
  mesh.triangles.push(...gridTriangles(0, stations.length, rows, true, side < 0));
  for (const [name, deltas] of face.morphs) {
    if (!name.startsWith("eye")) continue;
    const sink = SINK[name.replace(/Left|Right/, "")] ?? 0;
    const mine = name.endsWith(side > 0 ? "Left" : "Right") ? sink : 0;
    mesh.morphs.set(
      name,
      stations.flatMap(({ vertex, rise }) => {
        const delta = deltas[vertex] as Vec3;
        return [delta, delta, add(delta, [0, -mine * rise, 0]), delta];
      }),
    );
  }
  return mesh;
}

/** A brow's points and surface: a soft tapered roll that lies on the skin. */
export function buildBrow(side: number, along: number, around: number): { mesh: Mesh; points: FacePoint[] } {
  const mesh = emptyMesh("Brows");
  const points: FacePoint[] = [];
  for (let i = 0; i <= along; i += 1) {
    const t = i / along;
    const x = mix(BROW.inner, BROW.outer, t);
    const y = BROW.y + 0.062 * Math.sin(Math.PI * (0.1 + 0.78 * t)) - 0.06 * t * t;
    const here = skinFront(x, y);
    const width = 0.037 * smoothstep(-0.09, 0.09, t) * (1 - 0.72 * smoothstep(0.35, 1.04, t)) + 0.001;
    const lean = mix(0.3, 0.55, t);
    for (let k = 0; k < around; k += 1) {
      const angle = (2 * Math.PI * k) / around;
      const up = Math.cos(angle) * width;
      const ragged = 0.003 * Math.sin(i * 2.7) * Math.max(0, Math.cos(angle));
      const at: Vec3 = [
        side * (x + lean * up * 0.5),
        y + up + ragged,
        here[2] + 0.004 + Math.sin(angle) * Math.min(0.022, width * 0.62) - 0.18 * up,
      ];
      points.push({ at, ring: 9, above: 1, part: "brow", lid: null });
      mesh.positions.push(at);
      mesh.colors.push(blendRgb(PALETTE.brow, PALETTE.hairLight, 0.12 + 0.16 * Math.max(0, Math.cos(angle))));
    }
  }
  mesh.triangles.push(...gridTriangles(0, along + 1, around, true, side > 0));
  return { mesh, points };
}
