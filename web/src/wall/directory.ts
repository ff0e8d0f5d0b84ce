/** Which sessions there are, and in what state: the server's list and its word on who has frames, made one. Pure. */

/** One session as the server lists it; nothing in it names a person. */
export interface ListedSession {
  readonly sessionId: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly endReason: string;
  readonly timeline: string;
  readonly audio: boolean;
  readonly video: boolean;
  readonly mapping: string;
  readonly experiment: string;
  readonly variant: string;
}

/** For how long each session has had no new frame, and when that was said on the page's clock, milliseconds. */
export interface Presence {
  readonly saidAtMs: number;
  /** What the server's clock showed then. */
  readonly serverMs: number;
  readonly quietMs: ReadonlyMap<string, number>;
}

/** starting: begun a moment ago, without a frame yet. silent: it lasts, but nothing comes of it. */
export const STATES = ["live", "starting", "silent", "ended"] as const;
export type SessionState = (typeof STATES)[number];

export interface Entry {
  readonly sessionId: string;
  readonly state: SessionState;
  /** Null where only its frames are known: it is not in the list yet, or the list cannot be had. */
  readonly listed: ListedSession | null;
}

/** Frames older than this do not make a session live. */
const LIVE_MS = 3_000;
/** A session that has no frames is given so long. */
const STARTING_MS = 10_000;

/** Every session, the newest first, then those of which only frames are known. `nowMs` is the server's time. */
export function directory(
  listed: readonly ListedSession[],
  presence: Presence | null,
  nowMs: number,
): readonly Entry[] {
  const isLive = (sessionId: string): boolean => {
    const quiet = presence?.quietMs.get(sessionId);
    return quiet !== undefined && presence !== null && quiet + nowMs - presence.serverMs < LIVE_MS;
  };
  const known = new Set(listed.map(({ sessionId }) => sessionId));
  const entries: Entry[] = listed.map((session) => ({
    sessionId: session.sessionId,
    state: stateOf(session, isLive(session.sessionId), nowMs),
    listed: session,
  }));
  for (const sessionId of [...(presence?.quietMs.keys() ?? [])].sort()) {
    if (!known.has(sessionId) && isLive(sessionId)) entries.push({ sessionId, state: "live", listed: null });
  }
  return entries;
}

function stateOf(session: ListedSession, live: boolean, nowMs: number): SessionState {
  if (session.endedAtMs !== null) return "ended";
  if (live) return "live";
  return nowMs - session.startedAtMs < STARTING_MS ? "starting" : "silent";
}

/** The server's time; this machine's where the server has said nothing yet. */
export const serverNowMs = (presence: Presence | null, nowMs: number): number =>
  presence === null ? nowMs : presence.serverMs + nowMs - presence.saidAtMs;

export interface Filter {
  /** Null: any. */
  readonly state: SessionState | null;
  /** Words that all stand in a session's id, mapping, experiment or variant. */
  readonly search: string;
}

export function select(entries: readonly Entry[], { state, search }: Filter): readonly Entry[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return entries.filter((entry) => {
    if (state !== null && entry.state !== state) return false;
    const { listed } = entry;
    const text = [entry.sessionId, listed?.mapping, listed?.experiment, listed?.variant, listed?.timeline]
      .join(" ")
      .toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export function countByState(entries: readonly Entry[]): Readonly<Record<SessionState, number>> {
  const counts = { live: 0, starting: 0, silent: 0, ended: 0 };
  for (const { state } of entries) counts[state] += 1;
  return counts;
}

/** One page of a list; a page past the end is the last one. */
export function pageOf<T>(
  all: readonly T[],
  page: number,
  size: number,
): { readonly shown: readonly T[]; readonly page: number; readonly pages: number } {
  const pages = Math.max(1, Math.ceil(all.length / size));
  const place = Math.min(Math.max(0, page), pages - 1);
  return { shown: all.slice(place * size, (place + 1) * size), page: place, pages };
}

type Fields = Readonly<Record<string, unknown>>;
const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Reads the answer of analytics to `GET /v1/wall`; what cannot be read is left out. */
export function readList(body: unknown): readonly ListedSession[] {
  if (!Array.isArray(body)) return [];
  return body.flatMap((row: Fields | null): ListedSession[] => {
    const sessionId = text(row?.session_id);
    const startedAtMs = row?.started_at_ms;
    if (row === null || sessionId === "" || typeof startedAtMs !== "number") return [];
    return [
      {
        sessionId,
        startedAtMs,
        endedAtMs: typeof row.ended_at_ms === "number" ? row.ended_at_ms : null,
        endReason: text(row.end_reason),
        timeline: text(row.timeline),
        audio: row.audio_consented === true || row.audio_consented === 1,
        video: row.video_consented === true || row.video_consented === 1,
        mapping: text(row.mapping),
        experiment: text(row.experiment),
        variant: text(row.variant),
      },
    ];
  });
}

/** Reads the wall socket's `presence`; null if it is not one. */
export function readPresence(body: Fields, nowMs: number): Presence | null {
  const quiet = body.quiet_ms;
  const serverUs = body.server_us;
  if (typeof quiet !== "object" || quiet === null || typeof serverUs !== "number") return null;
  const quietMs = new Map<string, number>();
  for (const [sessionId, ms] of Object.entries(quiet)) if (typeof ms === "number") quietMs.set(sessionId, ms);
  return { saidAtMs: nowMs, serverMs: serverUs / 1_000, quietMs };
}
