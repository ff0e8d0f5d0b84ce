/** What the page is doing, and how it gets from one thing to the next. No React. */

import { DeviceError } from "../capture/devices";
import { avatarUrl, LiveSession } from "../capture/liveSession";
import type { StartRequest } from "../capture/request";
import { OnDeviceError } from "../ondevice/faceReader";
import { EdgeError } from "../protocol/sessions";
import { AvatarStream } from "../stream/avatarStream";
import { SocketSource } from "../stream/socketSource";
import { Store } from "../stream/store";

export type Activity =
  | { readonly kind: "idle" }
  | { readonly kind: "starting" }
  | { readonly kind: "live"; readonly live: LiveSession }
  | { readonly kind: "watching"; readonly stream: AvatarStream; readonly sessionId: string }
  | { readonly kind: "ended"; readonly sentence: string }
  | { readonly kind: "failed"; readonly sentence: string };

/** A session of somebody else that may be watched. */
export interface Watchable {
  readonly sessionId: string;
  readonly token: string;
}

export class Controller {
  readonly activity = new Store<Activity>({ kind: "idle" });
  #abort: AbortController | null = null;
  #unwatch: (() => void) | null = null;

  /** Opens devices and session as asked, with exactly this consent. */
  async start(request: StartRequest): Promise<void> {
    this.#leave();
    const abort = new AbortController();
    this.#abort = abort;
    this.activity.set({ kind: "starting" });
    try {
      const live = await LiveSession.start(request, abort.signal);
      this.activity.set({ kind: "live", live });
      this.#follow(live);
    } catch (error) {
      if (!abort.signal.aborted) this.#fail(error);
    }
  }

  /** Ends capture and session at once, or leaves the session that is watched. */
  stop(): void {
    const { kind } = this.activity.get();
    this.#leave();
    const sentence =
      kind === "watching"
        ? "You are no longer watching."
        : "The session has ended. Camera and microphone are off.";
    this.activity.set({ kind: "ended", sentence });
  }

  async watch({ sessionId, token }: Watchable): Promise<void> {
    this.#leave();
    const abort = new AbortController();
    this.#abort = abort;
    this.activity.set({ kind: "starting" });
    try {
      const url = await avatarUrl(sessionId, token, null);
      abort.signal.throwIfAborted();
      const stream = new AvatarStream(new SocketSource(url));
      stream.open();
      this.activity.set({ kind: "watching", stream, sessionId });
    } catch (error) {
      if (!abort.signal.aborted) this.#fail(error);
    }
  }

  /** Ends by itself what the server has ended. */
  #follow(live: LiveSession): void {
    this.#unwatch = live.uplink.link.subscribe(() => {
      const link = live.uplink.link.get();
      if (link.state !== "finished" && link.state !== "refused") return;
      this.#leave();
      this.activity.set(
        link.state === "refused"
          ? { kind: "failed", sentence: `${link.detail} Camera and microphone are off.` }
          : { kind: "ended", sentence: "The server has ended the session. Camera and microphone are off." },
      );
    });
  }

  #leave(): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#abort?.abort();
    this.#abort = null;
    const activity = this.activity.get();
    if (activity.kind === "live") activity.live.stop();
    if (activity.kind === "watching") activity.stream.close();
  }

  #fail(error: unknown): void {
    const known = [EdgeError, DeviceError, OnDeviceError].some((kind) => error instanceof kind);
    if (!known) console.error(error);
    const sentence = known
      ? (error as Error).message
      : "Something unexpected went wrong; the browser's console has more.";
    this.activity.set({ kind: "failed", sentence });
  }
}
