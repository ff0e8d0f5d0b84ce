/**
 * The timeline buffer: frames come in as the network brings them, and go out in order, interpolated, at the
 * renderer's own pace. It stays behind the newest frame by what the network's jitter asks for, within bounds.
 *
 * Pure: time is an argument (milliseconds, any monotonic clock, one clock for all calls).
 */

import type { AvatarFrame } from "../protocol/messages";
import type { Pose } from "./pose";

export interface TimelineOptions {
  /** Least and most time that the buffer holds frames back. */
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** No frame for this long: stalled. */
  readonly stallMs: number;
  /** Frames kept; the oldest is forgotten first. */
  readonly capacity: number;
}

export const TIMELINE_DEFAULTS: TimelineOptions = {
  minDelayMs: 40,
  maxDelayMs: 500,
  stallMs: 1_000,
  capacity: 64,
};

export type PushOutcome = "used" | "duplicate" | "late";
export type TimelineState = "empty" | "live" | "stalled";

/** The baseline is the least delay seen in this many steps of the window. */
const BASELINE_STEPS = 6;
const BASELINE_STEP_MS = 500;
/** A peak of jitter is forgotten with this time constant. */
const JITTER_MEMORY_MS = 4_000;
/** The playhead runs at most this much faster or slower than time, and jumps when it is further off. */
const SLEW = 0.1;
const JUMP_MS = 250;

export class Timeline {
  readonly #options: TimelineOptions;
  readonly #frames: AvatarFrame[] = [];
  readonly #minima: number[] = [];
  #minimaSince = 0;
  #jitter = 0;
  #lastPushAt = Number.NEGATIVE_INFINITY;
  #playhead = Number.NaN;
  #playheadAt = 0;
  #shown: AvatarFrame | null = null;

  constructor(options: Partial<TimelineOptions> = {}) {
    this.#options = { ...TIMELINE_DEFAULTS, ...options };
  }

  /** The frame last shown: what an ack or a rating is about. */
  get shown(): AvatarFrame | null {
    return this.#shown;
  }

  /** How far the buffer currently stays behind the network's best, in milliseconds. */
  get delayMs(): number {
    const { minDelayMs, maxDelayMs } = this.#options;
    return Math.min(maxDelayMs, Math.max(minDelayMs, this.#jitter + minDelayMs / 2));
  }

  /** Takes a frame that arrived at `nowMs`. Late ones (older than what has been shown) are not kept. */
  push(frame: AvatarFrame, nowMs: number): PushOutcome {
    this.#measure(nowMs - frame.timestampMs, nowMs);
    this.#lastPushAt = nowMs;
    if (this.#shown !== null && frame.sequence <= this.#shown.sequence) {
      return frame.sequence === this.#shown.sequence ? "duplicate" : "late";
    }
    let place = this.#frames.length;
    while (place > 0 && (this.#frames[place - 1] as AvatarFrame).sequence > frame.sequence) place -= 1;
    if (place > 0 && this.#frames[place - 1]?.sequence === frame.sequence) return "duplicate";
    this.#frames.splice(place, 0, frame);
    if (this.#frames.length > this.#options.capacity) this.#frames.shift();
    return "used";
  }

  /** Writes the pose at `nowMs` into `pose`, which is left alone while there is none. */
  sample(nowMs: number, pose: Pose): TimelineState {
    if (this.#frames.length === 0) return "empty";
    this.#advance(nowMs);
    // Keep one frame at or before the playhead: the left side of the interpolation.
    while (this.#frames.length > 1 && (this.#frames[1] as AvatarFrame).timestampMs <= this.#playhead) {
      this.#frames.shift();
    }
    const left = this.#frames[0] as AvatarFrame;
    const right = this.#frames[1];
    if (left.timestampMs <= this.#playhead || this.#shown === null) this.#shown = left;
    if (right === undefined || right.discontinuity || left.timestampMs > this.#playhead) {
      blend(left, left, 0, pose);
    } else {
      const share = (this.#playhead - left.timestampMs) / (right.timestampMs - left.timestampMs);
      blend(left, right, share, pose);
    }
    return this.freshness(nowMs);
  }

  /** Whether frames are coming. */
  freshness(nowMs: number): TimelineState {
    if (this.#frames.length === 0) return "empty";
    return nowMs - this.#lastPushAt > this.#options.stallMs ? "stalled" : "live";
  }

  #measure(offset: number, nowMs: number): void {
    if (this.#minima.length === 0 || nowMs - this.#minimaSince >= BASELINE_STEP_MS) {
      this.#minima.push(offset);
      this.#minimaSince = nowMs;
      if (this.#minima.length > BASELINE_STEPS) this.#minima.shift();
    } else {
      const last = this.#minima.length - 1;
      this.#minima[last] = Math.min(this.#minima[last] as number, offset);
    }
    const since = Number.isFinite(this.#lastPushAt) ? nowMs - this.#lastPushAt : 0;
    const decayed = this.#jitter * Math.exp(-since / JITTER_MEMORY_MS);
    this.#jitter = Math.min(this.#options.maxDelayMs, Math.max(decayed, offset - this.#baseline()));
  }

  #baseline(): number {
    return Math.min(...this.#minima);
  }

  #advance(nowMs: number): void {
    const goal = nowMs - this.#baseline() - this.delayMs;
    const error = goal - (this.#playhead + (nowMs - this.#playheadAt));
    if (!(Math.abs(error) <= JUMP_MS)) {
      this.#playhead = goal;
    } else {
      const step = nowMs - this.#playheadAt;
      this.#playhead += step + Math.min(SLEW * step, Math.max(-SLEW * step, error));
    }
    this.#playheadAt = nowMs;
  }
}

function blend(left: AvatarFrame, right: AvatarFrame, share: number, pose: Pose): void {
  mix(left.blendshapes, right.blendshapes, share, pose.blendshapes);
  mix(left.visemes, right.visemes, share, pose.visemes);
  mix(left.bones, right.bones, share, pose.bones);
  pose.glow = left.glow + (right.glow - left.glow) * share;
}

function mix(left: Float32Array, right: Float32Array, share: number, into: Float32Array): void {
  for (let i = 0; i < into.length; i += 1) {
    const from = left[i] as number;
    into[i] = from + ((right[i] as number) - from) * share;
  }
}
