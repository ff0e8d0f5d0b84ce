import { describe, expect, it } from "vitest";
import { fieldOf, lately, readField, referenceOf } from "../../src/analyst/periods";
import { nearest, stacked, unbroken, withGaps } from "../../src/analyst/series";
import { isRecorded, otherThan, RECORDED, readParameters, variantWord } from "../../src/analyst/variants";
import { axisValues, clockWord, elapsedWord, valueWord } from "../../src/ui/analyst/axes";

describe("series", () => {
  it("have a gap where ticks are missing, and none where every nth is given", () => {
    expect(withGaps(Int32Array.of(1, 2, 5, 6), 1)).toEqual([0, 1, -1, 2, 3]);
    expect(withGaps(Int32Array.of(0, 3, 6, 12), 3)).toEqual([0, 1, 2, -1, 3]);
    expect(withGaps(Int32Array.of(), 1)).toEqual([]);
  });

  it("have a gap where points of a trend are missing", () => {
    expect(unbroken([0, 60, 240], 60)).toEqual({ xs: [0, 60, 120, 240], places: [0, 1, -1, 2] });
  });

  it.each([
    [-1, 0],
    [0.4, 0],
    [0.6, 1],
    [2.9, 3],
    [99, 3],
  ])("are nearest to %d at %i", (wanted, place) => {
    expect(nearest([0, 1, 2, 3], wanted)).toBe(place);
  });

  it("stand on one another", () => {
    expect(
      stacked([
        [1, null],
        [2, 3],
        [4, 5],
      ]),
    ).toEqual([
      [1, 0],
      [3, 3],
      [7, 8],
    ]);
  });
});

describe("words at axes", () => {
  it("tell time as exactly as is of use", () => {
    expect(elapsedWord(63.44, 10)).toBe("1:03.4");
    expect(elapsedWord(59.96, 10)).toBe("1:00.0");
    expect(elapsedWord(3_723, 4_000)).toBe("1:02:03");
    expect(elapsedWord(-1.5, 5)).toBe("-0:01.5");
    const noon = new Date(2026, 10, 28, 12, 5).getTime();
    expect(clockWord(noon, 3_600_000)).toBe("12:05");
    expect(clockWord(noon, 10 * 86_400_000)).toBe("11-28");
    expect(clockWord(noon, 0)).toBe("11-28 12:05");
  });

  it("tell values with their unit, and a dash for none", () => {
    expect([valueWord(0.1234, ""), valueWord(12.34, "ms"), valueWord(321.4, "ms"), valueWord(7, "")]).toEqual(
      ["0.12", "12.3 ms", "321 ms", "7"],
    );
    expect([valueWord(null, "ms"), valueWord(Number.NaN, ""), valueWord(undefined, "")]).toEqual([
      "–",
      "–",
      "–",
    ]);
  });

  it("name places", () => {
    const axis = { kind: "words", label: "", words: ["a", "b"] } as const;
    expect(axisValues(axis, [0, 1, 2, null], 0, 1)).toEqual(["a", "b", "", ""]);
  });
});

describe("periods", () => {
  const day = lately("day", 200_000_000);

  it("are compared with what came before", () => {
    expect(day).toEqual({ fromMs: 113_600_000, toMs: 200_000_000 });
    expect(referenceOf("before", day)).toEqual({ fromMs: 27_200_000, toMs: 113_600_000 });
    expect(referenceOf("week", day).toMs).toBe(200_000_000 - 7 * 86_400_000);
  });

  it("are written into fields and read again", () => {
    const at = new Date(2026, 0, 2, 3, 4).getTime();
    expect(fieldOf(at)).toBe("2026-01-02T03:04");
    expect(readField(fieldOf(at))).toBe(at);
    expect([readField(""), readField("soon")]).toEqual([null, null]);
  });
});

describe("variants", () => {
  it("read parameters as people write them", () => {
    expect(readParameters(" tau_face_ms = 120, au12_gain=1.4;\n x=-2e-1 ")).toEqual({
      parameters: { tau_face_ms: 120, au12_gain: 1.4, x: -0.2 },
      problem: null,
    });
    expect(readParameters("")).toEqual({ parameters: {}, problem: null });
    for (const wrong of ["tau", "tau=", "tau=fast", "=3", "a=1.2.3"])
      expect(readParameters(wrong).problem, wrong).toContain("is not name=number");
  });

  it("are as it was until something differs", () => {
    expect(isRecorded(RECORDED)).toBe(true);
    const changed = { mapping: "direct_au", smoothing: null, parameters: { au12_gain: 2 } };
    expect(isRecorded(changed)).toBe(false);
    expect([variantWord(RECORDED), variantWord(changed)]).toEqual(["As it was", "direct_au · au12_gain=2"]);
    expect([otherThan("blend"), otherThan("direct_au")]).toEqual(["direct_au", "emotion_style"]);
  });
});
