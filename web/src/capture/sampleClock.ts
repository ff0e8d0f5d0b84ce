import { SAMPLE_RATE_HZ } from "./chunker";

/**
 * When a sample was taken, from when its chunk was heard of. Messages from the audio thread come with a varying
 * delay, samples at a steady rate: so the earliest arrival seen, relative to the sample count, is the anchor. It
 * may drift later at 0.1 ms a second, which follows a sound card whose clock runs slow.
 */
export class SampleClock {
  static readonly #DRIFT = 1e-4;
  #anchorMs = Number.POSITIVE_INFINITY;
  #lastMs = 0;

  /**
   * @param firstSample number of the chunk's first sample  @param samples the chunk's length
   * @param arrivedMs when the chunk, complete, reached this thread
   * @returns when its first sample was taken, on the clock of `arrivedMs`
   */
  firstSampleAt(firstSample: number, samples: number, arrivedMs: number): number {
    const endMs = ((firstSample + samples) * 1_000) / SAMPLE_RATE_HZ;
    const allowed = this.#anchorMs + Math.max(0, arrivedMs - this.#lastMs) * SampleClock.#DRIFT;
    this.#anchorMs = Math.min(Number.isFinite(allowed) ? allowed : arrivedMs - endMs, arrivedMs - endMs);
    this.#lastMs = arrivedMs;
    return this.#anchorMs + (firstSample * 1_000) / SAMPLE_RATE_HZ;
  }
}
