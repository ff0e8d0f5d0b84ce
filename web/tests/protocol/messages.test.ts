import { describe, expect, it } from "vitest";
import {
  type AvatarFrame,
  ackMessage,
  type EmotionUpdate,
  feltMessage,
  ratingMessage,
  readMessage,
} from "../../src/protocol/messages";
import { BLENDSHAPE_INDEX, BONE_INDEX, EMOTIONS, VISEME_INDEX } from "../../src/protocol/vocabulary";

const frame = (payload: unknown, rest: object = {}): string =>
  JSON.stringify({
    type: "avatar_frame",
    session_id: "s",
    timestamp_ms: 1000,
    sequence: 7,
    payload,
    ...rest,
  });

describe("avatar_frame", () => {
  it("becomes dense arrays; names outside the vocabulary are ignored", () => {
    const message = readMessage(
      frame({
        blendshapes: { jawOpen: 0.5, smile: 0.7, mouthSmileLeft: 3 },
        bone_transforms: { head_yaw: 12.5, neck_pitch: -400 },
        visemes: { aa: 0.25 },
        viseme: "aa",
        viseme_conf: 0.9,
        particles: { glow_intensity: 0.2 },
        discontinuity: true,
      }),
    ) as AvatarFrame;
    expect(message.type).toBe("avatar_frame");
    expect(message.blendshapes[BLENDSHAPE_INDEX.jawOpen]).toBe(0.5);
    expect(message.blendshapes[BLENDSHAPE_INDEX.mouthSmileLeft]).toBe(1);
    expect(message.bones[BONE_INDEX.head_yaw]).toBe(12.5);
    expect(message.bones[BONE_INDEX.neck_pitch]).toBe(-90);
    expect(message.visemes[VISEME_INDEX.aa]).toBe(0.25);
    expect(message.glow).toBe(0.2);
    expect(message.discontinuity).toBe(true);
  });

  it("takes the contract's short form, with the leading viseme only", () => {
    const message = readMessage(frame({ viseme: "oh", viseme_conf: 0.88 })) as AvatarFrame;
    expect(message.visemes[VISEME_INDEX.oh]).toBeCloseTo(0.88);
  });

  it("orders the hops by the frame's way, and prefers the picture's", () => {
    const hops_ms = {
      relayed: 50,
      fused: 40,
      speech: { captured: -99 },
      face: { captured: -5, received: 3, ingested: 4, consumed: 8, inferred: 20 },
    };
    const { hops } = readMessage(frame({}, { hops_ms })) as AvatarFrame;
    expect(hops.map((hop) => hop.name)).toEqual([
      "captured",
      "received",
      "ingested",
      "consumed",
      "inferred",
      "fused",
      "relayed",
    ]);
    expect(hops[0]?.atMs).toBe(995);
    const voiceOnly = readMessage(frame({}, { hops_ms: { ...hops_ms, face: undefined } })) as AvatarFrame;
    expect(voiceOnly.hops[0]?.atMs).toBe(901);
  });
});

describe("emotion_update", () => {
  it("gives the scores in the vocabulary's order, clamped", () => {
    const message = readMessage(
      JSON.stringify({
        type: "emotion_update",
        session_id: "s",
        timestamp_ms: 1,
        sequence: 2,
        payload: {
          emotion: "happy",
          scores: { happy: 0.78, sad: -1 },
          valence: 0.64,
          arousal: 7,
          speaking_probability: 0.86,
        },
      }),
    ) as EmotionUpdate;
    expect(message.emotion).toBe("happy");
    expect(message.scores).toHaveLength(EMOTIONS.length);
    expect(message.scores[EMOTIONS.indexOf("happy")]).toBe(0.78);
    expect(message.scores[EMOTIONS.indexOf("sad")]).toBe(0);
    expect([message.valence, message.arousal, message.speakingProbability]).toEqual([0.64, 1, 0.86]);
  });
});

describe("everything else", () => {
  it("comes back as a notice", () => {
    expect(readMessage('{"type":"skipped","count":4}')).toMatchObject({ type: "notice", kind: "skipped" });
  });

  it.each([
    "",
    "[]",
    "{",
    '{"type":3}',
    '{"type":"avatar_frame"}',
    '{"type":"avatar_frame","session_id":"s","timestamp_ms":1e999,"sequence":1}',
    '{"type":"avatar_frame","session_id":"s","timestamp_ms":1,"sequence":1.5}',
  ])("is malformed, not an exception: %s", (text) => {
    expect(readMessage(text).type).toBe("malformed");
  });

  it("survives payloads of wrong types", () => {
    const message = readMessage(
      frame({ blendshapes: [1], bone_transforms: null, visemes: 3, particles: "x" }),
    );
    expect(message.type).toBe("avatar_frame");
  });

  it("writes acks and ratings as the server reads them", () => {
    expect(JSON.parse(ackMessage(5, 1234.5))).toEqual({
      type: "ack",
      sequence: 5,
      rendered_at_us: 1_234_500,
    });
    expect(JSON.parse(ratingMessage(5, 4))).toEqual({ type: "rating", sequence: 5, value: 4 });
    expect(JSON.parse(feltMessage(5, "fear"))).toEqual({ type: "rating", sequence: 5, felt: "fear" });
  });
});
