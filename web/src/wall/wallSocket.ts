/** The wall's socket: one connection for the frames of all sessions that are picked, and for who is present. */

import { closeSentence, isFinal } from "../protocol/closeCodes";
import { readMessages, type ServerMessage } from "../protocol/messages";
import { backoffMs } from "../stream/backoff";
import { Store } from "../stream/store";
import { type Presence, readPresence } from "./directory";
import { SessionFeed } from "./feed";

export type WallLink =
  | { readonly state: "connecting" | "open" }
  | { readonly state: "reconnecting" | "refused"; readonly detail: string };

export class WallSocket {
  readonly link = new Store<WallLink>({ state: "connecting" });
  readonly presence = new Store<Presence | null>(null);

  readonly #url: string;
  readonly #token: string;
  readonly #feeds = new Map<string, SessionFeed>();
  #socket: WebSocket | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @param token goes as a subprotocol, so that no address holds it */
  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  open(): void {
    const socket = new WebSocket(this.#url, ["affectstream.binary", `bearer.${this.#token}`]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "string" && !(data instanceof ArrayBuffer)) return;
      for (const message of readMessages(data)) this.#take(message);
    };
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) this.#lose(code, reason);
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  /** Has frames come for these sessions and no others; those that stay keep their feed. */
  pick(sessionIds: readonly string[]): ReadonlyMap<string, SessionFeed> {
    const wanted = new Set(sessionIds);
    for (const id of this.#feeds.keys()) if (!wanted.has(id)) this.#feeds.delete(id);
    for (const id of sessionIds) if (!this.#feeds.has(id)) this.#feeds.set(id, new SessionFeed());
    this.#ask();
    return this.#feeds;
  }

  #ask(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(JSON.stringify({ type: "watch", sessions: [...this.#feeds.keys()] }));
  }

  #take(message: ServerMessage): void {
    if (message.type === "avatar_frame" || message.type === "emotion_update") {
      this.#feeds.get(message.sessionId)?.take(message, performance.now());
    } else if (message.type === "notice" && message.kind === "welcome") {
      this.#attempt = 0;
      this.link.set({ state: "open" });
      this.#ask();
    } else if (message.type === "notice" && message.kind === "presence") {
      this.presence.set(readPresence(message.body, Date.now()));
    }
  }

  #lose(code: number, reason: string): void {
    this.#socket = null;
    if (this.#closed) return;
    const detail = closeSentence(code, reason);
    if (isFinal(code)) {
      this.link.set({ state: "refused", detail });
    } else {
      this.link.set({ state: "reconnecting", detail });
      this.#retry = setTimeout(() => this.open(), backoffMs(this.#attempt, Math.random()));
      this.#attempt += 1;
    }
  }
}
