/** Words for what the log calls otherwise. Pure. */

import type { Emotion } from "../../protocol/vocabulary";
import { emotionWord } from "../emotionColors";

export const HOPS = ["transport", "ingest", "queue", "inference", "fusion"] as const;
export type Hop = (typeof HOPS)[number];

export const HOP_WORDS: Readonly<Record<Hop | "total", string>> = {
  transport: "to the server",
  ingest: "taken in",
  queue: "waiting for a worker",
  inference: "recognised",
  fusion: "waiting and fused",
  total: "capture to fused",
};

/** Told apart in light and dark, in the order of the way. */
export const HOP_COLORS: Readonly<Record<Hop, string>> = {
  transport: "sad",
  ingest: "disgust",
  queue: "happy",
  inference: "accent",
  fusion: "fear",
};

const STAGES: Readonly<Record<string, string>> = {
  ingest: "at the edge",
  face_worker: "in the face worker",
  speech_worker: "in the voice worker",
  fusion: "in fusion",
  egress: "on the way to clients",
  analytics: "in analytics",
};
export const stageWord = (stage: string): string => STAGES[stage] ?? stage;

/** `too_fast` as `Too fast`. */
export const outcomeWord = (outcome: string): string => {
  const text = outcome.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const EVENTS: Readonly<Record<string, string>> = {
  rating: "Rating",
  consent_changed: "Consent changed",
  opt_out: "Opted out",
  viewer_joined: "Somebody began to watch",
  viewer_left: "Somebody stopped watching",
  exposure: "The variant was seen",
  session_ended: "The session ended",
};
const eventWord = (kind: string): string => EVENTS[kind] ?? outcomeWord(kind);

/** What a client told: its rating, what the person said to feel, or what happened. */
export function toldWord(kind: string, value: number | null, felt: string | null): string {
  const said = felt === null ? "" : `felt ${(emotionWord[felt as Emotion] ?? felt).toLowerCase()}`;
  if (kind !== "rating") return eventWord(kind);
  if (value === null) return said === "" ? eventWord(kind) : `Said: ${said}`;
  return said === "" ? `Rated ${value} of 5` : `Rated ${value} of 5, ${said}`;
}
