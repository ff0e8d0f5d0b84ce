import type { Hop } from "../protocol/messages";

/** The time that a frame spent between two named instants. */
export interface Leg {
  readonly from: string;
  readonly to: string;
  readonly ms: number;
}

/** Smoothed legs of recent frames, in the order of the way; and the whole way's recent distribution. */
export class LatencyBoard {
  /** Smoothed times by "from>to", in the order of the newest frame's way. */
  #legs = new Map<string, Leg>();
  readonly #totals: number[] = [];
  static readonly #KEPT = 120;
  static readonly #SHARE = 0.15;

  /**
   * Takes one frame's instants in the order of its way. Clocks agree to some milliseconds only: a station that
   * seems to be passed before the one ahead of it is taken to be passed with it, so that its leg is 0, the next one
   * is shorter by as much, and the whole way stays. A frame that seems to end before it begins says nothing.
   */
  add(hops: readonly Hop[]): void {
    const first = hops[0];
    const last = hops[hops.length - 1];
    if (first === undefined || last === undefined || hops.length < 2 || last.atMs < first.atMs) return;
    const legs = new Map<string, Leg>();
    let passedMs = first.atMs;
    for (let i = 1; i < hops.length; i += 1) {
      const from = hops[i - 1] as Hop;
      const to = hops[i] as Hop;
      const key = `${from.name}>${to.name}`;
      const atMs = Math.min(last.atMs, Math.max(passedMs, to.atMs));
      const ms = atMs - passedMs;
      passedMs = atMs;
      const before = this.#legs.get(key)?.ms ?? ms;
      legs.set(key, { from: from.name, to: to.name, ms: before + (ms - before) * LatencyBoard.#SHARE });
    }
    this.#legs = legs;
    this.#totals.push(last.atMs - first.atMs);
    if (this.#totals.length > LatencyBoard.#KEPT) this.#totals.shift();
  }

  get legs(): readonly Leg[] {
    return [...this.#legs.values()];
  }

  /** The whole way in milliseconds at a share 0..1 of recent frames; null before there is one. */
  totalAt(share: number): number | null {
    if (this.#totals.length === 0) return null;
    const sorted = [...this.#totals].sort((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;
  }
}
