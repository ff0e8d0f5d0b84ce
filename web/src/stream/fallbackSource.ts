import { CLOSE } from "../protocol/closeCodes";
import type { FrameSource, SourceEvents } from "./source";

/**
 * A source, and another for when the first will not do: when it says that it is unavailable, or when it is told to
 * go over. The stream hears of a loss then, and finds the second one when it opens again.
 */
export class FallbackSource implements FrameSource {
  readonly #second: FrameSource;
  #active: FrameSource;
  #events: SourceEvents | null = null;

  constructor(first: FrameSource, second: FrameSource) {
    this.#active = first;
    this.#second = second;
  }

  open(events: SourceEvents): void {
    this.#events = events;
    const active = this.#active;
    active.open({
      ...events,
      closed: (code, reason) => {
        if (code === CLOSE.unavailable) this.#active = this.#second;
        this.#events = null;
        events.closed(code, reason);
      },
    });
  }

  /** Goes over to the second source for good. */
  goOver(): void {
    if (this.#active === this.#second) return;
    this.#active.close();
    this.#active = this.#second;
    const events = this.#events;
    this.#events = null;
    events?.closed(CLOSE.lost, "");
  }

  send(text: string): boolean {
    return this.#active.send(text);
  }

  close(): void {
    this.#events = null;
    this.#active.close();
  }
}
