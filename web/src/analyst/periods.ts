/** Periods of time that one may choose. Pure: time is an argument, milliseconds since the Unix epoch. */

export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

export const SPANS = {
  hour: { word: "Last hour", ms: 3_600_000 },
  day: { word: "Last 24 hours", ms: 86_400_000 },
  week: { word: "Last 7 days", ms: 604_800_000 },
  month: { word: "Last 30 days", ms: 2_592_000_000 },
  year: { word: "Last year", ms: 31_536_000_000 },
} as const;
export type Span = keyof typeof SPANS;

export const lately = (span: Span, nowMs: number): Period => ({
  fromMs: nowMs - SPANS[span].ms,
  toMs: nowMs,
});

export const REFERENCES = {
  before: "The period before",
  week: "The same a week earlier",
  month: "The same 30 days earlier",
  dates: "Dates…",
} as const;
export type Reference = keyof typeof REFERENCES;

/** What a period is compared with. `dates`: nothing to be worked out. */
export function referenceOf(reference: Exclude<Reference, "dates">, { fromMs, toMs }: Period): Period {
  const back = { before: toMs - fromMs, week: SPANS.week.ms, month: SPANS.month.ms }[reference];
  return { fromMs: fromMs - back, toMs: toMs - back };
}

const two = (value: number): string => String(value).padStart(2, "0");

/** As a field of type datetime-local writes it, on this machine's clock. */
export function fieldOf(atMs: number): string {
  const at = new Date(atMs);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** What stands in such a field; null where it is no instant. */
export function readField(text: string): number | null {
  const at = new Date(text).getTime();
  return text === "" || Number.isNaN(at) ? null : at;
}
