/**
 * The avatar's control loop: a pose from the stream in, smoothed weights and bone rotations out. No React and no
 * scene; the scene's models read `weights` and `bones` after each `update`.
 */

import { Quaternion, Vector3 } from "three";
import { BLENDSHAPE_INDEX, BLENDSHAPES, BONE_INDEX, VISEMES } from "../protocol/vocabulary";
import { neutralPose, type Pose } from "../stream/pose";
import { type Gaze, gazeOf, settleLids } from "./gaze";
import { Springs } from "./spring";

/** Lag in seconds that the client's own smoothing adds; the mouth's is short, since a sound lasts 80 ms. */
const TAU = {
  face: 0.03,
  mouth: 0.015,
  eyes: 0.015,
  viseme: 0.045,
  bones: 0.05,
  glow: 0.15,
  relax: 0.35,
} as const;

/** A blink of the resting face, in seconds: every so often, and how long. */
const IDLE_BLINK = { everyS: 4.1, lastsS: 0.18 } as const;
const BREATH = { everyS: 4.6, pitchDeg: 0.5, riseUnits: 0.012 } as const;

/** Each shape's own lag. */
const LAG = BLENDSHAPES.map((name) => {
  if (name.startsWith("eye")) return TAU.eyes;
  return /^(jaw|mouth|tongue)/.test(name) ? TAU.mouth : TAU.face;
});
const RADIANS = Math.PI / 180;
const X = new Vector3(1, 0, 0);
const Y = new Vector3(0, 1, 0);
const Z = new Vector3(0, 0, 1);

export class Rig {
  /**
   * Smoothed ARKit weights 0..1 in the order of BLENDSHAPES. They are the whole face: while a person speaks, the
   * server has the visemes move the mouth's shapes.
   */
  readonly weights = new Float32Array(BLENDSHAPES.length);
  readonly #mouth = new Springs(VISEMES.length);
  /**
   * Smoothed viseme weights 0..1 in the order of VISEMES, for a model that has viseme morphs and no ARKit mouth:
   * such a model leaves the shapes jaw…, mouth… and tongue… of `weights` alone.
   */
  readonly visemes: Float32Array = this.#mouth.values;
  readonly head = new Quaternion();
  readonly neck = new Quaternion();
  readonly body = new Quaternion();
  readonly leftEye = new Quaternion();
  readonly rightEye = new Quaternion();
  /** Lift of the shoulders by breath, down by slouch, in model units. */
  lift = 0;
  glow = 0;

  readonly #face = new Springs(BLENDSHAPES.length);
  readonly #levels = new Springs(2);
  readonly #rest = neutralPose();
  readonly #goal = new Quaternion();
  readonly #turn = new Quaternion();
  readonly #gaze: Gaze = { yaw: 0, pitch: 0 };
  #presence = 0;
  #time = 0;

  /**
   * Advances by `dt` seconds towards `pose`; null means that there is nothing to follow, and the face relaxes to
   * neutral, breathing and blinking.
   */
  update(pose: Pose | null, dt: number): void {
    const step = Math.min(dt, 0.1);
    this.#time += step;
    const relaxed = pose === null;
    this.#presence += ((relaxed ? 0 : 1) - this.#presence) * (1 - Math.exp(-step / TAU.relax));
    this.#updateFace(pose ?? this.#rest, relaxed, step);
    this.#updateBones(pose ?? this.#rest, relaxed, step);
  }

  /** Takes `pose` exactly as it is, at once: no smoothing, no breath, no blink of the page's own. */
  hold(pose: Pose): void {
    this.#presence = 1;
    this.#time = 0;
    this.#updateFace(pose, false, Number.POSITIVE_INFINITY);
    this.#updateBones(pose, false, Number.POSITIVE_INFINITY);
  }

  #updateFace(goal: Pose, relaxed: boolean, dt: number): void {
    for (let i = 0; i < this.weights.length; i += 1) {
      this.#face.step(i, goal.blendshapes[i] as number, dt, relaxed ? TAU.relax : (LAG[i] as number));
      this.weights[i] = clamp01(this.#face.values[i] as number);
    }
    for (let i = 0; i < VISEMES.length; i += 1) {
      this.#mouth.step(i, goal.visemes[i] as number, dt, relaxed ? TAU.relax : TAU.viseme);
    }
    const blink = (1 - this.#presence) * idleBlink(this.#time);
    for (const name of ["eyeBlinkLeft", "eyeBlinkRight"] as const) {
      const place = BLENDSHAPE_INDEX[name];
      this.weights[place] = Math.max(this.weights[place] as number, blink);
    }
    this.#look(this.leftEye, 1);
    this.#look(this.rightEye, -1);
    settleLids(this.weights);
    this.#levels.step(0, goal.glow, dt, TAU.glow);
    this.glow = clamp01(this.#levels.values[0] as number);
  }

  #updateBones(goal: Pose, relaxed: boolean, dt: number): void {
    const share = 1 - Math.exp(-dt / (relaxed ? TAU.relax : TAU.bones));
    const breath = Math.sin((2 * Math.PI * this.#time) / BREATH.everyS);
    const [yaw, pitch, roll, neckPitch, lean] = (
      ["head_yaw", "head_pitch", "head_roll", "neck_pitch", "body_lean"] as const
    ).map((name) => (goal.bones[BONE_INDEX[name]] as number) * RADIANS) as [
      number,
      number,
      number,
      number,
      number,
    ];
    this.#turnTo(this.head, yaw, pitch + breath * BREATH.pitchDeg * RADIANS, roll, share);
    this.#turnTo(this.neck, 0, neckPitch, 0, share);
    this.#turnTo(this.body, 0, lean, 0, share);
    this.#levels.step(1, goal.bones[BONE_INDEX.body_slouch] as number, dt, relaxed ? TAU.relax : TAU.bones);
    this.lift = breath * BREATH.riseUnits - 0.12 * (this.#levels.values[1] as number);
  }

  /** The eye shapes are smoothed already. */
  #look(eye: Quaternion, side: number): void {
    gazeOf(this.weights, side, this.#gaze);
    eye.setFromAxisAngle(Y, this.#gaze.yaw).multiply(this.#turn.setFromAxisAngle(X, this.#gaze.pitch));
  }

  /** SLERP towards yaw (about y), then pitch (x), then roll; positive roll tilts to the subject's left, which is −z. */
  #turnTo(bone: Quaternion, yaw: number, pitch: number, roll: number, share: number): void {
    this.#goal.setFromAxisAngle(Y, yaw);
    this.#goal.multiply(this.#turn.setFromAxisAngle(X, pitch));
    this.#goal.multiply(this.#turn.setFromAxisAngle(Z, -roll));
    bone.slerp(this.#goal, share);
  }
}

const clamp01 = (value: number): number => Math.min(1, Math.max(0, value));

function idleBlink(time: number): number {
  const phase = time % IDLE_BLINK.everyS;
  return phase < IDLE_BLINK.lastsS ? Math.sin((Math.PI * phase) / IDLE_BLINK.lastsS) : 0;
}
