import { describe, expect, it } from "vitest";
import { LIGHT } from "../../model/avatar";
import { DISPLACEMENTS } from "../../model/displacements";
import type { FacePoint } from "../../model/facePoint";
import { add, EYE, eyeCenter, MOUTH, scale, type Vec3 } from "../../model/shape";
import { buildSkin } from "../../model/skinMesh";
import type { Blendshape } from "../../src/protocol/vocabulary";

const { mesh, points, lashLines } = buildSkin(LIGHT.skin);
const moved = (point: FacePoint, given: Partial<Record<Blendshape, number>>): Vec3 =>
  Object.entries(given).reduce((at, [name, weight]) => {
    const displace = DISPLACEMENTS[name as keyof typeof DISPLACEMENTS];
    return add(at, scale(weight, displace(point)));
  }, point.at);
const lip = (above: number): FacePoint =>
  points.find((point) => point.ring === 0 && Math.abs(point.above - above) < 1e-6) as FacePoint;
const gap = (given: Partial<Record<Blendshape, number>>): number =>
  moved(lip(1), given)[1] - moved(lip(-1), given)[1];

describe("the face's skin", () => {
  it("is closed but for the eyes and the rim under the hair: every other edge has two triangles", () => {
    const edges = new Map<string, number>();
    for (let t = 0; t < mesh.triangles.length; t += 3) {
      const corners = [0, 1, 2].map((k) => mesh.triangles[t + k] as number);
      corners.forEach((a, k) => {
        const b = corners[(k + 1) % 3] as number;
        const key = `${Math.min(a, b)} ${Math.max(a, b)}`;
        edges.set(key, (edges.get(key) ?? 0) + 1);
      });
    }
    for (const [edge, count] of edges) {
      expect(count).toBeLessThanOrEqual(2);
      if (count === 2) continue;
      for (const end of edge.split(" ")) {
        const point = points[Number(end)] as FacePoint;
        expect(point.lid?.out === -1 || point.at[2] < -0.4, `open at ${point.at}`).toBe(true);
      }
    }
  });

  it("faces outwards: the nose's triangles are counter-clockwise from the front", () => {
    const tip = points.reduce((best, { at }, i) => (at[2] > (points[best] as FacePoint).at[2] ? i : best), 0);
    const around = mesh.triangles.indexOf(tip);
    const first = around - (around % 3);
    const [a, b, c] = [0, 1, 2].map((k) => mesh.positions[mesh.triangles[first + k] as number]) as [
      Vec3,
      Vec3,
      Vec3,
    ];
    expect((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])).toBeGreaterThan(0);
  });
});

describe("the mouth", () => {
  it("rests closed, opens with the jaw, and closes again over an open one", () => {
    expect(gap({})).toBeCloseTo(0, 6);
    expect(gap({ jawOpen: 1 })).toBeGreaterThan(0.18);
    expect(gap({ jawOpen: 1, mouthClose: 1 })).toBeLessThan(0.06);
  });

  it("rises at the corners in a smile, on the side that is named", () => {
    const corner = (side: number): FacePoint =>
      points.find(
        ({ ring, above, at }) => ring === 0 && Math.abs(above) < 1e-6 && at[0] * side > 0,
      ) as FacePoint;
    const rise = (side: number): number => moved(corner(side), { mouthSmileLeft: 1 })[1] - corner(side).at[1];
    expect(rise(1)).toBeGreaterThan(0.09);
    expect(Math.abs(rise(-1))).toBeLessThan(0.01);
    expect(moved(corner(1), { mouthSmileLeft: 1 })[0]).toBeGreaterThan(MOUTH.halfWidth + 0.05);
  });
});

describe("the lids", () => {
  it("meet in a blink", () => {
    const edge = (above: number): FacePoint =>
      points.find(
        ({ lid }) => lid?.side === 1 && lid.out === 0 && Math.abs(lid.above - above) < 1e-6,
      ) as FacePoint;
    const open = edge(1).at[1] - edge(-1).at[1];
    expect(open).toBeGreaterThan(0.25);
    const shut = moved(edge(1), { eyeBlinkLeft: 1 })[1] - moved(edge(-1), { eyeBlinkLeft: 1 })[1];
    expect(Math.abs(shut)).toBeLessThan(0.02);
  });

  it("stay in front of the eyeball all the way through a blink", () => {
    for (const side of [1, -1]) {
      const middle = eyeCenter(side);
      for (const point of points) {
        if (point.lid?.side !== side || point.lid.out < 0 || point.lid.out > 0.6) continue;
        for (const weight of [0, 0.25, 0.5, 0.75, 1]) {
          const at = moved(point, side > 0 ? { eyeBlinkLeft: weight } : { eyeBlinkRight: weight });
          expect(Math.hypot(...add(at, scale(-1, middle)))).toBeGreaterThan(EYE.radius);
        }
      }
    }
  });

  it("carry lashes from the nose to the temple", () => {
    for (const { side, vertices } of lashLines) {
      const xs = vertices.map((vertex) => side * (mesh.positions[vertex] as Vec3)[0]);
      expect(xs).toEqual([...xs].sort((a, b) => a - b));
    }
  });
});
