/**
 * A session's avatar: keeps its source connected, fills the timeline, acknowledges what was shown.
 *
 * A thin shell: what it decides is in Timeline, LatencyBoard, backoff and the protocol folder.
 */

import { closeSentence, isEnd, isFinal } from "../protocol/closeCodes";
import {
  ackMessage,
  type EmotionUpdate,
  feltMessage,
  type Hop,
  pingMessage,
  ratingMessage,
  readMessages,
  type ServerMessage,
} from "../protocol/messages";
import type { Emotion } from "../protocol/vocabulary";
import { backoffMs } from "./backoff";
import { FrameRate } from "./frameRate";
import { LatencyBoard, type Leg } from "./latency";
import { Losses } from "./losses";
import type { Pose } from "./pose";
import { ServerClock, wallNowMs } from "./serverClock";
import type { FrameSource } from "./source";
import { Store } from "./store";
import { Timeline, type TimelineState } from "./timeline";

/** Where the connection stands, and a sentence about it where one is needed. */
export type Link =
  | { readonly state: "connecting" | "waiting" | "silent" | "live" | "stalled" }
  | { readonly state: "reconnecting"; readonly detail: string }
  | { readonly state: "finished" }
  | { readonly state: "refused"; readonly detail: string };

/** What panels show, published ten times a second. */
export interface Readout {
  readonly emotion: EmotionUpdate | null;
  /** Empty, and the two figures null, until the server's clock is known well enough to tell latencies by. */
  readonly legs: readonly Leg[];
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly bufferMs: number;
  /** Null until frames have come for a moment. */
  readonly framesPerSecond: number | null;
  readonly skipped: number;
  readonly lost: number;
  /** Frames that came, each counted once. */
  readonly received: number;
  /** To the server and back, milliseconds; null until it is known. */
  readonly roundTripMs: number | null;
}

export const EMPTY_READOUT: Readout = {
  emotion: null,
  legs: [],
  p50Ms: null,
  p95Ms: null,
  bufferMs: 0,
  framesPerSecond: null,
  skipped: 0,
  lost: 0,
  received: 0,
  roundTripMs: null,
};

const PUBLISH_MS = 100;
const ACK_MS = 1_000;
/** The server is asked for its time this often; as often as panels are published until its clock is known. */
const PING_MS = 1_000;
const GIVE_UP_AFTER = 12;
/** Connected for so long without a frame: worth a word. A session's first frame may take some seconds. */
const SILENT_MS = 6_000;

export class AvatarStream {
  readonly link = new Store<Link>({ state: "connecting" });
  readonly readout = new Store<Readout>(EMPTY_READOUT);

  readonly #source: FrameSource;
  #clock = new ServerClock();
  readonly #timeline = new Timeline();
  readonly #latency = new LatencyBoard();
  readonly #arrivals = new Map<number, number>();
  readonly #rate = new FrameRate();
  readonly #losses = new Losses();
  #connected = false;
  /** Whether the server has said something on this connection: before, it may not answer yet. */
  #heard = false;
  #openedAt = 0;
  #emotion: EmotionUpdate | null = null;
  #attempt = 0;
  #closed = false;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #publisher: ReturnType<typeof setInterval> | undefined;
  #lastAckAt = 0;
  #lastPingAt = Number.NEGATIVE_INFINITY;
  #skipped = 0;
  #received = 0;
  #measuredSequence = -1;

  constructor(source: FrameSource) {
    this.#source = source;
  }

  open(): void {
    this.#publisher = setInterval(() => this.#publish(), PUBLISH_MS);
    this.#connect();
  }

  /** Ends the connection for good. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#publisher);
    this.#connected = false;
    this.#source.close();
  }

  /** Writes the pose for this instant; called once a rendered frame. */
  sample(pose: Pose): TimelineState {
    const state = this.#timeline.sample(performance.now(), pose);
    this.#measureShown();
    return state;
  }

  /** Sends a rating 1..5 of the avatar as it looks now; false if there is no connection to send it on. */
  rate(value: number): boolean {
    return this.#send(ratingMessage(this.#timeline.shown?.sequence ?? 0, value));
  }

  /** Sends what the person says to feel at this moment; false if there is no connection to send it on. */
  tell(felt: Emotion): boolean {
    return this.#send(feltMessage(this.#timeline.shown?.sequence ?? 0, felt));
  }

