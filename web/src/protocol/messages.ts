/** Messages of the avatar socket: parsed once, into dense arrays that a frame loop can use without allocation. */

import { readPacked } from "./packed";
import {
  BLENDSHAPE_INDEX,
  BLENDSHAPES,
  BONE_INDEX,
  BONES,
  EMOTIONS,
  type Emotion,
  VISEME_INDEX,
  VISEMES,
} from "./vocabulary";

/** One station of a frame's way and when it was passed, milliseconds since the epoch on the server's clock. */
export interface Hop {
  readonly name: string;
  readonly atMs: number;
}

/** Stations of a sample before fusion, in order. */
const SAMPLE_HOPS = ["captured", "received", "ingested", "consumed", "inferred"] as const;
/** Stations of the frame itself, in order. */
const FRAME_HOPS = ["fused", "relayed"] as const;

export interface AvatarFrame {
  readonly type: "avatar_frame";
  readonly sessionId: string;
  readonly timestampMs: number;
  readonly sequence: number;
  /** Weights 0..1 in the order of BLENDSHAPES. */
  readonly blendshapes: Float32Array;
  /** Weights 0..1 in the order of VISEMES. */
  readonly visemes: Float32Array;
  /** Degrees in the order of BONES; body_slouch is 0..1. */
  readonly bones: Float32Array;
  readonly viseme: string;
  readonly visemeConfidence: number;
  readonly glow: number;
  readonly discontinuity: boolean;
  /** From the capture of the sample that counted (the picture, or the sound where there is none) to the relay. */
  readonly hops: readonly Hop[];
}

export interface EmotionUpdate {
  readonly type: "emotion_update";
  readonly sessionId: string;
  readonly timestampMs: number;
  readonly sequence: number;
  readonly emotion: Emotion;
  /** 0..1 in the order of EMOTIONS. */
  readonly scores: readonly number[];
  readonly valence: number;
  readonly arousal: number;
  readonly speakingProbability: number;
}

/** Anything else that the server says about the connection. */
export interface ServerNotice {
  readonly type: "notice";
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Malformed {
  readonly type: "malformed";
  readonly reason: string;
}

export type ServerMessage = AvatarFrame | EmotionUpdate | ServerNotice | Malformed;

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const fields = (value: unknown): Fields => (isFields(value) ? value : {});
const finite = (value: unknown, otherwise: number): number =>
  typeof value === "number" && Number.isFinite(value) ? value : otherwise;
const within = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));
const weight = (value: unknown): number => within(finite(value, 0), 0, 1);

function dense(
  names: readonly string[],
  index: Readonly<Record<string, number>>,
  given: Fields,
): Float32Array {
  const values = new Float32Array(names.length);
  for (const name in given) {
    const place = index[name];
    if (place !== undefined) values[place] = weight(given[name]);
  }
  return values;
}

function readFrame(message: Fields, head: Head): AvatarFrame {
  const payload = fields(message.payload);
  const visemes = dense(VISEMES, VISEME_INDEX, fields(payload.visemes));
  const viseme = typeof payload.viseme === "string" ? payload.viseme : "sil";
  const visemeConfidence = weight(payload.viseme_conf);
  const place = (VISEME_INDEX as Readonly<Record<string, number>>)[viseme];
  // The short form of the contract names the leading viseme only.
  if (!isFields(payload.visemes) && place !== undefined) visemes[place] = visemeConfidence;
  const transforms = fields(payload.bone_transforms);
  const bones = new Float32Array(BONES.length);
  for (const name of BONES) bones[BONE_INDEX[name]] = within(finite(transforms[name], 0), -90, 90);
  return {
    type: "avatar_frame",
    ...head,
    blendshapes: dense(BLENDSHAPES, BLENDSHAPE_INDEX, fields(payload.blendshapes)),
    visemes,
    bones,
    viseme,
    visemeConfidence,
    glow: weight(fields(payload.particles).glow_intensity),
    discontinuity: payload.discontinuity === true,
    hops: readHops(fields(message.hops_ms), head.timestampMs),
  };
}

/** `hops_ms` holds milliseconds relative to the frame's own instant; stations that are not there are left out. */
function readHops(given: Fields, timestampMs: number): Hop[] {
  const sample = isFields(given.face) ? given.face : fields(given.speech);
  const at = (stations: Fields, name: string): Hop[] => {
    const value = stations[name];
    return typeof value === "number" && Number.isFinite(value) ? [{ name, atMs: timestampMs + value }] : [];
  };
  return [
    ...SAMPLE_HOPS.flatMap((name) => at(sample, name)),
    ...FRAME_HOPS.flatMap((name) => at(given, name)),
  ];
}

function readUpdate(message: Fields, head: Head): EmotionUpdate {
  const payload = fields(message.payload);
  const given = fields(payload.scores);
  const scores = EMOTIONS.map((name) => weight(given[name]));
  const named = EMOTIONS.find((name) => name === payload.emotion);
  return {
    type: "emotion_update",
    ...head,
    emotion: named ?? EMOTIONS[scores.indexOf(Math.max(...scores))] ?? "neutral",
    scores,
    valence: within(finite(payload.valence, 0), -1, 1),
    arousal: within(finite(payload.arousal, 0), -1, 1),
    speakingProbability: weight(payload.speaking_probability),
  };
}

type Head = { sessionId: string; timestampMs: number; sequence: number };

/** Reads one text message. Never throws: what cannot be read comes back as `malformed` with its reason. */
export function readMessage(text: string): ServerMessage {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { type: "malformed", reason: "not JSON" };
  }
  if (!isFields(parsed) || typeof parsed.type !== "string") {
    return { type: "malformed", reason: "no type" };
  }
  if (parsed.type !== "avatar_frame" && parsed.type !== "emotion_update") {
    return { type: "notice", kind: parsed.type, body: parsed };
  }
  const { session_id: sessionId, timestamp_ms: timestampMs, sequence } = parsed;
  if (
    typeof sessionId !== "string" ||
    typeof timestampMs !== "number" ||
    !Number.isFinite(timestampMs) ||
    !Number.isSafeInteger(sequence)
  ) {
    return { type: "malformed", reason: `${parsed.type} without session_id, timestamp_ms or sequence` };
  }
  const head: Head = { sessionId, timestampMs, sequence: sequence as number };
  return parsed.type === "avatar_frame" ? readFrame(parsed, head) : readUpdate(parsed, head);
}

/** Reads what came over a channel or socket: text, or packed frames. Never throws. */
export const readMessages = (data: string | ArrayBuffer): readonly ServerMessage[] =>
  typeof data === "string" ? [readMessage(data)] : readPacked(data);

/** The client's report that a frame was shown; `renderedAtMs` on the server's clock. */
export const ackMessage = (sequence: number, renderedAtMs: number): string =>
  JSON.stringify({ type: "ack", sequence, rendered_at_us: Math.round(renderedAtMs * 1_000) });

/** Asks for the server's time; the answer is a notice of kind `pong` with `client_us` and `server_us`. */
export const pingMessage = (clientMs: number): string =>
  JSON.stringify({ type: "ping", client_us: Math.round(clientMs * 1_000) });

/** A person's rating of the avatar's fidelity, 1 (poor) to 5 (excellent). */
export const ratingMessage = (sequence: number, value: number): string =>
  JSON.stringify({ type: "rating", sequence, value });

/** What the person says to feel while a frame is shown, without a rating. */
export const feltMessage = (sequence: number, felt: Emotion): string =>
  JSON.stringify({ type: "rating", sequence, felt });
