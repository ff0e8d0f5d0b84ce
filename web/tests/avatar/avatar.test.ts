import { Euler } from "three";
import { describe, expect, it } from "vitest";
import { buildBrow } from "../../src/avatar/browMesh";
import { DISPLACEMENTS, type FacePoint, jawShare } from "../../src/avatar/displacements";
import { type EyeAngles, eyeAngles } from "../../src/avatar/eyes";
import { buildFace } from "../../src/avatar/faceMesh";
import { buildHair } from "../../src/avatar/hairMesh";
import { skinFront } from "../../src/avatar/headShape";
import { Rig } from "../../src/avatar/rig";
import { Springs } from "../../src/avatar/spring";
import { Deformer, type Surface } from "../../src/avatar/surface";
import {
  BLENDSHAPE_INDEX,
  BLENDSHAPES,
  type Blendshape,
  BONE_INDEX,
  VISEME_INDEX,
} from "../../src/protocol/vocabulary";
import { neutralPose } from "../../src/stream/pose";
import { weights } from "../support";

const settle = (rig: Rig, pose: ReturnType<typeof neutralPose> | null, seconds: number): void => {
  for (let t = 0; t < seconds; t += 1 / 60) rig.update(pose, 1 / 60);
};

describe("Springs", () => {
  it("reaches its goal without overshoot", () => {
    const spring = new Springs(1);
    let last = 0;
    for (let i = 0; i < 120; i += 1) {
      spring.step(0, 1, 1 / 60, 0.1);
      const value = spring.values[0] as number;
      expect(value).toBeGreaterThanOrEqual(last);
      expect(value).toBeLessThanOrEqual(1.000001);
      last = value;
    }
    expect(last).toBeCloseTo(1, 4);
  });

  it("moves the same at any frame rate", () => {
    const at = (rate: number): number => {
      const spring = new Springs(1);
      for (let i = 0; i < rate / 10; i += 1) spring.step(0, 1, 1 / rate, 0.08);
      return spring.values[0] as number;
    };
    expect(at(30)).toBeCloseTo(at(240), 5);
  });
});

describe("Rig", () => {
  it("follows blendshapes and head, with the contract's signs", () => {
    const rig = new Rig();
    const pose = neutralPose();
    pose.blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft] = 0.8;
    pose.bones[BONE_INDEX.head_yaw] = 20;
    pose.bones[BONE_INDEX.head_roll] = 10;
    settle(rig, pose, 1.5);
    expect(rig.weights[BLENDSHAPE_INDEX.mouthSmileLeft]).toBeCloseTo(0.8, 2);
    const turn = new Euler().setFromQuaternion(rig.head, "YXZ");
    // The subject's left is +x: yaw to it is a positive turn about y, roll to it a negative one about z.
    expect(turn.y).toBeCloseTo((20 * Math.PI) / 180, 2);
    expect(turn.z).toBeCloseTo((-10 * Math.PI) / 180, 2);
  });

  /** Milliseconds until `value` has come 63 % of the way to 1. */
  const rise = (pose: ReturnType<typeof neutralPose>, value: (rig: Rig) => number): number => {
    const rig = new Rig();
    let ms = 0;
    while (value(rig) < 0.63) {
      rig.update(pose, 0.001);
      ms += 1;
    }
    return ms;
  };

  it("moves the mouth by the blendshapes alone: they carry the visemes", () => {
    const rig = new Rig();
    const pose = neutralPose();
    pose.visemes[VISEME_INDEX.aa] = 1;
    pose.blendshapes[BLENDSHAPE_INDEX.jawOpen] = 0.4;
    settle(rig, pose, 1);
    for (const name of BLENDSHAPES) {
      if (!name.startsWith("eyeBlink")) {
        expect(rig.weights[BLENDSHAPE_INDEX[name]]).toBeCloseTo(name === "jawOpen" ? 0.4 : 0, 2);
      }
    }
  });

  it("lets the mouth follow within a frame of speech", () => {
    const pose = neutralPose();
    pose.blendshapes[BLENDSHAPE_INDEX.jawOpen] = 1;
    expect(rise(pose, (rig) => rig.weights[BLENDSHAPE_INDEX.jawOpen] as number)).toBeLessThan(33);
  });

  it("cross-fades visemes in 30 to 60 ms, for models that have them instead of an ARKit mouth", () => {
    const pose = neutralPose();
    pose.visemes[VISEME_INDEX.aa] = 1;
    const ms = rise(pose, (rig) => rig.visemes[VISEME_INDEX.aa] as number);
    expect(ms).toBeGreaterThan(30);
    expect(ms).toBeLessThan(60);
  });

  it("relaxes to neutral when there is nothing to follow", () => {
    const rig = new Rig();
    const pose = neutralPose();
    pose.blendshapes.fill(1);
    pose.bones.fill(30);
    pose.glow = 1;
    settle(rig, pose, 1);
    settle(rig, null, 2.9);
    for (const name of BLENDSHAPES) {
      if (!name.startsWith("eyeBlink")) expect(rig.weights[BLENDSHAPE_INDEX[name]]).toBeLessThan(0.01);
    }
    expect(rig.glow).toBeLessThan(0.01);
    expect(2 * Math.acos(Math.min(1, rig.head.w))).toBeLessThan(0.02);
  });

  it("keeps every weight within 0..1, and survives a long pause", () => {
    const rig = new Rig();
    const pose = neutralPose();
    pose.blendshapes.fill(1);
    pose.visemes.fill(1);
    settle(rig, pose, 1);
    rig.update(pose, 30);
    for (const weight of rig.weights) {
      expect(weight).toBeGreaterThanOrEqual(0);
      expect(weight).toBeLessThanOrEqual(1);
    }
  });
});

