import { describe, expect, it } from "vitest";
import { preferredCodecs, videoEncoding } from "../../src/capture/encodings";

describe("videoEncoding", () => {
  it.each([
    [640, 480, 1],
    [320, 240, 1],
    [1280, 720, 2],
    [1920, 1080, 3],
    [480, 640, 1],
    [1080, 1920, 3],
    [960, 960, 2],
  ])("makes at most 640 × 480 of %d × %d", (width, height, scale) => {
    const encoding = videoEncoding({ width, height });
    expect(encoding.scaleResolutionDownBy).toBeCloseTo(scale);
    expect(encoding.maxFramerate).toBe(30);
  });

  it("encodes no more pictures a second than are asked for", () => {
    expect(videoEncoding({}, 10).maxFramerate).toBe(10);
    expect(videoEncoding({}, 60).maxFramerate).toBe(30);
    expect(videoEncoding({}, null).maxFramerate).toBe(30);
  });

  it("leaves a camera of unknown size as it is", () => {
    expect(videoEncoding({}).scaleResolutionDownBy).toBe(1);
  });
});

describe("preferredCodecs", () => {
  const of = (...names: string[]) => names.map((mimeType) => ({ mimeType }));

  it("leaves out what the edge does not decode, the cheapest first", () => {
    const known = of(
      "video/VP9",
      "video/H264",
      "video/rtx",
      "video/VP8",
      "video/AV1",
      "video/red",
      "video/ulpfec",
    );
    expect(preferredCodecs("video", known)).toEqual(of("video/VP8", "video/H264", "video/rtx"));
    expect(preferredCodecs("audio", of("audio/red", "audio/PCMU", "audio/opus"))).toEqual(
      of("audio/opus", "audio/PCMU"),
    );
  });

  it("keeps every profile of a codec, in the browser's order", () => {
    const profiles = [
      { mimeType: "video/H264", sdpFmtpLine: "profile-level-id=42e01f" },
      { mimeType: "video/h264", sdpFmtpLine: "profile-level-id=4d001f" },
    ];
    expect(preferredCodecs("video", profiles)).toEqual(profiles);
  });
});
