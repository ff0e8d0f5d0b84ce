import { Euler } from "three";
import { describe, expect, it } from "vitest";
import { type Gaze, gazeOf, settleLids } from "../../src/avatar/gaze";
import { Rig } from "../../src/avatar/rig";
import { Springs } from "../../src/avatar/spring";
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

describe("gaze", () => {
  const look = (given: Partial<Record<Blendshape, number>>, side = 1): Gaze => {
    const into = { yaw: 0, pitch: 0 };
    gazeOf(weights(given), side, into);
    return into;
  };

  it("goes to the subject's left when the left eye looks out and the right one in", () => {
    expect(look({ eyeLookOutLeft: 1 }).yaw).toBeGreaterThan(0.3);
    expect(look({ eyeLookInRight: 1 }, -1).yaw).toBeGreaterThan(0.3);
    expect(look({ eyeLookDownLeft: 1 }).pitch).toBeGreaterThan(0.3);
    expect(look({ eyeLookUpLeft: 1 }).pitch).toBeLessThan(-0.25);
  });

  it("turns the rig's eyes, although a blink takes the lids", () => {
    const rig = new Rig();
    const pose = neutralPose();
    pose.blendshapes[BLENDSHAPE_INDEX.eyeLookDownLeft] = 1;
    pose.blendshapes[BLENDSHAPE_INDEX.eyeBlinkLeft] = 1;
    settle(rig, pose, 1);
    expect(new Euler().setFromQuaternion(rig.leftEye, "YXZ").x).toBeGreaterThan(0.3);
    expect(rig.weights[BLENDSHAPE_INDEX.eyeLookDownLeft]).toBeLessThan(0.05);
  });

  it("leaves a full blink alone with its lids, and half of what else moves them to half a blink", () => {
    const both = weights({ eyeBlinkLeft: 1, eyeSquintLeft: 0.8, eyeBlinkRight: 0.5, eyeWideRight: 0.6 });
    settleLids(both);
    expect(both[BLENDSHAPE_INDEX.eyeSquintLeft]).toBe(0);
    expect(both[BLENDSHAPE_INDEX.eyeWideRight]).toBeCloseTo(0.3, 6);
    expect(both[BLENDSHAPE_INDEX.eyeBlinkLeft]).toBe(1);
  });
});

describe("a rig that holds a pose", () => {
  it("is exactly there at once, whatever was before, and stays", () => {
    const pose = neutralPose();
    pose.blendshapes[BLENDSHAPE_INDEX.jawOpen] = 0.5;
    pose.bones[BONE_INDEX.head_yaw] = 20;
    pose.glow = 0.25;
    const fresh = new Rig();
    fresh.hold(pose);
    const used = new Rig();
    settle(used, null, 3);
    used.hold(pose);
    used.hold(pose);
    expect(used.weights[BLENDSHAPE_INDEX.jawOpen]).toBe(0.5);
    expect([...used.weights]).toEqual([...fresh.weights]);
    expect(used.head.toArray()).toEqual(fresh.head.toArray());
    expect(new Euler().setFromQuaternion(used.head, "YXZ").y).toBeCloseTo((20 * Math.PI) / 180, 9);
    expect([used.glow, used.lift]).toEqual([0.25, fresh.lift]);
  });
});
