/**
 * Payloads of the media framing's kinds 4 and 5: what was found out of a face or of speech, instead of pictures or
 * sound. Little-endian, versioned by the first byte, described in docs/protocol.md.
 */

import { BLENDSHAPES, EMOTIONS, VISEMES } from "./vocabulary";

const LAYOUT_VERSION = 1;
const DETECTED = 1;
const FACE_HEAD_BYTES = 12;
const SPEECH_HEAD_BYTES = 8;
/** Confidence, emotions, three of affect, Action Units, blendshapes, seven of the head and eyes, the box. */
const AUS = 20;
const FACE_FLOATS = 1 + EMOTIONS.length + 3 + AUS + BLENDSHAPES.length + 7 + 4;
/** Speaking and energy, emotions and six about them, visemes and their confidence. */
const SPEECH_FLOATS = 2 + EMOTIONS.length + 6 + VISEMES.length + 1;

/** What one picture shows of a face; vectors in the order of the vocabulary. */
export interface FaceFeatures {
  readonly confidence: number;
  readonly scores: readonly number[];
  /** Valence, arousal, dominance. */
  readonly affect: readonly number[];
  readonly aus: readonly number[];
  readonly blendshapes: readonly number[];
  /** Yaw, pitch, roll in degrees. */
  readonly pose: readonly number[];
  readonly gaze: readonly number[];
  /** Left, right. */
  readonly blink: readonly number[];
  /** x, y, width, height as shares of the picture. */
  readonly box: readonly number[];
  readonly faceCount: number;
  readonly trackId: number;
}

/** What 40 ms of sound say. No emotion: the page has no model for it. */
export interface SpeechFeatures {
  readonly speaking: number;
  readonly energyDbfs: number;
  readonly visemes: readonly number[];
  readonly visemeConfidence: number;
}

/**
 * @param face null: the picture shows none
 * @param engine `name@version` in ASCII
 * @param inferenceUs from the capture to the end of the inference
 */
export function facePayload(
  face: FaceFeatures | null,
  engine: string,
  inferenceUs: number,
): Uint8Array<ArrayBuffer> {
  const { bytes, view } = blank(FACE_HEAD_BYTES, FACE_FLOATS, engine, inferenceUs);
  view.setUint8(1, face === null ? 0 : DETECTED);
  view.setUint8(2, face?.faceCount ?? 0);
  view.setInt32(8, face?.trackId ?? -1, true);
  if (face !== null) {
    const { confidence, scores, affect, aus, blendshapes, pose, gaze, blink, box } = face;
    const numbers = [
      confidence,
      ...scores,
      ...affect,
      ...aus,
      ...blendshapes,
      ...pose,
      ...gaze,
      ...blink,
      ...box,
    ];
    fill(view, FACE_HEAD_BYTES, numbers, FACE_FLOATS);
  }
  return bytes;
}

/** As {@link facePayload}, of the 40 ms of sound that end at the message's capture time. */
export function speechPayload(
  speech: SpeechFeatures,
  engine: string,
  inferenceUs: number,
): Uint8Array<ArrayBuffer> {
  const { bytes, view } = blank(SPEECH_HEAD_BYTES, SPEECH_FLOATS, engine, inferenceUs);
  const noEmotion = new Array<number>(EMOTIONS.length + 6).fill(0);
  const { speaking, energyDbfs, visemes, visemeConfidence } = speech;
  const numbers = [speaking, energyDbfs, ...noEmotion, ...visemes, visemeConfidence];
  fill(view, SPEECH_HEAD_BYTES, numbers, SPEECH_FLOATS);
  return bytes;
}

function blank(
  head: number,
  floats: number,
  engine: string,
  inferenceUs: number,
): { bytes: Uint8Array<ArrayBuffer>; view: DataView } {
  const name = new TextEncoder().encode(engine);
  const bytes = new Uint8Array(head + 4 * floats + name.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, LAYOUT_VERSION);
  view.setUint8(3, name.length);
  view.setUint32(4, Math.max(0, Math.round(inferenceUs)), true);
  bytes.set(name, head + 4 * floats);
  return { bytes, view };
}

function fill(view: DataView, start: number, numbers: readonly number[], expected: number): void {
  if (numbers.length !== expected)
    throw new RangeError(`${numbers.length} numbers: ${expected} were expected`);
  for (const [index, value] of numbers.entries()) view.setFloat32(start + 4 * index, value, true);
}
