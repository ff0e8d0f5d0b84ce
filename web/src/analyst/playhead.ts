/** Where a replay stands: on a tick, moving or not. Pure: time is an argument (milliseconds, any monotonic clock). */

import { Store } from "../stream/store";

export const TICKS_A_SECOND = 30;
export const SPEEDS = [0.25, 0.5, 1, 2, 4] as const;
export type Speed = (typeof SPEEDS)[number];

export interface Position {
  readonly sequence: number;
  readonly playing: boolean;
  readonly speed: Speed;
}

export class Playhead {
  readonly position: Store<Position>;
  readonly first: number;
  readonly last: number;
  #exact: number;
  #movedAtMs: number | null = null;

  constructor(first: number, last: number, sequence: number = first) {
    this.first = first;
    this.last = last;
    this.#exact = this.#within(sequence);
    this.position = new Store({ sequence: this.#exact, playing: false, speed: 1 });
  }

  /** To a tick; a replay that moves goes on from there. */
  seek(sequence: number): void {
    this.#exact = this.#within(Math.round(sequence));
    this.#movedAtMs = null;
    this.#set({ sequence: this.#exact });
  }

  /** By so many ticks, and stands there. */
  step(ticks: number): void {
    this.pause();
    this.seek(this.position.get().sequence + ticks);
  }

  play(): void {
    // At its end there is nothing to play: it begins anew.
    if (this.position.get().sequence >= this.last) this.seek(this.first);
    this.#movedAtMs = null;
    this.#set({ playing: true });
  }

  pause(): void {
    this.#set({ playing: false });
  }

  setSpeed(speed: Speed): void {
    this.#set({ speed });
  }

  /** Moves a playing head to where it is at `nowMs`; `ready` says whether a tick can be shown, else it waits there. */
  advance(nowMs: number, ready: (sequence: number) => boolean): void {
    const { playing, speed } = this.position.get();
    if (!playing) return;
    const elapsedMs = this.#movedAtMs === null ? 0 : nowMs - this.#movedAtMs;
    this.#movedAtMs = nowMs;
    const next = Math.min(this.last, this.#exact + (elapsedMs / 1_000) * TICKS_A_SECOND * speed);
    if (!ready(Math.floor(next))) return;
    this.#exact = next;
    this.#set({ sequence: Math.floor(next), playing: next < this.last });
  }

  #within(sequence: number): number {
    return Math.min(this.last, Math.max(this.first, sequence));
  }

  #set(change: Partial<Position>): void {
    const before = this.position.get();
    const after = { ...before, ...change };
    if (
      after.sequence !== before.sequence ||
      after.playing !== before.playing ||
      after.speed !== before.speed
    )
      this.position.set(after);
  }
}
