/** Spectra of 25 ms of sound at 16 kHz, and the strength of voicing. Pure; as in inference_workers/speech/features.py. */

export const RATE_HZ = 16_000;
export const FRAME = 400;
export const STEP = 160;
const FFT = 512;
export const BINS = FFT / 2 + 1;
export const HZ_PER_BIN = RATE_HZ / FFT;

const HANN = Float64Array.from(
  { length: FRAME },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / FRAME),
);
const HANN_SUM = HANN.reduce((sum, each) => sum + each, 0);
const COSINES = Float64Array.from({ length: FFT / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / FFT));
const SINES = Float64Array.from({ length: FFT / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / FFT));
const REVERSED = Uint16Array.from({ length: FFT }, (_, i) => {
  let reversed = 0;
  for (let bit = 1, value = i; bit < FFT; bit <<= 1, value >>= 1) reversed = (reversed << 1) | (value & 1);
  return reversed;
});

const real = new Float64Array(FFT);
const imaginary = new Float64Array(FFT);

/**
 * Adds the power spectrum of the `FRAME` samples from `start` on to `power` (BINS), times `weight`. A sine of full scale
 * peaks at 1/4.
 */
export function addPower(
  samples: ArrayLike<number>,
  start: number,
  power: Float64Array,
  weight: number,
): void {
  real.fill(0);
  imaginary.fill(0);
  for (let i = 0; i < FRAME; i += 1)
    real[REVERSED[i] as number] = (samples[start + i] ?? 0) * (HANN[i] as number);
  transform();
  const scale = weight / (HANN_SUM * HANN_SUM);
  for (let i = 0; i < BINS; i += 1) {
    const re = real[i] as number;
    const im = imaginary[i] as number;
    power[i] = (power[i] as number) + (re * re + im * im) * scale;
  }
}

/** Cooley and Tukey's transform of what stands in `real` and `imaginary` in bit-reversed order, in place. */
function transform(): void {
  for (let half = 1; half < FFT; half *= 2) {
    const stride = FFT / (2 * half);
    for (let first = 0; first < FFT; first += 2 * half) {
      for (let k = 0; k < half; k += 1) {
        const cos = COSINES[k * stride] as number;
        const sin = -(SINES[k * stride] as number);
        const low = first + k;
        const high = low + half;
        const re = (real[high] as number) * cos - (imaginary[high] as number) * sin;
        const im = (real[high] as number) * sin + (imaginary[high] as number) * cos;
        real[high] = (real[low] as number) - re;
        imaginary[high] = (imaginary[low] as number) - im;
        real[low] = (real[low] as number) + re;
        imaginary[low] = (imaginary[low] as number) + im;
      }
    }
  }
}

const SILENCE_DBFS = -100;

/** Root mean square in dB of full scale, at least −100. */
export function energyDbfs(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) sum += (samples[i] as number) ** 2;
  return Math.max(SILENCE_DBFS, 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12));
}

/** Lags of voices between 60 and 400 Hz, at half the rate: voicing shows in the lowest kilohertz. */
const SHORTEST = 20;
const LONGEST = 133;

/**
 * How periodic sound is at the pitches of voices, 0..1: the largest normalised autocorrelation, of the mean of each two
 * samples (which also quietens hiss).
 */
export function periodicity(samples: ArrayLike<number>): number {
  const count = samples.length >> 1;
  const halved = new Float64Array(count);
  let mean = 0;
  for (let i = 0; i < count; i += 1) {
    const value = 0.5 * ((samples[2 * i] as number) + (samples[2 * i + 1] as number));
    halved[i] = value;
    mean += value / count;
  }
  let best = 0;
  for (let i = 0; i < count; i += 1) halved[i] = (halved[i] as number) - mean;
  for (let lag = SHORTEST; lag <= LONGEST && lag < count / 2; lag += 1) {
    let both = 0;
    let one = 1e-9;
    let other = 1e-9;
    for (let i = 0; i + lag < count; i += 1) {
      const a = halved[i] as number;
      const b = halved[i + lag] as number;
      both += a * b;
      one += a * a;
      other += b * b;
    }
    best = Math.max(best, both / Math.sqrt(one * other));
  }
  return best;
}
