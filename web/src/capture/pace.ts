/** Which pictures are sent while the service, which is busy, asks for fewer of them. */

/** A picture goes up to half a period early, so that a camera of nearly the wanted rate keeps its own. */
const EARLY = 0.5;

export class Pace {
  #periodMs: number | null = null;
  #dueMs = 0;

  /** So many pictures a second from now on; null: as many as there are. */
  ask(perSecond: number | null): void {
    this.#periodMs = perSecond === null ? null : 1_000 / perSecond;
    this.#dueMs = 0;
  }

  /** Whether a picture of this moment would be sent. */
  wants(nowMs: number): boolean {
    return this.#periodMs === null || nowMs >= this.#dueMs - EARLY * this.#periodMs;
  }

  /** A picture of this moment was sent. */
  sent(nowMs: number): void {
    const period = this.#periodMs;
    if (period !== null) this.#dueMs = Math.max(this.#dueMs, nowMs - EARLY * period) + period;
  }
}
