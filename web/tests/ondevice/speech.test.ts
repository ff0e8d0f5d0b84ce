import { describe, expect, it } from "vitest";
import { Mouth, SPAN } from "../../src/ondevice/mouth";
import { energyDbfs, periodicity } from "../../src/ondevice/spectrum";
import { SpeechAnalyser } from "../../src/ondevice/speech";
import { Voice } from "../../src/ondevice/voice";
import golden from "./golden.json";

const HOP = 640;

const goldenPcm = (): Int16Array => {
  const bytes = Uint8Array.from(Buffer.from(golden.speech.pcm16, "base64"));
  return new Int16Array(bytes.buffer);
};
const samples = (pcm: Int16Array): Float32Array => Float32Array.from(pcm, (sample) => sample / 32_768);
const hops = (sound: Float32Array): Float32Array[] =>
  Array.from({ length: sound.length / HOP }, (_, index) => sound.subarray(index * HOP, (index + 1) * HOP));

/** A deterministic hiss. */
const noise = (count: number, level: number): Float32Array => {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state / 2_147_483_647 - 0.5) * 2 * level;
  });
};
/** A buzz like a voice's, with a falling spectrum. */
const voice = (count: number, hz: number, level: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) =>
    [1, 2, 3, 4, 5, 6].reduce(
      (sum, n) => sum + (Math.sin((2 * Math.PI * hz * n * i) / 16_000) / n) * level,
      0,
    ),
  );

describe("the mouth shapes of the server's speech worker", () => {
  it("come out alike for silence, vowels and a hiss", () => {
    const sound = samples(goldenPcm());
    const padded = new Float32Array(SPAN + sound.length);
    padded.set(sound, SPAN);
    const mouth = new Mouth();
    for (const [index, hop] of golden.speech.hops.entries()) {
      const end = (index + 1) * HOP;
      const { visemes, confidence } = mouth.shape(padded.subarray(end, end + SPAN), hop.speaking);
      for (const [place, weight] of hop.visemes.entries()) expect(visemes[place]).toBeCloseTo(weight, 5);
      expect(confidence).toBeCloseTo(hop.confidence, 5);
      expect(energyDbfs(sound.subarray(end - HOP, end))).toBeCloseTo(hop.energyDbfs, 5);
    }
  });
});

describe("Voice", () => {
  const speakingIn = (sound: Float32Array): number[] => {
    const listener = new Voice();
    return hops(sound).map((hop) => listener.hear(hop).speaking);
  };

  it("hears a voice over a room's noise at once, and its end within 320 ms", () => {
    const room = noise(100 * HOP, 0.003);
    const spoken = voice(20 * HOP, 140, 0.1);
    for (const [i, value] of spoken.entries()) room[50 * HOP + i] = (room[50 * HOP + i] ?? 0) + value;
    const speaking = speakingIn(room);
    expect(Math.max(...speaking.slice(0, 50))).toBeLessThan(0.3);
    expect(Math.min(...speaking.slice(51, 70))).toBeGreaterThan(0.7);
    expect(speaking[78]).toBeLessThan(0.3);
  });

  it("takes neither silence nor noise that grows for a voice", () => {
    const growing = noise(200 * HOP, 1).map((value, i) => value * 0.0005 * 1.00005 ** i);
    expect(Math.max(...speakingIn(growing))).toBeLessThan(0.3);
    expect(Math.max(...speakingIn(new Float32Array(50 * HOP)))).toBe(0);
  });
});

describe("periodicity", () => {
  it.each([70, 120, 210, 350])("is high for a voice of %i Hz", (hz) => {
    expect(periodicity(voice(HOP, hz, 0.1))).toBeGreaterThan(0.8);
  });

  it("is low for a hiss and for silence", () => {
    expect(periodicity(noise(HOP, 0.1))).toBeLessThan(0.5);
    expect(periodicity(new Float32Array(HOP))).toBe(0);
  });
});

describe("SpeechAnalyser", () => {
  it("says what the edge takes: finite numbers in range, visemes that sum to 1", () => {
    const analyser = new SpeechAnalyser();
    const loud = Int16Array.from({ length: HOP }, (_, i) => (i % 2 === 0 ? 32_767 : -32_768));
    for (const pcm of [new Int16Array(HOP), loud, goldenPcm().subarray(0, HOP)]) {
      const { speaking, energyDbfs: db, visemes, visemeConfidence } = analyser.hear(pcm);
      expect(visemes.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1);
      for (const value of [speaking, visemeConfidence, ...visemes]) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }
      expect(db).toBeGreaterThanOrEqual(-100);
      expect(db).toBeLessThanOrEqual(1);
    }
  });
});
