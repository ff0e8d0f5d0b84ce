/** The camera: pictures as JPEG, one at a time, the newest first, each with the moment of its capture. */

import { wallNowMs } from "../stream/serverClock";
import type { EncodeAnswer, EncodeRequest } from "./encoder.worker";
import { FIRST_QUALITY, nextQuality } from "./pictureSize";
import type { Uplink } from "./uplink";

/** At most 30 pictures a second, with some room for a camera's uneven pace. */
const LEAST_INTERVAL_MS = 30;
/** A capture time older than this is not believed. */
const MOST_AGE_MS = 500;

/** Chromium's way to a camera's frames that does not depend on what is drawn; not in TypeScript's DOM library. */
interface TrackProcessor {
  readonly readable: ReadableStream<VideoFrame>;
}
declare global {
  interface Window {
    readonly MediaStreamTrackProcessor?: new (options: {
      track: MediaStreamTrack;
      maxBufferSize: number;
    }) => TrackProcessor;
  }
}

export class Camera {
  readonly #uplink: Uplink;
  readonly #encoder = new Worker(new URL("./encoder.worker.ts", import.meta.url), { type: "module" });
  #quality: number = FIRST_QUALITY;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** When the picture that is being encoded was captured; null: none is. */
  #encodingOf: number | null = null;
  #running = true;

  /** @param video plays the camera's stream already  @param track the camera */
  constructor(video: HTMLVideoElement, track: MediaStreamTrack, uplink: Uplink) {
    this.#uplink = uplink;
    this.#encoder.onmessage = ({ data }: MessageEvent<EncodeAnswer>) => this.#encoded(data);
    if (window.MediaStreamTrackProcessor === undefined) this.#followDrawing(video);
    else void this.#followTrack(new window.MediaStreamTrackProcessor({ track, maxBufferSize: 1 }));
  }

  stop(): void {
    this.#running = false;
    this.#encoder.terminate();
  }

  async #followTrack({ readable }: TrackProcessor): Promise<void> {
    const reader = readable.getReader();
    while (this.#running) {
      const { done, value: frame } = await reader.read();
      if (done) return;
      if (this.#wants()) this.#encode(frame, wallNowMs());
      else frame.close();
    }
    await reader.cancel();
  }

  #followDrawing(video: HTMLVideoElement): void {
    video.requestVideoFrameCallback((_, { captureTime }) => {
      if (!this.#running) return;
      this.#followDrawing(video);
      if (!this.#wants()) return;
      const atMs = wallNowMs() - age(captureTime);
      this.#encodingOf = atMs;
      createImageBitmap(video).then(
        (picture) => this.#encode(picture, atMs),
        () => this.#encoded(null),
      );
    });
  }

  #wants(): boolean {
    const due = performance.now() - this.#lastAt >= LEAST_INTERVAL_MS;
    return this.#running && this.#encodingOf === null && due && this.#uplink.wantsPicture;
  }

  #encode(picture: VideoFrame | ImageBitmap, atMs: number): void {
    this.#encodingOf = atMs;
    this.#lastAt = performance.now();
    const request: EncodeRequest = { picture, quality: this.#quality };
    this.#encoder.postMessage(request, [picture]);
  }

  #encoded(jpeg: EncodeAnswer): void {
    const atMs = this.#encodingOf;
    this.#encodingOf = null;
    if (jpeg === null || atMs === null || !this.#running) return;
    this.#quality = nextQuality(this.#quality, jpeg.byteLength);
    this.#uplink.sendPicture(new Uint8Array(jpeg), atMs);
  }
}

/** How long ago a capture time was, if it can be believed. */
function age(captureTime: number | undefined): number {
  if (captureTime === undefined) return 0;
  const ms = performance.now() - captureTime;
  return ms >= 0 && ms <= MOST_AGE_MS ? ms : 0;
}
