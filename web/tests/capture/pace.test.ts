import { describe, expect, it } from "vitest";
import { Pace } from "../../src/capture/pace";

function sent(pace: Pace, rate: number, seconds: number): number {
  let count = 0;
  for (let number = 0; number < rate * seconds; number += 1) {
    const nowMs = 10_000 + (number * 1_000) / rate;
    if (!pace.wants(nowMs)) continue;
    pace.sent(nowMs);
    count += 1;
  }
  return count;
}

describe("the pace of pictures", () => {
  it("lets every picture go until fewer are asked for", () => {
    expect(sent(new Pace(), 30, 10)).toBe(300);
  });

  it.each([5, 10, 15])("sends %d a second when so many are asked for", (perSecond) => {
    const pace = new Pace();
    pace.ask(perSecond);
    expect(Math.abs(sent(pace, 30, 10) - 10 * perSecond)).toBeLessThanOrEqual(2);
  });

  it("keeps every picture of a slower camera", () => {
    const pace = new Pace();
    pace.ask(15);
    expect(sent(pace, 14, 10)).toBe(140);
  });

  it("ends when it is told so", () => {
    const pace = new Pace();
    pace.ask(1);
    pace.ask(null);
    expect(sent(pace, 30, 1)).toBe(30);
  });
});
