import { describe, expect, it } from "vitest";
import { clockMessage, readControl } from "../../src/protocol/control";

describe("control messages", () => {
  it("reads what the edge says", () => {
    expect(readControl('{"type":"welcome","received":{"audio":7,"video":null}}')).toEqual({
      type: "welcome",
      received: { audio: 7, video: null },
    });
    expect(readControl('{"type":"welcome"}')).toEqual({
      type: "welcome",
      received: { audio: null, video: null },
    });
    expect(readControl('{"type":"clock_probe","server_us":1800000000123456}')).toEqual({
      type: "clock_probe",
      serverUs: 1_800_000_000_123_456,
    });
    expect(readControl('{"type":"notice","code":"too_fast","message":"slower"}')).toEqual({
      type: "notice",
      code: "too_fast",
      sentence: "slower",
    });
    expect(readControl('{"type":"rate","video_per_s":10}')).toEqual({ type: "rate", videoPerSecond: 10 });
    expect(readControl('{"type":"rate","video_per_s":null}')).toEqual({
      type: "rate",
      videoPerSecond: null,
    });
    expect(readControl('{"type":"close","code":4410,"reason":"over"}')).toEqual({
      type: "close",
      code: 4410,
      reason: "over",
    });
  });

  it.each([
    "",
    "null",
    "[]",
    "7",
    '{"type":"ack"}',
    '{"type":"rate","video_per_s":0}',
    '{"type":"clock_probe","server_us":"now"}',
    "{",
  ])("makes nothing of %j, and throws nothing", (text) => {
    expect(readControl(text)).toEqual({ type: "other" });
  });

  it("answers a probe with the probe's own time and this machine's", () => {
    expect(JSON.parse(clockMessage(5, 1_000.0004))).toEqual({
      type: "clock",
      server_us: 5,
      client_us: 1_000_000,
    });
  });
});
