import { describe, expect, it } from "vitest";
import { backoffMs } from "../../src/stream/backoff";
import { LatencyBoard } from "../../src/stream/latency";
import { ServerClock } from "../../src/stream/serverClock";
import { Store } from "../../src/stream/store";

describe("ServerClock", () => {
  it("takes the shortest round trip", () => {
    const clock = new ServerClock();
    expect(clock.toServer(5)).toBe(5);
    // The server is 1000 ms ahead; its answers come back late, by 30, 4 and 80 ms.
    for (const delay of [30, 4, 80]) clock.observe(1_000, 2_001, 1_002 + delay);
    expect(clock.offsetMs).toBe(998);
    clock.observe(1_000, 9_000, 999);
    expect(clock.offsetMs).toBe(998);
  });
});

describe("backoff", () => {
  it("doubles up to a bound, spread by jitter", () => {
    expect([0, 1, 2, 9].map((attempt) => backoffMs(attempt, 1))).toEqual([250, 500, 1000, 5000]);
    expect(backoffMs(0, 0)).toBe(125);
  });
});

describe("LatencyBoard", () => {
  const way = (ms: number) => [
    { name: "captured", atMs: 0 },
    { name: "relayed", atMs: ms },
    { name: "shown", atMs: ms + 20 },
  ];

  it("gives legs in the order of the way, and the whole", () => {
    const board = new LatencyBoard();
    expect(board.totalAt(0.5)).toBeNull();
    board.add(way(50));
    expect(board.legs).toEqual([
      { from: "captured", to: "relayed", ms: 50 },
      { from: "relayed", to: "shown", ms: 20 },
    ]);
    for (const ms of [60, 70, 80, 90]) board.add(way(ms));
    expect(board.totalAt(0.5)).toBe(90);
    expect(board.totalAt(0.99)).toBe(110);
  });

  it("forgets legs that frames no longer have", () => {
    const board = new LatencyBoard();
    board.add(way(50));
    board.add(way(50).slice(0, 2));
    expect(board.legs).toHaveLength(1);
    board.add([{ name: "woken", atMs: -5 }, ...way(50)]);
    expect(board.legs.map(({ to }) => to)).toEqual(["captured", "relayed", "shown"]);
  });
});

describe("Store", () => {
  it("tells watchers of changes only, until they stop watching", () => {
    const store = new Store(1);
    let calls = 0;
    const stop = store.subscribe(() => {
      calls += 1;
    });
    store.set(1);
    store.set(2);
    stop();
    store.set(3);
    expect([calls, store.get()]).toEqual([1, 3]);
  });
});
