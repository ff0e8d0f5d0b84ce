/**
 * What the server's clock says, seen from here: as in NTP (RFC 5905, section 8), the server's time is taken to be
 * that of the middle of a round trip, and of recent round trips the shortest counts. Pure.
 */
export class ServerClock {
  readonly #recent: { roundTripMs: number; offsetMs: number }[] = [];
  static readonly #KEPT = 16;

  /** A question sent at `sentMs` and answered at `receivedMs` on this machine's clock, with the server's time. */
  observe(sentMs: number, serverMs: number, receivedMs: number): void {
    const roundTripMs = receivedMs - sentMs;
    if (roundTripMs < 0) return;
    this.#recent.push({ roundTripMs, offsetMs: serverMs - (sentMs + receivedMs) / 2 });
    if (this.#recent.length > ServerClock.#KEPT) this.#recent.shift();
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
