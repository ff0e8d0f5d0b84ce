/** WebRTC: camera and microphone as RTP, offered by WHIP; a new offer with the same token whenever it breaks. */

import { clockMessage, END_MESSAGE, readControl } from "../protocol/control";
import { encodeMedia } from "../protocol/media";
import { backoffMs } from "../stream/backoff";
import type { ChannelSource } from "../stream/channelSource";
import { wallNowMs } from "../stream/serverClock";
import { Store } from "../stream/store";
import type { Devices } from "./devices";
import { type Failure, remedy } from "./failures";
import { Pace } from "./pace";
import { Peer, type Traffic } from "./peer";
import type { Transport } from "./request";
import type { Sequences } from "./sequences";
import type { PayloadKind, Sent, Uplink, UplinkState } from "./uplink";
import type { WhipClient } from "./whip";

/** A person should not look at a standing avatar for longer than it takes to know that nothing comes through. */
const REACHED_WITHIN_MS = 4_000;
/** An edge with much to do may take so long for an answer, and for a handshake. */
const ANSWERED_WITHIN_MS = 8_000;
const OPENED_WITHIN_MS = 8_000;
/** Reports on what was received come several times a second: without a single byte at so many looks, the edge is gone. */
const SILENT_LOOKS = 3;
const LOOK_MS = 1_000;
/** Connections that break sooner than this, so many in a row, are a network that WebRTC does not survive on. */
const SHORT_LIVED_MS = 10_000;
const SHORT_LIVED_MOST = 3;
/** More than this unsent: binary messages are skipped. */
const BACKLOG_BYTES = 600_000;

export interface WebRtcParts {
  readonly whip: WhipClient;
  readonly iceServers: readonly RTCIceServer[];
  readonly sequences: Sequences;
  /** Gets the channel of each new connection. */
  readonly frames: ChannelSource;
  /** WebRTC does not work here; the sentence can be shown to a person. The uplink is at rest then. */
  readonly onUnusable: (sentence: string) => void;
}

export class WebRtcUplink implements Uplink {
  readonly transport = new Store<Transport>("webrtc");
  readonly link = new Store<UplinkState>({ state: "connecting" });
  readonly notice = new Store<string | null>(null);
  readonly sent: Sent = { pictures: 0, chunks: 0, skipped: 0 };

  readonly #pace = new Pace();
  readonly #parts: WebRtcParts;
  #devices: Devices | null = null;
  #peer: Peer | null = null;
  /** What the connections before this one have sent. */
  #sentBefore = { pictures: 0, chunks: 0 };
  #connected = false;
  #connectedBefore = false;
  #bytesReceived: number | null = null;
  #silentLooks = 0;
  #openedAt = 0;
  #shortLived = 0;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #ended = false;

  constructor(parts: WebRtcParts) {
    this.#parts = parts;
  }

  open(): void {
    this.#watch = setInterval(() => this.#look(), LOOK_MS);
    this.#connect();
  }

