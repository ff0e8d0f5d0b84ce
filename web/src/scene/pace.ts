/** Chooses the pixel ratio by how fast frames come, downwards only. Pure: time is an argument. */

const STEPS = [0.5, 0.75, 1, 1.5, 2] as const;
/** Frames are judged in windows of this many seconds. */
const WINDOW_S = 2;
/** Slower than this share of what is wanted: too slow. */
const SLOW = 0.65;

export class Pace {
  #step: number;
  readonly #slowFps: number;
  #elapsed = 0;
  #frames = 0;

  /** @param wanted the pixel ratio to begin with  @param framesPerSecond what it shall be drawn at */
  constructor(wanted: number, framesPerSecond: number) {
    this.#slowFps = SLOW * framesPerSecond;
    this.#step = Math.max(
      0,
      STEPS.findLastIndex((step) => step <= wanted + 0.01),
    );
  }

  /** Counts a frame that took `dt` seconds; returns a new ratio when it should change. */
  frame(dt: number): number | null {
    // A hidden page or a stopped machine says nothing about speed.
    if (dt > 0.5) return null;
    this.#elapsed += dt;
    this.#frames += 1;
    if (this.#elapsed < WINDOW_S) return null;
    const fps = this.#frames / this.#elapsed;
    this.#elapsed = 0;
    this.#frames = 0;
    if (fps >= this.#slowFps || this.#step === 0) return null;
    this.#step -= 1;
    return STEPS[this.#step] ?? null;
  }
}
