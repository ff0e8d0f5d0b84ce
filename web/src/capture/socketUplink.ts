/** The media socket: sends sound chunks and JPEG pictures, answers clock probes, reconnects while the session lasts. */

import { closeSentence, isEnd, isFinal } from "../protocol/closeCodes";
import { clockMessage, END_MESSAGE, readControl } from "../protocol/control";
import { encodeMedia } from "../protocol/media";
import { backoffMs } from "../stream/backoff";
import { wallNowMs } from "../stream/serverClock";
import { Store } from "../stream/store";
import { Camera } from "./camera";
import type { Devices } from "./devices";
import { Microphone } from "./microphone";
import { Pace } from "./pace";
import type { Transport } from "./request";
import { Sequences } from "./sequences";
import type { PayloadKind, Sent, Uplink, UplinkState } from "./uplink";

/** Pictures are skipped, newest wins, while this much waits to be sent; everything else waits up to the second bound. */
const PICTURE_BACKLOG_BYTES = 150_000;
const OTHER_BACKLOG_BYTES = 600_000;

export class SocketUplink implements Uplink {
  readonly transport = new Store<Transport>("websocket");
  readonly link = new Store<UplinkState>({ state: "connecting" });
  readonly notice = new Store<string | null>(null);
  readonly sent: Sent = { pictures: 0, chunks: 0, skipped: 0 };

  readonly #url: string;
  readonly #sequences: Sequences;
  readonly #pace = new Pace();
  #camera: Camera | null = null;
  #microphone: Microphone | null = null;
  #socket: WebSocket | null = null;
  /** Whether the edge has said how far the session is: before, a number could be one that it has taken already. */
  #welcomed = false;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  /**
   * @param url the socket's whole address, token included
   * @param sequences the session's, where another transport has used some of them
   */
  constructor(url: string, sequences = new Sequences()) {
    this.#url = url;
    this.#sequences = sequences;
  }

  open(): void {
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#welcomed = false;
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data === "string") this.#take(event.data);
    };
    socket.onclose = (event) => {
      if (this.#socket === socket) this.#lose(event.code, event.reason);
    };
  }

  async use({ camera, microphone, preview, stream }: Devices): Promise<void> {
    this.#release();
    if (this.#ended) return;
    if (camera !== null && preview !== null) this.#camera = new Camera(preview, camera, this);
    if (microphone === null) return;
    const listening = await Microphone.start(stream, this);
    if (this.#ended) listening.stop();
    else this.#microphone = listening;
  }

  /** Whether a picture would be sent now rather than skipped: asked before one is encoded. */
  get wantsPicture(): boolean {
    return (
      this.#isOpen &&
      this.#pace.wants(wallNowMs()) &&
      (this.#socket?.bufferedAmount ?? 0) < PICTURE_BACKLOG_BYTES
    );
  }

  sendPicture(jpeg: Uint8Array, capturedAtMs: number): void {
    if (this.wantsPicture && this.send("jpeg", jpeg, capturedAtMs)) this.sent.pictures += 1;
    else this.sent.skipped += 1;
  }

  sendSound(pcm: Int16Array<ArrayBuffer>, capturedAtMs: number): void {
    if (this.send("pcm16", new Uint8Array(pcm.buffer), capturedAtMs)) this.sent.chunks += 1;
    else this.sent.skipped += 1;
  }

  send(kind: PayloadKind, payload: Uint8Array, capturedAtMs: number): boolean {
    const socket = this.#socket;
    if (socket === null || !this.#isOpen || socket.bufferedAmount > OTHER_BACKLOG_BYTES) return false;
    if (kind === "jpeg" || kind === "faceFeatures") {
      const nowMs = wallNowMs();
      if (!this.#pace.wants(nowMs)) return false;
      this.#pace.sent(nowMs);
    }
    socket.send(encodeMedia(kind, this.#sequences.take(kind), capturedAtMs * 1_000, payload));
    return true;
  }

  end(): void {
    this.#ended = true;
    this.#release();
    clearTimeout(this.#retry);
    if (this.#isOpen) this.#socket?.send(END_MESSAGE);
    this.#socket?.close(1000);
    this.#socket = null;
    this.link.set({ state: "finished" });
  }

  get #isOpen(): boolean {
    return this.#welcomed && this.#socket?.readyState === WebSocket.OPEN;
  }

  #release(): void {
    this.#camera?.stop();
    this.#microphone?.stop();
    this.#camera = null;
    this.#microphone = null;
  }

  #take(text: string): void {
    const nowMs = wallNowMs();
    const message = readControl(text);
    if (message.type === "clock_probe") {
      this.#socket?.send(clockMessage(message.serverUs, nowMs));
    } else if (message.type === "welcome") {
      this.#attempt = 0;
      this.#sequences.goOnBehind(message.received);
      this.#welcomed = true;
      this.#pace.ask(null);
      this.link.set({ state: "open" });
    } else if (message.type === "rate") {
      this.#pace.ask(message.videoPerSecond);
    } else if (message.type === "notice") {
      this.notice.set(message.sentence);
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
