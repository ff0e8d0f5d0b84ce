/**
 * Mouth shapes from the spectrum of the last 55 ms: the server's classifier of band levels (its tables, see rules.json;
 * how it works and where its prototypes are from stands in inference_workers/speech/viseme.py). Pure.
 */

import { VISEMES } from "../protocol/vocabulary";
import rules from "./rules.json";
import { addPower, BINS, FRAME, HZ_PER_BIN, STEP } from "./spectrum";

const R = rules.viseme;
const FRAMES = 4;

/** Samples that are looked at. */
export const SPAN = FRAME + (FRAMES - 1) * STEP;

const NAMES = Object.keys(R.prototypes);
const BANDS = R.bandsHz.length - 1;
/** Level, then bands relative to the average voice's. */
const PROTOTYPES = Object.values(R.prototypes).map((levels) =>
  levels.map((db, index) => Math.max(db, R.floorDb) - (index === 0 ? 0 : (R.averageDb[index - 1] ?? 0))),
);
const BAND_OF_BIN = Int8Array.from({ length: BINS }, (_, bin) => {
  const hz = bin * HZ_PER_BIN;
  return R.bandsHz.findIndex((low, band) => band < BANDS && hz >= low && hz < (R.bandsHz[band + 1] ?? 0));
});

const share = (value: number, from: number, to: number): number =>
  Math.min(1, Math.max(0, (value - from) / (to - from)));

export class Mouth {
  /** How loud the session's loud speech is, dB of frame power; and its average band levels. */
  #loudDb = R.quietestLoudDb;
  readonly #bandsDb = [...R.averageDb];

  /**
   * Weights in the order of VISEMES, summing to 1, and the largest of them.
   *
   * @param samples the last {@link SPAN} samples, −1..1  @param speaking the speaking probability
   */
  shape(samples: ArrayLike<number>, speaking: number): { visemes: number[]; confidence: number } {
    const power = new Float64Array(BINS);
    for (let frame = 0; frame < FRAMES; frame += 1) addPower(samples, frame * STEP, power, 1 / FRAMES);
    const sums = new Float64Array(BANDS);
    let total = 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      const value = power[bin] as number;
      const band = BAND_OF_BIN[bin] as number;
      total += value;
      if (band >= 0) sums[band] = (sums[band] as number) + value;
    }
    const levelDb = 10 * Math.log10(total + 1e-12);
    const bandsDb = Array.from(sums, (sum) => Math.max(R.floorDb, 10 * Math.log10(sum + 1e-13) - levelDb));
    if (speaking >= R.spokenTo) this.#learn(levelDb, bandsDb);
    const loud = levelDb - this.#loudDb;
    const levels = [
      Math.min(3, Math.max(R.floorDb, loud)),
      ...bandsDb.map((db, band) => db - (this.#bandsDb[band] ?? 0)),
    ];
    const evidence = PROTOTYPES.map((prototype) => {
      const distance = levels.reduce(
        (sum, level, index) => sum + ((level - (prototype[index] ?? 0)) / (R.spreads[index] ?? 1)) ** 2,
        0,
      );
      return (-0.5 * distance) / R.softness;
    });
    const top = Math.max(...evidence);
    const likely = evidence.map((each) => Math.exp(each - top));
    const all = likely.reduce((sum, each) => sum + each, 0);
    const shaped = share(speaking, R.spokenFrom, R.spokenTo) * share(loud, R.unheardDb, R.heardDb);
    const visemes = VISEMES.map((name) => {
      const index = NAMES.indexOf(name);
      return index < 0 ? 1 - shaped : ((likely[index] ?? 0) / all) * shaped;
    });
    return { visemes, confidence: Math.max(...visemes) };
  }

  #learn(levelDb: number, bandsDb: readonly number[]): void {
    this.#loudDb = Math.max(levelDb, this.#loudDb - R.loudFallsDb, R.quietestLoudDb);
    if (levelDb < this.#loudDb - R.heardWithinDb) return;
    for (const [band, db] of bandsDb.entries()) {
      const known = this.#bandsDb[band] ?? 0;
      this.#bandsDb[band] = known + R.voiceWeight * (db - known);
    }
  }
}