describe("eyes", () => {
  const angles = (given: Partial<Record<Blendshape, number>>, side = 1): EyeAngles => {
    const into = { yaw: 0, pitch: 0, upperLid: 0, lowerLid: 0 };
    eyeAngles(weights(given), side, into);
    return into;
  };

  it("close on a blink, open wider when wide, and never cross", () => {
    const rest = angles({});
    const shut = angles({ eyeBlinkLeft: 1 });
    expect(shut.upperLid - shut.lowerLid).toBeLessThan(0.1);
    expect(shut.upperLid).toBeGreaterThan(shut.lowerLid);
    expect(angles({ eyeWideLeft: 1 }).upperLid).toBeGreaterThan(rest.upperLid);
    const all = angles({ eyeBlinkLeft: 1, eyeSquintLeft: 1, eyeLookDownLeft: 1, cheekSquintLeft: 1 });
    expect(all.upperLid).toBeGreaterThan(all.lowerLid);
  });

  it("look to the subject's left when the left eye looks out and the right one in", () => {
    expect(angles({ eyeLookOutLeft: 1 }).yaw).toBeGreaterThan(0.3);
    expect(angles({ eyeLookInRight: 1 }, -1).yaw).toBeGreaterThan(0.3);
    expect(angles({ eyeLookDownLeft: 1 }).pitch).toBeGreaterThan(0.3);
  });
});

describe("face", () => {
  const face = buildFace();
  const closed = (surface: Surface): void => {
    for (const value of surface.positions) expect(Number.isFinite(value)).toBe(true);
    expect(Math.max(...surface.triangles)).toBeLessThan(surface.positions.length / 3);
  };
  const middleOfLip = (above: 1 | -1): number =>
    face.points.findIndex((point: FacePoint) => point.ring === 0 && Math.abs(point.above - above) < 1e-6);
  const moved = (given: Partial<Record<Blendshape, number>>): Float32Array => {
    const deformer = new Deformer(face.surface, face.points);
    deformer.apply(weights(given));
    return deformer.positions;
  };
  const y = (positions: Float32Array, vertex: number): number => positions[vertex * 3 + 1] as number;

  it("is made of finite points and valid triangles", () => {
    closed(face.surface);
    closed(buildHair());
    closed(buildBrow(1).surface);
  });

  it("looks outwards: the nose's normal points to the front", () => {
    const deformer = new Deformer(face.surface, face.points);
    const tip = face.points.reduce((best, p, i) => (p.z > (face.points[best] as FacePoint).z ? i : best), 0);
    expect(deformer.normals[tip * 3 + 2]).toBeGreaterThan(0.8);
    for (const side of [1, -1]) {
      const brow = buildBrow(side);
      const normals = new Deformer(brow.surface, brow.points).normals;
      const front = brow.points.reduce(
        (best, p, i) => (p.z > (brow.points[best] as FacePoint).z ? i : best),
        0,
      );
      expect(normals[front * 3 + 2]).toBeGreaterThan(0.3);
    }
  });

  it("rests with its lips together, and opens them with the jaw", () => {
    const rest = moved({});
    expect(y(rest, middleOfLip(1)) - y(rest, middleOfLip(-1))).toBeCloseTo(0, 5);
    const open = moved({ jawOpen: 1 });
    expect(y(open, middleOfLip(1)) - y(open, middleOfLip(-1))).toBeGreaterThan(0.15);
    const kept = moved({ jawOpen: 1, mouthClose: 1 });
    expect(y(kept, middleOfLip(1)) - y(kept, middleOfLip(-1))).toBeLessThan(0.12);
  });

  it("moves the side that is named", () => {
    const smile = DISPLACEMENTS.mouthSmileLeft;
    const corner = (side: number): FacePoint => ({
      x: side * 0.23,
      y: -0.5,
      z: 0.7,
      ring: 0,
      above: 0,
      part: "skin",
    });
    expect(smile?.(corner(1))[1]).toBeGreaterThan(0.08);
    expect(Math.abs(smile?.(corner(-1))[1] ?? 1)).toBeLessThan(0.01);
  });

  it("answers to every shape but those of the eyes and the tongue", () => {
    const still = BLENDSHAPES.filter((name) => DISPLACEMENTS[name] === undefined);
    expect(still.every((name) => name.startsWith("eye") || name === "tongueOut")).toBe(true);
  });

  it("keeps the upper lip, the brows and the back of the head off the jaw", () => {
    expect(jawShare({ x: 0, y: -0.45, z: 0.8, ring: 0.1, above: 1, part: "skin" })).toBe(0);
    expect(jawShare({ x: 0, y: 0.4, z: 0.8, ring: 9, above: 1, part: "brow" })).toBe(0);
    expect(jawShare({ x: 0, y: -0.6, z: -0.8, ring: 4, above: -1, part: "skin" })).toBe(0);
  });

  it("finds the skin's front at a place", () => {
    for (const [px, py] of [
      [0, -0.5],
      [0.34, 0.06],
      [-0.5, 0.4],
    ] as const) {
      const [x, yFound, z] = skinFront(px, py).point;
      expect(x).toBeCloseTo(px, 2);
      expect(yFound).toBeCloseTo(py, 2);
      expect(z).toBeGreaterThan(0.3);
    }
  });
});
