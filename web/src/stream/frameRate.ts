/** How many frames a second come, over the last seconds. Pure: time is an argument, in milliseconds. */
export class FrameRate {
  readonly #arrivals: number[] = [];
  #started = false;
  static readonly #WINDOW_MS = 2_000;
  static readonly #LEAST_MS = 500;

  arrived(nowMs: number): void {
    this.#started = true;
    this.#arrivals.push(nowMs);
    this.#forget(nowMs);
  }

  /** Frames a second; null until frames have come for half a second, 0 when they have stopped. */
  at(nowMs: number): number | null {
    if (!this.#started) return null;
    this.#forget(nowMs);
    const first = this.#arrivals[0];
    if (first === undefined) return 0;
    const spanMs = nowMs - first;
    return spanMs < FrameRate.#LEAST_MS ? null : ((this.#arrivals.length - 1) * 1_000) / spanMs;
  }

  #forget(nowMs: number): void {
    while ((this.#arrivals[0] ?? nowMs) < nowMs - FrameRate.#WINDOW_MS) this.#arrivals.shift();
  }
}
