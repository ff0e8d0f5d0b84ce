import { describe, expect, it } from "vitest";
import {
  countByState,
  directory,
  type ListedSession,
  type Presence,
  pageOf,
  readList,
  readPresence,
  select,
  serverNowMs,
} from "../../src/wall/directory";

const NOW = 1_800_000_000_000;

const session = (sessionId: string, part: Partial<ListedSession> = {}): ListedSession => ({
  sessionId,
  startedAtMs: NOW - 60_000,
  endedAtMs: null,
  endReason: "",
  timeline: "live",
  audio: true,
  video: true,
  mapping: "blend",
  experiment: "",
  variant: "",
  ...part,
});

const presence = (quiet: Record<string, number>): Presence => ({
  saidAtMs: 5_000,
  serverMs: NOW,
  quietMs: new Map(Object.entries(quiet)),
});

const states = (...given: Parameters<typeof directory>): Record<string, string> =>
  Object.fromEntries(directory(...given).map(({ sessionId, state }) => [sessionId, state]));

describe("directory", () => {
  it("tells live from silent by frames, and ended by the list", () => {
    const listed = [session("live"), session("quiet"), session("never"), session("over", { endedAtMs: NOW })];
    expect(states(listed, presence({ live: 40, quiet: 4_000, over: 40 }), NOW)).toEqual({
      live: "live",
      quiet: "silent",
      never: "silent",
      over: "ended",
    });
  });

  it("gives a session that has just begun some time", () => {
    const listed = [session("new", { startedAtMs: NOW - 2_000 })];
    expect(states(listed, presence({}), NOW)).toEqual({ new: "starting" });
    expect(states(listed, presence({}), NOW + 20_000)).toEqual({ new: "silent" });
  });

  it("believes an old presence less and less", () => {
    expect(states([session("a")], presence({ a: 0 }), NOW + 10_000)).toEqual({ a: "silent" });
  });

  it("shows live sessions that the list does not know yet, after those it knows", () => {
    const entries = directory([session("known")], presence({ new: 10, known: 10, gone: 30_000 }), NOW);
    expect(entries.map(({ sessionId, listed }) => [sessionId, listed !== null])).toEqual([
      ["known", true],
      ["new", false],
    ]);
  });

  it("works without presence", () => {
    expect(states([session("a")], null, NOW)).toEqual({ a: "silent" });
  });
});

describe("select", () => {
  const entries = directory(
    [session("abc1", { variant: "control" }), session("abc2", { mapping: "direct_au" }), session("xyz")],
    presence({ abc1: 0, xyz: 0 }),
    NOW,
  );
  const ids = (filter: Parameters<typeof select>[1]): string[] =>
    select(entries, filter).map(({ sessionId }) => sessionId);

  it("picks by state", () => {
    expect(ids({ state: "live", search: "" })).toEqual(["abc1", "xyz"]);
    expect(ids({ state: null, search: "" })).toHaveLength(3);
  });

  it("finds all words, wherever they stand, in any case", () => {
    expect(ids({ state: null, search: "ABC" })).toEqual(["abc1", "abc2"]);
    expect(ids({ state: null, search: " abc direct " })).toEqual(["abc2"]);
    expect(ids({ state: null, search: "control" })).toEqual(["abc1"]);
    expect(ids({ state: null, search: "nothing" })).toEqual([]);
  });

  it("is counted by state", () => {
    expect(countByState(entries)).toEqual({ live: 2, starting: 0, silent: 1, ended: 0 });
  });
});

describe("pageOf", () => {
  it("cuts a list into pages and stays within them", () => {
    const all = [0, 1, 2, 3, 4];
    expect(pageOf(all, 0, 2)).toEqual({ shown: [0, 1], page: 0, pages: 3 });
    expect(pageOf(all, 9, 2)).toEqual({ shown: [4], page: 2, pages: 3 });
    expect(pageOf([], 3, 2)).toEqual({ shown: [], page: 0, pages: 1 });
  });
});

describe("what servers say", () => {
  it("reads a list and leaves out what is none", () => {
    const row = {
      session_id: "a",
      started_at_ms: 7,
      ended_at_ms: null,
      audio_consented: 1,
      mapping: "blend",
    };
    expect(readList([row, null, { session_id: 3 }, { session_id: "b" }])).toEqual([
      session("a", { startedAtMs: 7, timeline: "", video: false }),
    ]);
    expect(readList({})).toEqual([]);
  });

  it("reads presence", () => {
    const read = readPresence({ server_us: 2_000_000, quiet_ms: { a: 5, b: "x" } }, 99);
    expect(read).toEqual({ saidAtMs: 99, serverMs: 2_000, quietMs: new Map([["a", 5]]) });
    expect(readPresence({ quiet_ms: {} }, 99)).toBeNull();
    expect(serverNowMs(read, 109)).toBe(2_010);
    expect(serverNowMs(null, 109)).toBe(109);
  });
});
