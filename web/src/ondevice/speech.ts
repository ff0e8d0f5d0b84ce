/** From 40 ms of sound to the speech features that are sent. Pure. */

import type { SpeechFeatures } from "../protocol/features";
import { Mouth, SPAN } from "./mouth";
import { Voice } from "./voice";

const FULL_SCALE = 32_768;

export class SpeechAnalyser {
  readonly #voice = new Voice();
  readonly #mouth = new Mouth();
  readonly #recent = new Float32Array(SPAN);

  /** @param pcm the next 640 samples of 16 kHz sound */
  hear(pcm: Int16Array): SpeechFeatures {
    const hop = Float32Array.from(pcm, (sample) => sample / FULL_SCALE);
    this.#recent.copyWithin(0, hop.length);
    this.#recent.set(hop, SPAN - hop.length);
    const { speaking, energyDbfs } = this.#voice.hear(hop);
    const { visemes, confidence } = this.#mouth.shape(this.#recent, speaking);
    return { speaking, energyDbfs, visemes, visemeConfidence: confidence };
  }
}
