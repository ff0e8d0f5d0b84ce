import { describe, expect, it } from "vitest";
import { BLENDSHAPE_INDEX } from "../../src/protocol/vocabulary";
import { neutralPose } from "../../src/stream/pose";
import { Timeline } from "../../src/stream/timeline";
import { frameAt } from "../support";

const PERIOD = 1000 / 30;
const jaw = BLENDSHAPE_INDEX.jawOpen;

/** Plays `count` frames through; `delays` says how long each takes; samples at 60 Hz. */
function play(
  timeline: Timeline,
  count: number,
  delay: (sequence: number) => number,
): { at: number; jaw: number; seq: number }[] {
  const arrivals = Array.from({ length: count }, (_, n) => ({ n, at: n * PERIOD + delay(n) })).sort(
    (a, b) => a.at - b.at,
  );
  const pose = neutralPose();
  const seen: { at: number; jaw: number; seq: number }[] = [];
  for (let now = 0; now < count * PERIOD; now += 1000 / 60) {
    while (arrivals[0] !== undefined && arrivals[0].at <= now) {
      const { n, at } = arrivals.shift() as { n: number; at: number };
      timeline.push(frameAt(n, n / count), at);
    }
    if (timeline.sample(now, pose) !== "empty") {
      seen.push({ at: now, jaw: pose.blendshapes[jaw] as number, seq: timeline.shown?.sequence ?? -1 });
    }
  }
  return seen;
}

describe("Timeline", () => {
  it("is empty before the first frame", () => {
    expect(new Timeline().sample(0, neutralPose())).toBe("empty");
  });

  it("interpolates between frames at the renderer's pace", () => {
    const seen = play(new Timeline(), 120, () => 20).slice(20);
    for (let i = 1; i < seen.length; i += 1) {
      const step = (seen[i]?.jaw ?? 0) - (seen[i - 1]?.jaw ?? 0);
      // A ramp over 120 frames moves by 1/240 a sixtieth of a second.
      expect(step).toBeGreaterThan(0.5 / 240);
      expect(step).toBeLessThan(1.6 / 240);
    }
  });

  it("puts frames in order by sequence, whatever order they come in", () => {
    // Every third frame overtakes the one before it.
    const seen = play(new Timeline(), 120, (n) => (n % 3 === 0 ? 60 : 15)).slice(30);
    const sequences = seen.map(({ seq }) => seq);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    const values = seen.map((point) => point.jaw);
    expect(values).toEqual([...values].sort((a, b) => a - b));
  });

  it("stays close behind a steady network and further behind an uneven one, within bounds", () => {
    const steady = new Timeline();
    play(steady, 90, () => 20);
    const uneven = new Timeline();
    play(uneven, 90, (n) => 20 + ((n * 37) % 120));
    const wild = new Timeline();
    play(wild, 90, (n) => ((n * 631) % 1900) + 5);
    expect(steady.delayMs).toBe(40);
    expect(uneven.delayMs).toBeGreaterThan(90);
    expect(wild.delayMs).toBeLessThanOrEqual(500);
  });

  it("says what became of each frame", () => {
    const timeline = new Timeline();
    const pose = neutralPose();
    expect(timeline.push(frameAt(5), 200)).toBe("used");
    expect(timeline.push(frameAt(5), 201)).toBe("duplicate");
    timeline.sample(400, pose);
    expect(timeline.push(frameAt(3), 401)).toBe("late");
    expect(timeline.push(frameAt(6), 402)).toBe("used");
  });

  it("does not interpolate across a discontinuity", () => {
    const timeline = new Timeline();
    const pose = neutralPose();
    timeline.push(frameAt(0, 0), 0);
    timeline.push(frameAt(30, 1, true), 1000);
    for (let now = 0; now < 990; now += 16) {
      timeline.sample(now, pose);
      expect(pose.blendshapes[jaw]).toBe(0);
    }
  });

  it("says that frames have stopped after a second, and recovers", () => {
    const timeline = new Timeline();
    const pose = neutralPose();
    timeline.push(frameAt(0), 0);
    expect(timeline.sample(990, pose)).toBe("live");
    expect(timeline.sample(1010, pose)).toBe("stalled");
    timeline.push(frameAt(60), 2000);
    expect(timeline.sample(2010, pose)).toBe("live");
  });

  it("keeps no more than its capacity", () => {
    const timeline = new Timeline({ capacity: 8 });
    const pose = neutralPose();
    for (let n = 0; n < 100; n += 1) timeline.push(frameAt(n), 10);
    timeline.sample(10, pose);
    expect(timeline.shown?.sequence).toBeGreaterThanOrEqual(92);
  });
});
