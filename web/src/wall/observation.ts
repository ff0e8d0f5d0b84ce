/** What the wall knows, kept fresh: the list of sessions from analytics, who has frames from egress. No React. */

import { clientConfig } from "../capture/edge";
import { EdgeError } from "../protocol/sessions";
import { Store } from "../stream/store";
import { directory, type Entry, type ListedSession, readList, serverNowMs } from "./directory";
import { type WallLink, WallSocket } from "./wallSocket";

export type Observation =
  | { readonly kind: "loading" }
  /** The wall may not be seen; `sentence` says why. */
  | { readonly kind: "refused"; readonly sentence: string }
  | {
      readonly kind: "watching";
      readonly entries: readonly Entry[];
      /** The server's time when this was so, milliseconds since the epoch. */
      readonly nowMs: number;
      readonly link: WallLink;
      /** Why the list cannot be had now; null: it can. */
      readonly listTrouble: string | null;
    };

const LIST_MS = 2_000;
const REFUSED = new Set([401, 403]);

export class WallObserver {
  readonly observation = new Store<Observation>({ kind: "loading" });
  readonly #token: string;
  #socket: WallSocket | null = null;
  #analyticsUrl = "";
  #listed: readonly ListedSession[] = [];
  #listTrouble: string | null = null;
  #asked = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(token: string) {
    this.#token = token;
  }

  /** The socket that carries frames; null until its address is known. */
  get socket(): WallSocket | null {
    return this.#socket;
  }

  async open(): Promise<void> {
    try {
      const { egressUrl, analyticsUrl } = await clientConfig();
      if (this.#closed) return;
      this.#analyticsUrl = wallOf(analyticsUrl).toString();
      const url = wallOf(egressUrl);
      url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
      this.#socket = new WallSocket(url.toString(), this.#token);
      this.#socket.link.subscribe(() => this.#publish());
      this.#socket.presence.subscribe(() => this.#publish());
      this.#socket.open();
      void this.#list();
    } catch (error) {
      const sentence =
        error instanceof EdgeError ? error.message : "The page did not learn where things are.";
      this.#refuse(`${sentence} Reload the page to try again.`);
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** Asks for the list, again and again; not while nobody looks. */
  async #list(): Promise<void> {
    if (!document.hidden) {
      const trouble = await this.#fetchList();
      if (this.#closed) return;
      this.#listTrouble = trouble;
      this.#asked = true;
      this.#publish();
    }
    this.#timer = setTimeout(() => void this.#list(), LIST_MS);
  }

  /** Why it failed; null if it did not. */
  async #fetchList(): Promise<string | null> {
    try {
      const response = await fetch(this.#analyticsUrl, {
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(10_000),
      });
      if (REFUSED.has(response.status)) return "The address of this wall is not valid there.";
      if (!response.ok) return `Analytics answered ${response.status}.`;
      this.#listed = readList(await response.json());
      return null;
    } catch {
      return "Analytics cannot be reached.";
    }
  }

  #publish(): void {
    const socket = this.#socket;
    if (socket === null || this.#closed) return;
    const link = socket.link.get();
    if (link.state === "refused") {
      this.#refuse(link.detail);
      return;
    }
    if (!this.#asked) return;
    const presence = socket.presence.get();
    const nowMs = serverNowMs(presence, Date.now());
    const entries = directory(this.#listed, presence, nowMs);
    this.observation.set({ kind: "watching", entries, nowMs, link, listTrouble: this.#listTrouble });
  }

  #refuse(sentence: string): void {
    this.close();
    this.observation.set({ kind: "refused", sentence });
  }
}

/** The wall's address at a service; null: at the page's own. */
const wallOf = (service: string | null): URL =>
  new URL("v1/wall", service === null ? document.baseURI : `${service.replace(/\/$/, "")}/`);

/** The token in the page's address, after the `#`. */
export function tokenFromAddress(address: string): string | null {
  const token = new URLSearchParams(new URL(address).hash.replace(/^#\??/, "")).get("token");
  return token === null || token === "" ? null : token;
}
