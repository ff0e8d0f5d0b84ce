/** The media socket: sends chunks and pictures, answers clock probes, reconnects while the session lasts. */

import { closeSentence, isEnd, isFinal } from "../protocol/closeCodes";
import { encodeMedia, type MediaKind } from "../protocol/media";
import { backoffMs } from "../stream/backoff";
import { wallNowMs } from "../stream/serverClock";
import { Store } from "../stream/store";

export type UplinkState =
  | { readonly state: "connecting" | "open" | "finished" }
  | { readonly state: "reconnecting" | "refused"; readonly detail: string };

/** Pictures are skipped, newest wins, while this much waits to be sent; sound waits up to the second bound. */
const PICTURE_BACKLOG_BYTES = 150_000;
const SOUND_BACKLOG_BYTES = 600_000;

export class Uplink {
  readonly link = new Store<UplinkState>({ state: "connecting" });
  readonly sent = { pictures: 0, chunks: 0, skipped: 0 };
  /** The server's last remark, for a person. */
  readonly notice = new Store<string | null>(null);

  readonly #url: string;
  readonly #sequence = { jpeg: 0, pcm16: 0 };
  #socket: WebSocket | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(url: string) {
    this.#url = url;
  }

  open(): void {
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => this.link.set({ state: "open" });
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") this.#take(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#lose(event.code, event.reason);
    };
  }

  /** Whether a picture would be sent now rather than skipped: asked before one is encoded. */
  get wantsPicture(): boolean {
    return this.#isOpen && (this.#socket?.bufferedAmount ?? 0) < PICTURE_BACKLOG_BYTES;
  }

  sendPicture(jpeg: Uint8Array, capturedAtMs: number): void {
    if (!this.wantsPicture) {
      this.sent.skipped += 1;
      return;
    }
    this.#send("jpeg", jpeg, capturedAtMs);
    this.sent.pictures += 1;
  }

  sendSound(pcm: Int16Array<ArrayBuffer>, capturedAtMs: number): void {
    if (!this.#isOpen || (this.#socket?.bufferedAmount ?? 0) > SOUND_BACKLOG_BYTES) {
      this.sent.skipped += 1;
      return;
    }
    this.#send("pcm16", new Uint8Array(pcm.buffer), capturedAtMs);
    this.sent.chunks += 1;
  }

  /** Tells the server that the session is over, and closes. */
  end(): void {
    this.#ended = true;
    clearTimeout(this.#retry);
    if (this.#isOpen) this.#socket?.send(JSON.stringify({ type: "end" }));
    this.#socket?.close(1000);
    this.#socket = null;
    this.link.set({ state: "finished" });
  }

  get #isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  #send(kind: Extract<MediaKind, "jpeg" | "pcm16">, payload: Uint8Array, capturedAtMs: number): void {
    this.#socket?.send(encodeMedia(kind, this.#sequence[kind], capturedAtMs * 1_000, payload));
    this.#sequence[kind] += 1;
  }

  #take(text: string): void {
    const nowMs = wallNowMs();
    const message = JSON.parse(text) as Record<string, unknown>;
    if (message.type === "clock_probe") {
      this.#socket?.send(
        JSON.stringify({
          type: "clock",
          server_us: message.server_us,
          client_us: Math.round(nowMs * 1_000),
        }),
      );
    } else if (message.type === "welcome") {
      this.#attempt = 0;
    } else if (message.type === "notice") {
      this.notice.set(String(message.message ?? message.code));
    }
  }

  #lose(code: number, reason: string): void {
    this.#socket = null;
    if (this.#ended) return;
    if (isEnd(code)) {
      this.link.set({ state: "finished" });
    } else if (isFinal(code)) {
      this.link.set({ state: "refused", detail: closeSentence(code, reason) });
    } else {
      this.link.set({ state: "reconnecting", detail: closeSentence(code, reason) });
      this.#retry = setTimeout(() => this.open(), backoffMs(this.#attempt, Math.random()));
      this.#attempt += 1;
    }
  }
}
