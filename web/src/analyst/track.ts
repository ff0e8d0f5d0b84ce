/** The ticks of one side of a replay: fetched a page at a time as they are needed, a few pages kept. */

import { Store } from "../stream/store";
import { joined, rowAt, type Ticks } from "./ticks";

/** Ticks of a page: what analytics gives at once. */
export const PAGE_TICKS = 9_000;
/** Pages kept: an hour of ticks, about 12 MB. */
const PAGES_KEPT = 12;

export type Fetch = (first: number) => Promise<Ticks>;

/** A tick, and where it stands. */
export interface Found {
  readonly ticks: Ticks;
  readonly row: number;
}

export class Track {
  /** Counts what has come: watch it to look again. */
  readonly arrivals = new Store(0);
  /** Why a page could not be had; the next look tries again. */
  readonly trouble = new Store<Error | null>(null);
  readonly first: number;
  readonly last: number;
  readonly #fetch: Fetch;
  readonly #size: number;
  readonly #pages = new Map<number, Ticks>();
  readonly #asked = new Map<number, Promise<Ticks>>();

  constructor(head: Ticks, fetch: Fetch, size: number = PAGE_TICKS) {
    this.first = head.first;
    this.last = head.last;
    this.#fetch = fetch;
    this.#size = size;
    this.#pages.set(0, head);
  }

  /** A track whose ticks are all there. */
  static whole(ticks: Ticks): Track {
    const size = ticks.last - ticks.first + 1;
    return new Track(ticks, () => Promise.resolve(ticks), size);
  }

  get pages(): number {
    return Math.floor((this.last - this.first) / this.#size) + 1;
  }

  /** The newest tick that is not after `sequence`; null: it is not here (yet). Asks for it, and for what comes next. */
  at(sequence: number): Found | null {
    const number = this.#number(sequence);
    const page = this.#pages.get(number);
    if (sequence - this.first - number * this.#size > this.#size / 2) this.#want(number + 1);
    if (page === undefined) {
      this.#want(number);
      return null;
    }
    const row = rowAt(page, sequence);
    if (row >= 0) return { ticks: page, row };
    if (number === 0) return null;
    // The page begins with a gap: what was before it is what is shown.
    const before = this.#pages.get(number - 1);
    if (before === undefined) {
      this.#want(number - 1);
      return null;
    }
    return before.sequences.length === 0 ? null : { ticks: before, row: before.sequences.length - 1 };
  }

  /** The tick `steps` (+1 or -1) from `sequence`, over gaps; `sequence` ± 1 where that is not known. */
  neighbour(sequence: number, steps: 1 | -1): number {
    const found = this.at(sequence);
    if (found === null) return sequence + steps;
    const { ticks, row } = found;
    const place = steps === 1 || ticks.sequences[row] === sequence ? row + steps : row;
    return ticks.sequences[place] ?? sequence + steps;
  }

  /** Every tick at once; `progress` is told the share that is here, 0..1. */
  async all(progress: (share: number) => void = () => undefined): Promise<Ticks> {
    const parts: Ticks[] = [];
    for (let number = 0; number < this.pages; number += 1) {
      parts.push(this.#pages.get(number) ?? (await this.#ask(number)));
      progress((number + 1) / this.pages);
    }
    return joined(parts);
  }

  #number(sequence: number): number {
    const number = Math.floor((sequence - this.first) / this.#size);
    return Math.min(this.pages - 1, Math.max(0, number));
  }

  #want(number: number): void {
    if (number >= this.pages || this.#pages.has(number) || this.#asked.has(number)) return;
    this.#ask(number).catch((error: unknown) =>
      this.trouble.set(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #ask(number: number): Promise<Ticks> {
    const under = this.#asked.get(number);
    if (under !== undefined) return under;
    const asked = this.#fetch(this.first + number * this.#size)
      .then((ticks) => {
        this.#keep(number, ticks);
        this.trouble.set(null);
        return ticks;
      })
      .finally(() => this.#asked.delete(number));
    this.#asked.set(number, asked);
    return asked;
  }

  #keep(number: number, ticks: Ticks): void {
    this.#pages.set(number, ticks);
    for (const other of this.#pages.keys()) {
      if (this.#pages.size <= PAGES_KEPT) break;
      if (Math.abs(other - number) > 1) this.#pages.delete(other);
    }
    this.arrivals.set(this.arrivals.get() + 1);
  }
}
