/** What to do when a peer connection fails. Pure. */

import { closeSentence, isEnd, isFinal } from "../protocol/closeCodes";
import { WhipError } from "./whip";

export type Failure =
  /** The edge said that it closes, with a code of closeCodes. */
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  /** The offer was not taken. */
  | { readonly kind: "offer"; readonly error: unknown }
  /** The offer was taken, but nothing came through in time. */
  | { readonly kind: "unreachable" }
  /** It was connected, and is no more. */
  | { readonly kind: "lost" };

export type Remedy =
  /** The session is over, in good order. */
  | { readonly kind: "finished" }
  /** Another try cannot succeed, whatever the transport. */
  | { readonly kind: "refused"; readonly sentence: string }
  /** A new offer, after a pause. */
  | { readonly kind: "retry"; readonly sentence: string }
  /** WebRTC does not work here: another transport may. */
  | { readonly kind: "unusable"; readonly sentence: string };

const UNREACHABLE = "WebRTC does not come through on this network.";
const LOST = "The connection was lost.";

/** HTTP answers that will be the same over any transport, and those that ask for patience. */
const FORBIDDEN: ReadonlySet<number> = new Set([401, 403, 409]);
const BUSY: ReadonlySet<number> = new Set([429, 503]);

/** @param connectedBefore whether this session was connected over WebRTC before */
export function remedy(failure: Failure, connectedBefore: boolean): Remedy {
  switch (failure.kind) {
    case "closed": {
      if (isEnd(failure.code)) return { kind: "finished" };
      const sentence = closeSentence(failure.code, failure.reason);
      return { kind: isFinal(failure.code) ? "refused" : "retry", sentence };
    }
    case "unreachable":
      return { kind: "unusable", sentence: UNREACHABLE };
    case "lost":
      return { kind: "retry", sentence: LOST };
    case "offer":
      return ofOffer(failure.error, connectedBefore);
  }
}

function ofOffer(error: unknown, connectedBefore: boolean): Remedy {
  if (!(error instanceof WhipError)) {
    return { kind: "unusable", sentence: `This browser's WebRTC does not work here (${String(error)}).` };
  }
  const { status, message: sentence } = error;
  if (status === 410) return { kind: "finished" };
  if (status !== null && FORBIDDEN.has(status)) return { kind: "refused", sentence };
  if (status !== null && BUSY.has(status)) return { kind: connectedBefore ? "retry" : "unusable", sentence };
  // A server that has just opened the session and is away now restarts; one that was never reached so may not be.
  if (status === null || status >= 500) return { kind: connectedBefore ? "retry" : "unusable", sentence };
  return { kind: "unusable", sentence };
}
