import type { ReactElement } from "react";
import { valueWord } from "./axes";

interface Ends {
  readonly low: number | null;
  readonly high: number | null;
}

export interface Span {
  readonly low: number;
  readonly high: number;
}

/** What a row of intervals is drawn over: all of them, a little room, and `also` if it is given. */
export function spanOf(intervals: readonly Ends[], also?: number): Span {
  const all = intervals.flatMap(({ low, high }) => [low, high]).filter((end) => end !== null);
  if (also !== undefined) all.push(also);
  if (all.length === 0) return { low: 0, high: 1 };
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return { low: low - room, high: high + room };
}

interface IntervalMarkProps extends Ends {
  readonly span: Span;
  readonly at: number | null;
  /** A wider interval of another kind. */
  readonly outer?: Ends;
  /** Shows where nothing differs. */
  readonly zero?: boolean;
}

const WIDTH = 200;

/** An interval with its middle; what it says stands beside it in words. */
export function IntervalMark({ span, low, high, at, outer, zero = false }: IntervalMarkProps): ReactElement {
  const x = (value: number): number =>
    (WIDTH * (Math.min(span.high, Math.max(span.low, value)) - span.low)) / (span.high - span.low);
  const line = (name: string, ends: Ends | undefined): ReactElement | null =>
    ends === undefined || ends.low === null || ends.high === null ? null : (
      <line className={name} x1={x(ends.low)} x2={x(ends.high)} y1="10" y2="10" />
    );
  return (
    <svg className="interval" viewBox={`0 0 ${WIDTH} 20`} preserveAspectRatio="none" aria-hidden="true">
      {zero && <line className="interval-zero" x1={x(0)} x2={x(0)} y1="0" y2="20" />}
      {line("interval-outer", outer)}
      {line("interval-inner", { low, high })}
      {at !== null && <line className="interval-at" x1={x(at)} x2={x(at)} y1="4" y2="16" />}
    </svg>
  );
}

/** An interval in words: `3.6 to 4.1`. */
export const endsWord = ({ low, high }: Ends): string =>
  low === null || high === null ? "" : `${valueWord(low, "")} to ${valueWord(high, "")}`;
