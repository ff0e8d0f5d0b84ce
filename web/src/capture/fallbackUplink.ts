/** WebRTC while it works, and from then on the WebSocket: one uplink to whoever uses it. */

import { Store } from "../stream/store";
import type { Devices } from "./devices";
import type { Transport } from "./request";
import type { PayloadKind, Sent, Uplink, UplinkState } from "./uplink";

export class FallbackUplink implements Uplink {
  readonly transport: Store<Transport>;
  readonly link: Store<UplinkState>;
  readonly notice: Store<string | null>;

  readonly #second: () => Uplink;
  #active: Uplink;
  #devices: Devices | null = null;
  #sentBefore: Sent = { pictures: 0, chunks: 0, skipped: 0 };
  #unfollow: () => void;
  #ended = false;

  /** @param second makes the uplink to go over to */
  constructor(first: Uplink, second: () => Uplink) {
    this.#active = first;
    this.#second = second;
    this.transport = new Store(first.transport.get());
    this.link = new Store(first.link.get());
    this.notice = new Store(first.notice.get());
    this.#unfollow = this.#follow(first);
  }

  get sent(): Sent {
    const { pictures, chunks, skipped } = this.#active.sent;
    const before = this.#sentBefore;
    return {
      pictures: before.pictures + pictures,
      chunks: before.chunks + chunks,
      skipped: before.skipped + skipped,
    };
  }

  open(): void {
    this.#active.open();
  }

  async use(devices: Devices): Promise<void> {
    this.#devices = devices;
    await this.#active.use(devices);
  }

  send(kind: PayloadKind, payload: Uint8Array, capturedAtMs: number): boolean {
    return this.#active.send(kind, payload, capturedAtMs);
  }

  end(): void {
    this.#ended = true;
    this.#active.end();
  }

  /** The first uplink is at rest, and why; goes over to the second with the same devices. */
  fallBack(sentence: string): void {
    if (this.#ended) return;
    this.#unfollow();
    this.#sentBefore = this.sent;
    const second = this.#second();
    this.#active = second;
    this.#unfollow = this.#follow(second);
    this.link.set(second.link.get());
    this.notice.set(`${sentence} Pictures and sound go over a WebSocket instead.`);
    this.transport.set(second.transport.get());
    second.open();
    if (this.#devices !== null) {
      second.use(this.#devices).catch((error: unknown) => {
        this.notice.set(`The microphone could not be attached (${String(error)}).`);
      });
    }
  }

  /** Tells on what an uplink tells; returns what ends it. */
  #follow(uplink: Uplink): () => void {
    const ends = [
      uplink.link.subscribe(() => this.link.set(uplink.link.get())),
      uplink.notice.subscribe(() => this.notice.set(uplink.notice.get())),
    ];
    return () => {
      for (const end of ends) end();
    };
  }
}
