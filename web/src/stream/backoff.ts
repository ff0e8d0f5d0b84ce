const FIRST_MS = 250;
const MOST_MS = 5_000;

/** How long to wait before try number `attempt` (from 0): doubling, with `jitter` in [0, 1) spreading clients out. */
export const backoffMs = (attempt: number, jitter: number): number =>
  Math.min(MOST_MS, FIRST_MS * 2 ** attempt) * (0.5 + jitter / 2);