  #connect(): void {
    this.#connected = false;
    this.#heard = false;
    // Another server may answer this time.
    this.#clock = new ServerClock();
    this.#source.open({
      opened: () => {
        this.#connected = true;
        this.#openedAt = performance.now();
        this.link.set({ state: "waiting" });
      },
      message: (data) => this.#take(data),
      closed: (code, reason) => this.#lose(code, reason),
    });
  }

  #lose(code: number, reason: string): void {
    this.#connected = false;
    if (this.#closed) return;
    if (isEnd(code)) {
      this.link.set({ state: "finished" });
    } else if (isFinal(code) || this.#attempt >= GIVE_UP_AFTER) {
      this.link.set({ state: "refused", detail: closeSentence(code, reason) });
    } else {
      this.link.set({ state: "reconnecting", detail: closeSentence(code, reason) });
      this.#retry = setTimeout(() => this.#connect(), backoffMs(this.#attempt, Math.random()));
      this.#attempt += 1;
    }
  }

  #take(data: string | ArrayBuffer): void {
    this.#heard = true;
    for (const message of readMessages(data)) this.#took(message, performance.now());
  }

  #took(message: ServerMessage, now: number): void {
    if (message.type === "avatar_frame") {
      this.#attempt = 0;
      this.#losses.arrived(message.sequence, message.discontinuity);
      if (this.#timeline.push(message, now) === "duplicate") return;
      this.#received += 1;
      this.#rate.arrived(now);
      this.#arrivals.set(message.sequence, wallNowMs());
      if (this.#arrivals.size > 256) this.#arrivals.delete(this.#arrivals.keys().next().value as number);
    } else if (message.type === "emotion_update") {
      if (message.sequence >= (this.#emotion?.sequence ?? 0)) this.#emotion = message;
    } else if (message.type === "notice") {
      const { server_us: serverUs, client_us: clientUs, count } = message.body;
      if (message.kind === "pong" && typeof serverUs === "number" && typeof clientUs === "number") {
        this.#clock.observe(clientUs / 1_000, serverUs / 1_000, wallNowMs());
      }
      if (message.kind === "skipped" && typeof count === "number") this.#skipped += count;
    }
  }

  #measureShown(): void {
    const shown = this.#timeline.shown;
    if (shown === null || shown.sequence === this.#measuredSequence) return;
    this.#measuredSequence = shown.sequence;
    if (!this.#clock.trusted) return;
    const arrived = this.#arrivals.get(shown.sequence);
    const renderedAtMs = this.#clock.toServer(wallNowMs());
    if (arrived !== undefined) {
      const own: Hop[] = [
        { name: "arrived", atMs: this.#clock.toServer(arrived) },
        { name: "shown", atMs: renderedAtMs },
      ];
      const server = shown.hops.length > 0 ? shown.hops : [{ name: "captured", atMs: shown.timestampMs }];
      this.#latency.add([...server, ...own]);
    }
    const now = performance.now();
    if (now - this.#lastAckAt >= ACK_MS && this.#send(ackMessage(shown.sequence, renderedAtMs))) {
      this.#lastAckAt = now;
    }
  }

  #send(text: string): boolean {
    return this.#connected && this.#source.send(text);
  }

  /** Asks the server for its time when it is due. */
  #ask(now: number): void {
    const due = !this.#clock.trusted || now - this.#lastPingAt >= PING_MS;
    if (this.#heard && due && this.#send(pingMessage(wallNowMs()))) this.#lastPingAt = now;
  }

  #publish(): void {
    const now = performance.now();
    this.#ask(now);
    const freshness = this.#timeline.freshness(now);
    if (this.#connected) {
      const quiet = now - this.#openedAt > SILENT_MS ? "silent" : "waiting";
      const state = freshness === "empty" ? quiet : freshness;
      if (this.link.get().state !== state) this.link.set({ state });
    }
    this.readout.set({
      emotion: this.#emotion,
      legs: this.#latency.legs,
      p50Ms: this.#latency.totalAt(0.5),
      p95Ms: this.#latency.totalAt(0.95),
      bufferMs: this.#timeline.delayMs,
      framesPerSecond: this.#rate.at(now),
      skipped: this.#skipped,
      lost: this.#losses.lost,
      received: this.#received,
      roundTripMs: this.#clock.roundTripMs,
    });
  }
}
