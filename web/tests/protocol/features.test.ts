import { describe, expect, it } from "vitest";
import { facePayload, speechPayload } from "../../src/protocol/features";
import golden from "../ondevice/golden.json";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("feature payloads", () => {
  it("of a face are what the server writes for the same face", () => {
    const { engine, inferenceUs, bytes, ...face } = golden.payloads.face;
    expect(hex(facePayload(face, engine, inferenceUs))).toBe(bytes);
  });

  it("of speech are what the server writes for the same speech", () => {
    const { engine, inferenceUs, bytes, ...speech } = golden.payloads.speech;
    expect(hex(speechPayload(speech, engine, inferenceUs))).toBe(bytes);
  });

  it("without a face hold zeros only", () => {
    const bytes = facePayload(null, "a@1", 5);
    expect([...bytes.subarray(0, 12)]).toEqual([1, 0, 0, 3, 5, 0, 0, 0, 255, 255, 255, 255]);
    expect(bytes.subarray(12, 388).every((byte) => byte === 0)).toBe(true);
    expect(bytes).toHaveLength(391);
  });

  it("refuse vectors of the wrong length", () => {
    const { engine, inferenceUs, ...speech } = golden.payloads.speech;
    expect(() => speechPayload({ ...speech, visemes: [1] }, engine, inferenceUs)).toThrow(RangeError);
  });
});
