import { describe, expect, it } from "vitest";
import { backoffMs } from "../../src/stream/backoff";
import { FrameRate } from "../../src/stream/frameRate";
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

  const clockOf = (roundTrips: readonly number[]): ServerClock => {
    const clock = new ServerClock();
    for (const ms of roundTrips) clock.observe(0, ms / 2, ms);
    return clock;
  };

  it("is not trusted before several round trips, nor while the shortest was met but once", () => {
    expect(clockOf([]).trusted).toBe(false);
    expect(clockOf([2, 2, 2, 2]).trusted).toBe(false);
    expect(clockOf([2, 2, 2, 2, 2]).trusted).toBe(true);
    expect(clockOf([900, 640, 420, 200, 90]).trusted).toBe(false);
    expect(clockOf([900, 640, 420, 200, 90, 5, 12]).trusted).toBe(true);
    // A long way is still known when it is met twice.
    expect(clockOf([900, 640, 420, 200, 240]).trusted).toBe(true);
  });

  it("makes do with the best of many", () => {
    const uneven = Array.from({ length: 16 }, (_, n) => 2_000 / (n + 1) ** 2);
    expect(clockOf(uneven.slice(0, 8)).trusted).toBe(false);
    expect(clockOf(uneven).trusted).toBe(true);
  });
});

describe("FrameRate", () => {
  it("is unknown at first, then right at once, and 0 when frames stop", () => {
    const rate = new FrameRate();
    expect(rate.at(90_000)).toBeNull();
    const period = 1_000 / 30;
    for (let n = 1; n <= 10; n += 1) rate.arrived(90_000 + n * period);
    expect(rate.at(90_000 + 10 * period)).toBeNull();
    for (let n = 11; n <= 100; n += 1) rate.arrived(90_000 + n * period);
    const now = 90_000 + 100 * period;
    expect(rate.at(now)).toBeCloseTo(30, 0);
    expect(rate.at(now + 2_500)).toBe(0);
  });

  it("does not mind frames in bunches", () => {
    const rate = new FrameRate();
    for (let n = 0; n < 40; n += 1) for (let i = 0; i < 3; i += 1) rate.arrived(n * 100);
    expect(rate.at(3_950)).toBeGreaterThan(28);
    expect(rate.at(3_950)).toBeLessThan(32);
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

  it("never tells a negative leg, and keeps the sum", () => {
    const board = new LatencyBoard();
    const at = { captured: 0, fused: 50, relayed: 60, arrived: 20, shown: 100 };
    board.add(Object.entries(at).map(([name, atMs]) => ({ name, atMs })));
    expect(board.legs.map(({ to, ms }) => [to, ms])).toEqual([
      ["fused", 50],
      ["relayed", 10],
      ["arrived", 0],
      ["shown", 40],
    ]);
    board.add([
      { name: "captured", atMs: 0 },
      { name: "relayed", atMs: 90 },
      { name: "shown", atMs: 70 },
    ]);
    expect(board.legs.reduce((sum, leg) => sum + leg.ms, 0)).toBeCloseTo(70);
    board.add([
      { name: "captured", atMs: 0 },
      { name: "shown", atMs: -5 },
    ]);
    expect(board.totalAt(0)).toBe(70);
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
