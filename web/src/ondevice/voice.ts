/**
 * Voice activity from loudness and periodicity, 40 ms at a time: no network, so it takes other periodic sounds (music,
 * an engine) for a voice, which the server's detector does not. Pure.
 */

import { energyDbfs, periodicity } from "./spectrum";

/** Sound this much above the room's noise counts as nothing at the first level and fully from the second on. */
const NOISE_DB = { nothing: 3, full: 8 } as const;
/** Nothing this quiet is speech to anyone, whatever the room. */
const QUIETEST_DBFS = -60;
/** The room's noise is learned fast when it is quieter than thought, slowly (1.5 dB a second) when louder. */
const NOISE_FALL = 0.3;
const NOISE_RISE_DB = 0.06;
/** Periodicity that means nothing, and that is surely a voice. */
const VOICED = { nothing: 0.4, full: 0.65 } as const;
/** From 1 to below 0.3 in 8 hops, 320 ms: bridges closures and consonants without a voice inside words. */
const RELEASE = 0.85;

const share = (value: number, range: { readonly nothing: number; readonly full: number }): number =>
  Math.min(1, Math.max(0, (value - range.nothing) / (range.full - range.nothing)));

export class Voice {
  #noiseDb: number | null = null;
  #probability = 0;

  /** @param hop 40 ms of samples, −1..1  @returns the speaking probability and the loudness */
  hear(hop: ArrayLike<number>): { speaking: number; energyDbfs: number } {
    const db = energyDbfs(hop);
    const noise = this.#noiseDb ?? db;
    this.#noiseDb = db < noise ? noise + NOISE_FALL * (db - noise) : Math.min(db, noise + NOISE_RISE_DB);
    const above = db <= QUIETEST_DBFS ? 0 : share(db - this.#noiseDb, NOISE_DB);
    const voiced = above === 0 ? 0 : share(periodicity(hop), VOICED);
    this.#probability = Math.max(above * voiced, this.#probability * RELEASE);
    return { speaking: this.#probability, energyDbfs: db };
  }
}
