import { CLOSE } from "../protocol/closeCodes";
import { readControl } from "../protocol/control";
import type { FrameSource, SourceEvents } from "./source";

/** Longer ones are frames: not worth a look for a farewell. */
const FAREWELL_CHARACTERS = 512;

/** What of a data channel is needed: an RTCDataChannel is one. */
export interface Channel {
  readonly readyState: RTCDataChannelState;
  binaryType: BinaryType;
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onclose: ((event: Event) => unknown) | null;
  send(text: string): void;
}

/**
 * A data channel of the session's peer connection, unordered and unreliable: a frame that was lost is not worth
 * waiting for. Whoever makes peer connections hands in each new one's channel.
 */
export class ChannelSource implements FrameSource {
  #channel: Channel | null = null;
  #events: SourceEvents | null = null;

  /** Goes on with this channel; the one before is left alone from now on. */
  attach(channel: Channel): void {
    this.detach();
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onopen = () => this.#events?.opened();
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "string") this.#take(data);
      else if (data instanceof ArrayBuffer) this.#events?.message(data);
    };
    channel.onclose = () => this.#lost();
  }

  /** The channel's connection is gone: as if the channel had closed by itself. */
  detach(): void {
    if (this.#channel !== null) this.#lost();
  }

  open(events: SourceEvents): void {
    this.#events = events;
    // Whoever listens late must hear of it all the same, but not before this call has returned.
    if (this.#channel?.readyState === "open") queueMicrotask(() => this.#events?.opened());
  }

  send(text: string): boolean {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(text);
    return true;
  }

  close(): void {
    this.#events = null;
    this.#release();
  }

  #take(text: string): void {
    const message = text.length <= FAREWELL_CHARACTERS ? readControl(text) : null;
    if (message?.type !== "close") {
      this.#events?.message(text);
      return;
    }
    // The viewer ends, the channel stays: the server may serve it again.
    const events = this.#events;
    this.#events = null;
    events?.closed(message.code, message.reason);
  }

  #lost(): void {
    const events = this.#events;
    this.#events = null;
    this.#release();
    events?.closed(CLOSE.lost, "");
  }

  #release(): void {
    const channel = this.#channel;
    this.#channel = null;
    if (channel === null) return;
    channel.onopen = null;
    channel.onmessage = null;
    channel.onclose = null;
  }
}
