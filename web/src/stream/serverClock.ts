/**
 * What the server's clock says, seen from here: as in NTP (RFC 5905, section 8), the server's time is taken to be
 * that of the middle of a round trip, and of recent round trips the shortest counts. Pure.
 */
export class ServerClock {
  readonly #recent: { roundTripMs: number; offsetMs: number }[] = [];
  #observed = 0;
  static readonly #KEPT = 32;
  /** Fewer round trips than the first say nothing; after so many as the second the best of them has to do. */
  static readonly #FEWEST = 5;
  static readonly #ENOUGH = 16;
  /** The two shortest round trips agree within this, or within this share of the shortest. */
  static readonly #AGREE_MS = 8;
  static readonly #AGREE_SHARE = 0.25;

  /** A question sent at `sentMs` and answered at `receivedMs` on this machine's clock, with the server's time. */
  observe(sentMs: number, serverMs: number, receivedMs: number): void {
    const roundTripMs = receivedMs - sentMs;
    if (roundTripMs < 0) return;
    this.#observed += 1;
    this.#recent.push({ roundTripMs, offsetMs: serverMs - (sentMs + receivedMs) / 2 });
    if (this.#recent.length > ServerClock.#KEPT) this.#recent.shift();
  }

  /**
   * Whether latencies may be told by this clock. While a page starts, questions wait in queues: a round trip that
   * has been met twice is the way's own length, and the offset is then known to half of it.
   */
  get trusted(): boolean {
    if (this.#observed < ServerClock.#FEWEST) return false;
    if (this.#observed >= ServerClock.#ENOUGH) return true;
    const [shortest = 0, second = 0] = this.#recent
      .map(({ roundTripMs }) => roundTripMs)
      .sort((a, b) => a - b);
    return second - shortest <= Math.max(ServerClock.#AGREE_MS, ServerClock.#AGREE_SHARE * shortest);
  }

  /** The shortest of the recent round trips, milliseconds; null until something has been observed. */
  get roundTripMs(): number | null {
    return this.#recent.length === 0 ? null : Math.min(...this.#recent.map(({ roundTripMs }) => roundTripMs));
  }

  /** Milliseconds to add to this machine's time; 0 until something has been observed. */
  get offsetMs(): number {
    let best: { roundTripMs: number; offsetMs: number } | undefined;
    for (const one of this.#recent) {
      if (best === undefined || one.roundTripMs < best.roundTripMs) best = one;
    }
    return best?.offsetMs ?? 0;
  }

  /** This machine's `clientMs` on the server's clock. */
  toServer(clientMs: number): number {
    return clientMs + this.offsetMs;
  }
}

/** This machine's time, milliseconds since the epoch, monotonic within the page and finer than a millisecond. */
export const wallNowMs = (): number => performance.timeOrigin + performance.now();
