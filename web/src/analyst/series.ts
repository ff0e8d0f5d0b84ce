/** Ticks as lines of a chart. Pure. */

import { EMOTIONS } from "../protocol/vocabulary";
import type { Ticks } from "./ticks";

export type Values = (number | null)[];

export interface Lines {
  /** The first tick's instant, milliseconds since the Unix epoch. */
  readonly originMs: number;
  /** Seconds from the session's first tick on; one more where ticks are missing, with null values. */
  readonly seconds: number[];
  readonly sequences: number[];
  readonly emotions: readonly Values[];
  readonly valence: Values;
  readonly arousal: Values;
  readonly speaking: Values;
  readonly faceWeight: Values;
  readonly speechWeight: Values;
  readonly faceMs: Values;
  readonly speechMs: Values;
}

/** What a whole session's `series` is drawn as; a line must not run across ticks that are not there. */
export function linesOf(ticks: Ticks): Lines {
  const rows = withGaps(ticks.sequences, ticks.stride);
  const origin = ticks.atUs[0] ?? 0;
  const spread = (name: string, unit: number): Values => {
    const values = ticks.column(name) as ArrayLike<number | null>;
    return rows.map((row) => {
      const value = row < 0 ? null : values[row];
      return value === null || value === undefined ? null : value / unit;
    });
  };
  const before = (place: number): number => rows[place - 1] as number;
  return {
    originMs: origin / 1_000,
    // The gap's own point stands a tick after what was before it.
    seconds: rows.map((row, place) => {
      const at = (ticks.atUs[row < 0 ? before(place) : row] as number) - origin;
      return (row < 0 ? at + (1e6 / 30) * ticks.stride : at) / 1e6;
    }),
    sequences: rows.map((row, place) =>
      row < 0 ? (ticks.sequences[before(place)] as number) : (ticks.sequences[row] as number),
    ),
    emotions: EMOTIONS.map((name) => spread(`emotion_${name}`, 255)),
    valence: spread("valence", 10_000),
    arousal: spread("arousal", 10_000),
    speaking: spread("speaking_probability", 255),
    faceWeight: spread("face_weight", 255),
    speechWeight: spread("speech_weight", 255),
    faceMs: spread("face_total_us", 1_000),
    speechMs: spread("speech_total_us", 1_000),
  };
}

/** Rows in order, with -1 where ticks are missing between two of them. */
export function withGaps(sequences: Int32Array, stride: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < sequences.length; row += 1) {
    if (row > 0 && (sequences[row] as number) - (sequences[row - 1] as number) > stride) rows.push(-1);
    rows.push(row);
  }
  return rows;
}

/** The place of the value nearest to `wanted` in ascending numbers. */
export function nearest(ascending: readonly number[], wanted: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] as number) < wanted) low = middle + 1;
    else high = middle;
  }
  const before = low - 1;
  if (before >= 0 && wanted - (ascending[before] as number) <= (ascending[low] as number) - wanted)
    return before;
  return low;
}

/** Each line on top of those before it; null counts as nothing. */
export function stacked(lines: readonly (readonly (number | null)[])[]): number[][] {
  const heights: number[][] = [];
  for (const line of lines) {
    const below = heights.at(-1);
    heights.push(line.map((value, i) => (value ?? 0) + (below?.[i] ?? 0)));
  }
  return heights;
}

/** Places of evenly spaced instants, with -1 where the next one is missing: a line must not run over what was not. */
export function unbroken(
  instants: readonly number[],
  step: number,
): { readonly xs: readonly number[]; readonly places: readonly number[] } {
  const xs: number[] = [];
  const places: number[] = [];
  instants.forEach((at, place) => {
    const before = instants[place - 1];
    if (before !== undefined && at - before > 1.5 * step) {
      xs.push(before + step);
      places.push(-1);
    }
    xs.push(at);
    places.push(place);
  });
  return { xs, places };
}
