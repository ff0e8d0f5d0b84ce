/** 16 kHz, and 40 ms a chunk: what the speech path works in. */
export const SAMPLE_RATE_HZ = 16_000;
export const CHUNK_SAMPLES = 640;

/** A full chunk, and the number of the input's sample (from 0, at 16 kHz) that it starts with. */
export interface PcmChunk {
  readonly pcm: Int16Array<ArrayBuffer>;
  readonly firstSample: number;
}

/** Cuts a stream of samples in [-1, 1] into chunks of signed 16-bit PCM. Pure. */
export class Chunker {
  #chunk = new Int16Array(CHUNK_SAMPLES);
  #filled = 0;
  #started = 0;

  push(samples: Float32Array): PcmChunk[] {
    const chunks: PcmChunk[] = [];
    for (const sample of samples) {
      const clipped = Math.max(-1, Math.min(1, sample));
      this.#chunk[this.#filled] = Math.round(clipped * 32_767);
      this.#filled += 1;
      if (this.#filled === CHUNK_SAMPLES) {
        chunks.push({ pcm: this.#chunk, firstSample: this.#started });
        this.#started += CHUNK_SAMPLES;
        this.#chunk = new Int16Array(CHUNK_SAMPLES);
        this.#filled = 0;
      }
    }
    return chunks;
  }
}
