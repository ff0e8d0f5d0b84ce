/** Text messages of a session's media connection, whatever carries it: read once, answered as the edge asks. */

/** Newest sequences of a session that the edge has taken; null where it knows of none. */
export interface Received {
  readonly audio: number | null;
  readonly video: number | null;
}

export type ControlMessage =
  | { readonly type: "welcome"; readonly received: Received }
  | { readonly type: "clock_probe"; readonly serverUs: number }
  /** Items were refused; `sentence` can be shown to a person. */
  | { readonly type: "notice"; readonly code: string; readonly sentence: string }
  /** The edge is busy: no more pictures a second, please; null: as many as there are. */
  | { readonly type: "rate"; readonly videoPerSecond: number | null }
  /** The connection is about to be closed, with a code of `closeCodes`: a data channel has none of its own. */
  | { readonly type: "close"; readonly code: number; readonly reason: string }
  /** Something that this page has no use for, or cannot read. */
  | { readonly type: "other" };

const OTHER: ControlMessage = { type: "other" };

const whole = (value: unknown): number | null => (Number.isSafeInteger(value) ? (value as number) : null);

/** Reads one message. Never throws. */
export function readControl(text: string): ControlMessage {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return OTHER;
  }
  if (typeof message !== "object" || message === null) return OTHER;
  const given = message as Record<string, unknown>;
  switch (given.type) {
    case "welcome": {
      const received = (given.received ?? {}) as Record<string, unknown>;
      return {
        type: "welcome",
        received: { audio: whole(received.audio), video: whole(received.video) },
      };
    }
    case "clock_probe": {
      const serverUs = whole(given.server_us);
      return serverUs === null ? OTHER : { type: "clock_probe", serverUs };
    }
    case "notice": {
      const code = String(given.code ?? "");
      return { type: "notice", code, sentence: String(given.message ?? code) };
    }
    case "rate": {
      const perSecond = given.video_per_s;
      if (perSecond === null) return { type: "rate", videoPerSecond: null };
      if (typeof perSecond !== "number" || !(perSecond > 0)) return OTHER;
      return { type: "rate", videoPerSecond: perSecond };
    }
    case "close": {
      const code = whole(given.code);
      return code === null ? OTHER : { type: "close", code, reason: String(given.reason ?? "") };
    }
    default:
      return OTHER;
  }
}

/** Answers a clock probe: this machine's time at the moment of answering. */
export const clockMessage = (serverUs: number, clientMs: number): string =>
  JSON.stringify({ type: "clock", server_us: serverUs, client_us: Math.round(clientMs * 1_000) });

/** Ends the session. */
export const END_MESSAGE = JSON.stringify({ type: "end" });
