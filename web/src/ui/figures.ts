/** Figures for people. Pure. */

/** Share of frames that did not come, 0..100. */
export const lossPercent = ({
  lost,
  received,
}: {
  readonly lost: number;
  readonly received: number;
}): number => (lost <= 0 ? 0 : (100 * lost) / (lost + received));

/** A stretch of time in a word or two: `12 s`, `3 min`, `2 h 5 min`. */
export function spanWord(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return rest === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${rest} min`;
}
