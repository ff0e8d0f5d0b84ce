import { expect, it } from "vitest";
import { Sequences } from "../../src/capture/sequences";

it("numbers sound and pictures apart, and a modality's kinds together", () => {
  const sequences = new Sequences();
  expect([sequences.take("jpeg"), sequences.take("jpeg"), sequences.take("faceFeatures")]).toEqual([0, 1, 2]);
  expect([sequences.take("pcm16"), sequences.take("speechFeatures")]).toEqual([0, 1]);
});

it("goes on behind what the edge has taken, and never back", () => {
  const sequences = new Sequences();
  sequences.take("pcm16");
  sequences.goOnBehind({ audio: null, video: 41 });
  expect([sequences.take("jpeg"), sequences.take("pcm16")]).toEqual([42, 1]);
  sequences.goOnBehind({ audio: 0, video: 3 });
  expect([sequences.take("jpeg"), sequences.take("pcm16")]).toEqual([43, 2]);
});
