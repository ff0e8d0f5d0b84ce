/** The way out of the page: what the transports have in common. */

import type { MediaKind } from "../protocol/media";
import type { Store } from "../stream/store";
import type { Devices } from "./devices";
import type { Transport } from "./request";

export type UplinkState =
  | { readonly state: "connecting" | "open" | "finished" }
  | { readonly state: "reconnecting" | "refused"; readonly detail: string };

/** What has gone out so far; counted by the page. */
export interface Sent {
  /** Pictures and sound chunks that were handed to the network. */
  pictures: number;
  chunks: number;
  /** Pictures and chunks that the page had, but the network did not take. */
  skipped: number;
}

/** Kinds of binary messages that a transport takes as they are. */
export type PayloadKind = Exclude<MediaKind, "opus">;

export interface Uplink {
  /** Changes when `auto` goes over to the WebSocket. */
  readonly transport: Store<Transport>;
  readonly link: Store<UplinkState>;
  /** The server's (or the page's own) last remark, for a person. */
  readonly notice: Store<string | null>;
  readonly sent: Readonly<Sent>;

  /** Starts to connect; call it once. How it goes is told by `link`. */
  open(): void;

  /** Sends camera and microphone from now on, instead of those before; resolves when both are attached. */
  use(devices: Devices): Promise<void>;

  /**
   * Sends one binary message of the media framing on the session's message connection, now or never.
   *
   * @param capturedAtMs on this machine's clock, see {@link import("../stream/serverClock").wallNowMs}
   * @returns false if the connection is not open or has too much unsent
   */
  send(kind: PayloadKind, payload: Uint8Array, capturedAtMs: number): boolean;

  /** Tells the server that the session is over, and closes for good. */
  end(): void;
}
