import { describe, expect, it } from "vitest";
import { decodeMedia, encodeMedia, HEADER_BYTES } from "../../src/protocol/media";

describe("media framing", () => {
  it("writes kind, zeros, sequence and capture time in little-endian, then the payload", () => {
    const message = encodeMedia("jpeg", 0x01020304, 0x0005_0607_0809_0a0b, Uint8Array.of(9, 8));
    expect([...message]).toEqual([3, 0, 0, 0, 4, 3, 2, 1, 0x0b, 0x0a, 0x09, 0x08, 0x07, 0x06, 0x05, 0, 9, 8]);
  });

  it.each(["pcm16", "opus", "jpeg"] as const)("reads %s as it was written", (kind) => {
    const message = encodeMedia(kind, 4_294_967_295, 1_763_800_000_123_456, Uint8Array.of(1, 2, 3));
    expect(decodeMedia(message)).toEqual({
      kind,
      sequence: 4_294_967_295,
      capturedAtUs: 1_763_800_000_123_456,
      payload: Uint8Array.of(1, 2, 3),
    });
  });

  it("refuses what is too short or of an unknown kind", () => {
    expect(decodeMedia(new Uint8Array(HEADER_BYTES - 1))).toBeNull();
    expect(decodeMedia(new Uint8Array(HEADER_BYTES))).toBeNull();
  });
});
