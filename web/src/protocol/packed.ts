/** Frames in the packed form of `affectstream.binary`: 192 bytes and the session's id. Mirrors `egress/packed.py`. */

import type { AvatarFrame, EmotionUpdate, Hop, Malformed } from "./messages";
import { BLENDSHAPES, BONES, EMOTIONS, VISEMES } from "./vocabulary";

const VERSION = 1;
const HEAD_BYTES = 192;
const DISCONTINUITY = 1;
/** `emotion_update` is told with every third frame, as in the other forms. */
const EMOTION_EVERY = 3;

const AT = {
  flags: 1,
  idLength: 2,
  sequence: 4,
  capturedUs: 8,
  fused: 16,
  faceHops: 24,
  speechHops: 44,
  emotions: 64,
  levels: 71,
  blendshapes: 99,
  visemes: 151,
  affect: 166,
  angles: 176,
} as const;
const SAMPLE_HOPS = ["captured", "received", "ingested", "consumed", "inferred"] as const;
const FRAME_HOPS = ["fused", "relayed"] as const;
/** Places in the frame's angles, hundredths of a degree; body_slouch is a level. */
const ANGLES: Readonly<Record<string, number>> = {
  head_yaw: 3,
  head_pitch: 4,
  head_roll: 5,
  neck_pitch: 6,
  body_lean: 7,
};
const LEVELS = { speakingProbability: 0, visemeConfidence: 1, glow: 6, bodySlouch: 7 } as const;

const decoder = new TextDecoder();

function shares(view: DataView, at: number, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let place = 0; place < count; place += 1) values[place] = view.getUint8(at + place) / 255;
  return values;
}

function strongest(values: Float32Array): number {
  let best = 0;
  for (let place = 1; place < values.length; place += 1) {
    if ((values[place] as number) > (values[best] as number)) best = place;
  }
  return best;
}

function readHops(view: DataView, timestampMs: number): Hop[] {
  const known = (at: number): boolean => !Number.isNaN(view.getFloat32(at, true));
  const sample = known(AT.faceHops) ? AT.faceHops : known(AT.speechHops) ? AT.speechHops : null;
  const at = (name: string, place: number): Hop => ({
    name,
    atMs: timestampMs + view.getFloat32(place, true),
  });
  return [
    ...(sample === null ? [] : SAMPLE_HOPS.map((name, number) => at(name, sample + 4 * number))),
    ...FRAME_HOPS.map((name, number) => at(name, AT.fused + 4 * number)),
  ];
}

/** Reads one packed frame, and the update that goes with it. Never throws. */
export function readPacked(data: ArrayBuffer): readonly (AvatarFrame | EmotionUpdate | Malformed)[] {
  const view = new DataView(data);
  if (data.byteLength < HEAD_BYTES || view.getUint8(0) !== VERSION) {
    return [{ type: "malformed", reason: "no packed frame of a version that is known" }];
  }
  const idLength = view.getUint8(AT.idLength);
  if (data.byteLength !== HEAD_BYTES + idLength) {
    return [{ type: "malformed", reason: "a packed frame of another length" }];
  }
  const head = {
    sessionId: decoder.decode(new Uint8Array(data, HEAD_BYTES, idLength)),
    timestampMs: Math.floor(Number(view.getBigInt64(AT.capturedUs, true)) / 1_000),
    sequence: view.getUint32(AT.sequence, true),
  };
  const level = (place: number): number => view.getUint8(AT.levels + place) / 255;
  const visemes = shares(view, AT.visemes, VISEMES.length);
  const bones = new Float32Array(BONES.length);
  for (const [place, name] of BONES.entries()) {
    const angle = ANGLES[name];
    bones[place] =
      angle === undefined ? level(LEVELS.bodySlouch) : view.getInt16(AT.angles + 2 * angle, true) / 100;
  }
  const frame: AvatarFrame = {
    type: "avatar_frame",
    ...head,
    blendshapes: shares(view, AT.blendshapes, BLENDSHAPES.length),
    visemes,
    bones,
    viseme: VISEMES[strongest(visemes)] as string,
    visemeConfidence: level(LEVELS.visemeConfidence),
    glow: level(LEVELS.glow),
    discontinuity: (view.getUint8(AT.flags) & DISCONTINUITY) !== 0,
    hops: readHops(view, head.timestampMs),
  };
  if (head.sequence % EMOTION_EVERY !== 0) return [frame];
  const scores = shares(view, AT.emotions, EMOTIONS.length);
  const update: EmotionUpdate = {
    type: "emotion_update",
    ...head,
    emotion: EMOTIONS[strongest(scores)] as (typeof EMOTIONS)[number],
    scores: [...scores],
    valence: view.getInt16(AT.affect, true) / 10_000,
    arousal: view.getInt16(AT.affect + 2, true) / 10_000,
    speakingProbability: level(LEVELS.speakingProbability),
  };
  return [frame, update];
}
