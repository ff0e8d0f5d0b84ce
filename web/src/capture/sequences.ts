import type { Received } from "../protocol/control";
import type { PayloadKind } from "./uplink";

/** One counter a modality: raw media and features of a face are numbered alike. */
type Counter = "audio" | "video";

const COUNTER_OF: Readonly<Record<PayloadKind, Counter>> = {
  pcm16: "audio",
  jpeg: "video",
  faceFeatures: "video",
  speechFeatures: "audio",
};

/**
 * The session's own numbers of what it sends: strictly rising for each modality, over reconnects and over a change of
 * transport.
 */
export class Sequences {
  readonly #next: Record<Counter, number> = { audio: 0, video: 0 };

  /** The next number of this kind's modality; it is used up. */
  take(kind: PayloadKind): number {
    const counter = COUNTER_OF[kind];
    const sequence = this.#next[counter];
    this.#next[counter] = sequence + 1;
    return sequence;
  }

  /** Goes on behind what the edge has taken: over another transport, the edge itself did the numbering. */
  goOnBehind(received: Received): void {
    for (const counter of ["audio", "video"] as const) {
      this.#next[counter] = Math.max(this.#next[counter], (received[counter] ?? -1) + 1);
    }
  }
}
