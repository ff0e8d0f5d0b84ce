/**
 * Streaming sample-rate conversion by a windowed-sinc kernel (Hann, 16 zero crossings either side), for the
 * one-way trip of a microphone's rate to 16 kHz. Pure; holds the tail of its input between calls.
 */

const ZERO_CROSSINGS = 16;

export class Resampler {
  readonly #step: number;
  readonly #cutoff: number;
  readonly #half: number;
  #tail: Float32Array;
  #position: number;

  /** @param fromHz rate of the input  @param toHz rate of the output */
  constructor(fromHz: number, toHz: number) {
    this.#step = fromHz / toHz;
    this.#cutoff = Math.min(1, toHz / fromHz);
    this.#half = Math.ceil(ZERO_CROSSINGS / this.#cutoff);
    this.#tail = new Float32Array(this.#half);
    this.#position = this.#half;
  }

  /** Samples that this input completes; the output lags the input by half a kernel (1 ms at 16 kHz). */
  push(input: Float32Array): Float32Array {
    if (this.#step === 1) return input.slice();
    const data = new Float32Array(this.#tail.length + input.length);
    data.set(this.#tail);
    data.set(input, this.#tail.length);
    const last = data.length - this.#half;
    const output = new Float32Array(Math.max(0, Math.ceil((last - this.#position) / this.#step)));
    let count = 0;
    while (this.#position < last && count < output.length) {
      output[count] = this.#at(data, this.#position);
      count += 1;
      this.#position += this.#step;
    }
    const keepFrom = Math.max(0, Math.floor(this.#position) - this.#half);
    this.#tail = data.slice(keepFrom);
    this.#position -= keepFrom;
    return output.subarray(0, count);
  }

  #at(data: Float32Array, position: number): number {
    const first = Math.max(0, Math.ceil(position - this.#half));
    const end = Math.min(data.length - 1, Math.floor(position + this.#half));
    let sum = 0;
    for (let i = first; i <= end; i += 1) {
      const distance = position - i;
      const x = Math.PI * distance * this.#cutoff;
      const sinc = x === 0 ? 1 : Math.sin(x) / x;
      const hann = 0.5 + 0.5 * Math.cos((Math.PI * distance) / this.#half);
      sum += (data[i] as number) * sinc * hann;
    }
    return sum * this.#cutoff;
  }
}