  async use(devices: Devices): Promise<void> {
    this.#devices = devices;
    const peer = this.#peer;
    try {
      await peer?.replace(devices.stream.getTracks());
    } catch (error) {
      // A connection that broke meanwhile does not matter: the next one has the new tracks from its start.
      if (this.#peer === peer) throw error;
    }
  }

  send(kind: PayloadKind, payload: Uint8Array, capturedAtMs: number): boolean {
    const control = this.#control;
    if (control === null || control.bufferedAmount > BACKLOG_BYTES) return false;
    if (kind === "faceFeatures") {
      const nowMs = wallNowMs();
      if (!this.#pace.wants(nowMs)) return false;
      this.#pace.sent(nowMs);
    }
    control.send(encodeMedia(kind, this.#parts.sequences.take(kind), capturedAtMs * 1_000, payload));
    return true;
  }

  end(): void {
    this.#control?.send(END_MESSAGE);
    this.abandon();
    this.link.set({ state: "finished" });
  }

  /** Leaves the session as it is, for another transport to go on with. */
  abandon(): void {
    this.#ended = true;
    clearInterval(this.#watch);
    this.#drop();
  }

  /** Null while nothing can be sent. */
  get #control(): RTCDataChannel | null {
    const control = this.#peer?.control;
    return this.#connected && control?.readyState === "open" ? control : null;
  }

  #connect(): void {
    let peer: Peer;
    try {
      peer = new Peer(this.#parts.whip, this.#parts.iceServers, this.#devices?.stream.getTracks() ?? [], {
        answered: () => this.#expect(REACHED_WITHIN_MS),
        reached: () => {
          if (!this.#connected) this.#expect(OPENED_WITHIN_MS);
        },
        opened: () => this.#opened(),
        message: (text) => this.#take(text),
        lost: () => this.#lose(),
      });
    } catch (error) {
      // No WebRTC in this browser, or turned off in it.
      this.#fail({ kind: "offer", error });
      return;
    }
    this.#peer = peer;
    this.#parts.frames.attach(peer.avatar);
    this.#expect(ANSWERED_WITHIN_MS);
    peer.connect().catch((error: unknown) => {
      if (this.#peer === peer) this.#fail({ kind: "offer", error });
    });
  }

  /** Gives up on the connection unless there is progress within `ms`. */
  #expect(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail({ kind: "unreachable" }), ms);
  }

  #opened(): void {
    clearTimeout(this.#timer);
    this.#connected = true;
    this.#connectedBefore = true;
    this.#openedAt = performance.now();
    this.#silentLooks = 0;
    this.link.set({ state: "open" });
  }

  #take(text: string): void {
    const nowMs = wallNowMs();
    const message = readControl(text);
    if (message.type === "clock_probe") {
      this.#control?.send(clockMessage(message.serverUs, nowMs));
    } else if (message.type === "welcome") {
      this.#attempt = 0;
      this.#pace.ask(null);
      this.#parts.sequences.goOnBehind(message.received);
    } else if (message.type === "rate") {
      this.#pace.ask(message.videoPerSecond);
      // A connection that is going meanwhile has no rate any more.
      this.#peer?.pace(message.videoPerSecond).catch(() => undefined);
    } else if (message.type === "notice") {
      this.notice.set(message.sentence);
    } else if (message.type === "close") {
      this.#fail({ kind: "closed", code: message.code, reason: message.reason });
    }
  }

  /** Once a second: counts what went out, and notices an edge that is gone without a farewell. */
  #look(): void {
    const peer = this.#peer;
    if (peer === null || !this.#connected) return;
    peer.traffic().then(
      (traffic) => {
        if (this.#peer === peer) this.#note(traffic);
      },
      () => undefined, // closed meanwhile
    );
  }

  #note({ pictures, soundPackets, bytesReceived }: Traffic): void {
    this.sent.pictures = this.#sentBefore.pictures + pictures;
    this.sent.chunks = this.#sentBefore.chunks + soundPackets;
    const silent = bytesReceived !== null && bytesReceived === this.#bytesReceived;
    this.#silentLooks = silent ? this.#silentLooks + 1 : 0;
    this.#bytesReceived = bytesReceived;
    if (this.#silentLooks >= SILENT_LOOKS) this.#lose();
  }

  #lose(): void {
    const lasted = performance.now() - this.#openedAt;
    this.#shortLived = this.#connected && lasted < SHORT_LIVED_MS ? this.#shortLived + 1 : 0;
    const stands = this.#connected && this.#shortLived < SHORT_LIVED_MOST;
    this.#fail({ kind: stands ? "lost" : "unreachable" });
  }

  #drop(): void {
    clearTimeout(this.#timer);
    this.#sentBefore = { pictures: this.sent.pictures, chunks: this.sent.chunks };
    this.#connected = false;
    this.#peer?.close();
    this.#peer = null;
    this.#parts.frames.detach();
  }

  #fail(failure: Failure): void {
    if (this.#ended) return;
    const next = remedy(failure, this.#connectedBefore);
    this.#drop();
    switch (next.kind) {
      case "finished":
        this.abandon();
        this.link.set({ state: "finished" });
        break;
      case "refused":
        this.abandon();
        this.link.set({ state: "refused", detail: next.sentence });
        break;
      case "unusable":
        this.abandon();
        this.#parts.onUnusable(next.sentence);
        break;
      case "retry":
        this.link.set({ state: "reconnecting", detail: next.sentence });
        this.#timer = setTimeout(() => this.#connect(), backoffMs(this.#attempt, Math.random()));
        this.#attempt += 1;
    }
  }
}
