import { describe, expect, it } from "vitest";
import { CHUNK_SAMPLES, Chunker } from "../../src/capture/chunker";
import { MOST_BYTES, nextQuality, sendSize } from "../../src/capture/pictureSize";
import { Resampler } from "../../src/capture/resampler";
import { SampleClock } from "../../src/capture/sampleClock";

describe("Chunker", () => {
  it("cuts 40 ms chunks whatever the blocks' size, losing nothing", () => {
    const chunker = new Chunker();
    const chunks = [128, 700, 1, 999, 128].flatMap((size) => chunker.push(new Float32Array(size).fill(0.5)));
    expect(chunks).toHaveLength(Math.floor((128 + 700 + 1 + 999 + 128) / CHUNK_SAMPLES));
    expect(chunks.map((chunk) => chunk.firstSample)).toEqual([0, 640, 1280]);
    expect(chunks[0]?.pcm[0]).toBe(16384);
  });

  it("clips", () => {
    const [chunk] = new Chunker().push(new Float32Array(CHUNK_SAMPLES).fill(-3));
    expect(chunk?.pcm[0]).toBe(-32767);
  });
});

describe("Resampler", () => {
  const tone = (hz: number, rate: number, seconds: number): Float32Array =>
    Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
  const run = (input: Float32Array, from: number): Float32Array => {
    const resampler = new Resampler(from, 16_000);
    const parts: number[] = [];
    for (let at = 0; at < input.length; at += 128)
      parts.push(...resampler.push(input.subarray(at, at + 128)));
    return Float32Array.from(parts);
  };
  const rms = (values: Float32Array): number =>
    Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

  it.each([44_100, 48_000, 96_000])("keeps a 1 kHz tone from %d Hz, in level and length", (rate) => {
    const output = run(tone(1_000, rate, 1), rate);
    expect(Math.abs(output.length - 16_000)).toBeLessThan(40);
    expect(rms(output.subarray(500, 15_500))).toBeCloseTo(Math.SQRT1_2, 2);
  });

  it("takes off what 16 kHz cannot hold", () => {
    expect(rms(run(tone(12_000, 48_000, 1), 48_000).subarray(500))).toBeLessThan(0.01);
  });

  it("copies at the same rate", () => {
    const input = tone(440, 16_000, 0.1);
    expect(run(input, 16_000)).toEqual(input);
  });
});

describe("SampleClock", () => {
  it("gives steady times from unsteady arrivals", () => {
    const clock = new SampleClock();
    let last = Number.NaN;
    for (let n = 0; n < 100; n += 1) {
      const jitter = n === 0 ? 0 : (n * 7) % 13;
      const at = clock.firstSampleAt(n * 640, 640, 1_000 + (n + 1) * 40 + jitter);
      if (n > 0) expect(at - last).toBeCloseTo(40, 1);
      last = at;
    }
    expect(last).toBeCloseTo(1_000 + 99 * 40, 0);
  });

  it("corrects itself when a chunk comes earlier than thought", () => {
    const clock = new SampleClock();
    clock.firstSampleAt(0, 640, 140);
    expect(clock.firstSampleAt(640, 640, 160)).toBeCloseTo(120);
  });
});

describe("pictures", () => {
  it("are at most 640 along, even, never enlarged", () => {
    expect(sendSize(1280, 720)).toEqual({ width: 640, height: 360 });
    expect(sendSize(480, 853)).toEqual({ width: 360, height: 640 });
    expect(sendSize(320, 240)).toEqual({ width: 320, height: 240 });
  });

  it("give up quality rather than being refused for their size", () => {
    let quality = 0.82;
    for (let i = 0; i < 20; i += 1) quality = nextQuality(quality, MOST_BYTES + 1);
    expect(quality).toBe(0.4);
    expect(nextQuality(quality, 10_000)).toBeGreaterThan(quality);
  });
});
