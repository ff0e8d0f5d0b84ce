/** The camera: pictures as JPEG, one at a time, the newest first, each with the moment of its capture. */

import type { EncodeAnswer, EncodeRequest } from "./encoder.worker";
import { FrameFeed } from "./frameFeed";
import { FIRST_QUALITY, nextQuality } from "./pictureSize";

/** Where pictures go. */
export interface PictureSink {
  /** Whether a picture would be sent now rather than skipped: asked before one is encoded. */
  readonly wantsPicture: boolean;
  sendPicture(jpeg: Uint8Array, capturedAtMs: number): void;
}

export class Camera {
  readonly #sink: PictureSink;
  readonly #encoder = new Worker(new URL("./encoder.worker.ts", import.meta.url), { type: "module" });
  readonly #feed: FrameFeed;
  #quality: number = FIRST_QUALITY;
  /** When the picture that is being encoded was captured; null: none is. */
  #encodingOf: number | null = null;
  #running = true;

  /** @param video plays the camera's stream already  @param track the camera */
  constructor(video: HTMLVideoElement, track: MediaStreamTrack, sink: PictureSink) {
    this.#sink = sink;
    this.#encoder.onmessage = ({ data }: MessageEvent<EncodeAnswer>) => this.#encoded(data);
    this.#feed = new FrameFeed(video, track, this);
  }

  stop(): void {
    this.#running = false;
    this.#feed.stop();
    this.#encoder.terminate();
  }

  get wantsFrame(): boolean {
    return this.#running && this.#encodingOf === null && this.#sink.wantsPicture;
  }

  takeFrame(picture: VideoFrame | ImageBitmap, atMs: number): void {
    this.#encodingOf = atMs;
    const request: EncodeRequest = { picture, quality: this.#quality };
    this.#encoder.postMessage(request, [picture]);
  }

  #encoded(jpeg: EncodeAnswer): void {
    const atMs = this.#encodingOf;
    this.#encodingOf = null;
    if (jpeg === null || atMs === null || !this.#running) return;
    this.#quality = nextQuality(this.#quality, jpeg.byteLength);
    this.#sink.sendPicture(new Uint8Array(jpeg), atMs);
  }
}
