import { describe, expect, it } from "vitest";
import { Pace } from "../../src/scene/pace";

const run = (pace: Pace, fps: number, seconds: number): number[] => {
  const changes: number[] = [];
  for (let i = 0; i < fps * seconds; i += 1) {
    const next = pace.frame(1 / fps);
    if (next !== null) changes.push(next);
  }
  return changes;
};

describe("Pace", () => {
  it("leaves a fast machine alone", () => {
    expect(run(new Pace(2, 60), 60, 20)).toEqual([]);
  });

  it("goes down step by step on a slow one, and no further than the last", () => {
    expect(run(new Pace(1, 60), 15, 20)).toEqual([0.75, 0.5]);
  });

  it("judges by what was wanted", () => {
    expect(run(new Pace(1, 20), 19, 20)).toEqual([]);
  });

  it("takes no notice of a hidden page", () => {
    const pace = new Pace(1, 60);
    for (let i = 0; i < 20; i += 1) expect(pace.frame(1)).toBeNull();
  });
});
