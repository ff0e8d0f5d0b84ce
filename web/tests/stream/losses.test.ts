import { expect, it } from "vitest";
import { Losses } from "../../src/stream/losses";

const lostOf = (...sequences: readonly number[]): number => {
  const losses = new Losses();
  for (const sequence of sequences) losses.arrived(sequence, false);
  return losses.lost;
};

it("counts holes, wherever the stream is joined", () => {
  expect(lostOf()).toBe(0);
  expect(lostOf(100, 101, 102)).toBe(0);
  expect(lostOf(100, 103, 105)).toBe(3);
});

it("does not count what came late, nor twice what came twice", () => {
  expect(lostOf(1, 4, 2, 3, 5)).toBe(0);
  expect(lostOf(1, 3, 3, 1, 1)).toBe(1);
  expect(lostOf(1, 3, 2, 2)).toBe(0);
});

it("believes a discontinuity", () => {
  const losses = new Losses();
  losses.arrived(1, false);
  losses.arrived(900, true);
  expect(losses.lost).toBe(0);
});

it("gives up on old holes in the end, with bounded memory", () => {
  const losses = new Losses();
  losses.arrived(0, false);
  losses.arrived(1_000_001, false);
  expect(losses.lost).toBe(1_000_000);
  losses.arrived(5, false);
  expect(losses.lost).toBe(1_000_000);
  losses.arrived(1_000_000, false);
  expect(losses.lost).toBe(999_999);
});
