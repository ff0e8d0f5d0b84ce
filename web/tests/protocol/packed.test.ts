import { expect, test } from "vitest";
import { readMessage, readMessages } from "../../src/protocol/messages";
import { readPacked } from "../../src/protocol/packed";
import golden from "./packed.json";

const packed = (hex: string): ArrayBuffer => {
  const bytes = new Uint8Array(hex.length / 2);
  for (let place = 0; place < bytes.length; place += 1) {
    bytes[place] = Number.parseInt(hex.slice(2 * place, 2 * place + 2), 16);
  }
  return bytes.buffer;
};

/** Numbers to the precision of the JSON form. */
const rounded = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, entry: unknown) =>
      entry instanceof Float32Array
        ? [...entry].map((number) => Math.round(number * 500) / 500)
        : typeof entry === "number" && !Number.isInteger(entry)
          ? Math.round(entry * 500) / 500
          : entry,
    ),
  );

test("a packed frame says what the messages of the JSON form say", () => {
  const [frame, update, ...more] = readMessages(packed(golden.packed));
  expect(more).toEqual([]);
  const wanted = readMessage(JSON.stringify(golden.avatar_frame));
  const difference = (one: unknown, other: unknown) => expect(rounded(one)).toEqual(rounded(other));
  expect(frame?.type).toBe("avatar_frame");
  if (frame?.type !== "avatar_frame" || wanted.type !== "avatar_frame") return;
  for (const [name, array] of [
    ["blendshapes", frame.blendshapes],
    ["visemes", frame.visemes],
    ["bones", frame.bones],
  ] as const) {
    for (const [place, value] of array.entries()) expect(value).toBeCloseTo(wanted[name][place] as number, 2);
  }
  difference(
    { ...frame, blendshapes: 0, visemes: 0, bones: 0, hops: 0, glow: 0, visemeConfidence: 0 },
    { ...wanted, blendshapes: 0, visemes: 0, bones: 0, hops: 0, glow: 0, visemeConfidence: 0 },
  );
  expect(frame.hops.map((hop) => hop.name)).toEqual(wanted.hops.map((hop) => hop.name));
  for (const [place, hop] of frame.hops.entries()) {
    expect(hop.atMs).toBeCloseTo(wanted.hops[place]?.atMs as number, 0);
  }
  expect(frame.glow).toBeCloseTo(wanted.glow, 2);
  const told = readMessage(JSON.stringify(golden.emotion_update));
  expect(update?.type).toBe("emotion_update");
  if (update?.type !== "emotion_update" || told.type !== "emotion_update") return;
  expect([update.emotion, update.sequence, update.sessionId]).toEqual([
    told.emotion,
    told.sequence,
    told.sessionId,
  ]);
  for (const [place, score] of update.scores.entries())
    expect(score).toBeCloseTo(told.scores[place] as number, 2);
  expect(update.valence).toBeCloseTo(told.valence, 3);
  expect(update.arousal).toBeCloseTo(told.arousal, 3);
  expect(update.speakingProbability).toBeCloseTo(told.speakingProbability, 2);
});

test("what is no packed frame is told", () => {
  const good = packed(golden.packed);
  for (const bad of [
    new ArrayBuffer(0),
    good.slice(0, 191),
    good.slice(0, 200),
    packed(`02${golden.packed.slice(2)}`),
  ]) {
    expect(readPacked(bad).map((message) => message.type)).toEqual(["malformed"]);
  }
});
