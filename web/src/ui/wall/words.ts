/** The wall's words. Pure. */

import type { Entry, SessionState } from "../../wall/directory";
import { spanWord } from "../figures";

export const STATE_WORD: Readonly<Record<SessionState, string>> = {
  live: "Live",
  starting: "Starting",
  silent: "Silent",
  ended: "Ended",
};

export const STATE_DOT: Readonly<Record<SessionState, string>> = {
  live: "good",
  starting: "busy",
  silent: "warn",
  ended: "",
};

const REASONS: Readonly<Record<string, string>> = {
  client_closed: "by the person",
  deleted: "by the person",
  idle: "nobody was connected any more",
  expired: "its time was over",
  edge_shutdown: "the service stopped",
  consent_withdrawn: "consent was withdrawn",
  error: "something went wrong",
};

/** Why a session ended, for a person. */
export const reasonWord = (reason: string): string => REASONS[reason] ?? (reason || "not known");

/** A session's name on a tile: ids are long, begin with what all of a tenant have in common, and differ at the end. */
export const shortId = (sessionId: string): string =>
  sessionId.length > 10 ? `…${sessionId.slice(-8)}` : sessionId;

/** How long a session has lasted, or when it ended. */
export function ageWord({ listed }: Entry, nowMs: number): string {
  if (listed === null) return "";
  if (listed.endedAtMs !== null) return `${spanWord(nowMs - listed.endedAtMs)} ago`;
  return spanWord(nowMs - listed.startedAtMs);
}

/** Columns in which so many tiles are largest on a wide screen. */
export function columnsFor(tiles: number): number {
  if (tiles <= 1) return 1;
  if (tiles <= 4) return 2;
  return tiles <= 9 ? 3 : 4;
}
