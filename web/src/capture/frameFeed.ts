/** A camera's pictures, the newest at a time, each with the moment of its capture, for whoever wants one. */

import { wallNowMs } from "../stream/serverClock";

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

/** Closes what it takes when it is done with it. */
export interface FrameSink {
  /** Whether it would take a picture now; the others are skipped. */
  readonly wantsFrame: boolean;
  /** @param atMs when it was captured, on the clock of wallNowMs */
  takeFrame(picture: VideoFrame | ImageBitmap, atMs: number): void;
}

export class FrameFeed {
  readonly #sink: FrameSink;
  #lastAt = Number.NEGATIVE_INFINITY;
  /** A picture is being copied. */
  #copying = false;
  #running = true;

  /** @param video plays the camera's stream already  @param track the camera */
  constructor(video: HTMLVideoElement, track: MediaStreamTrack, sink: FrameSink) {
    this.#sink = sink;
    if (window.MediaStreamTrackProcessor === undefined) this.#followDrawing(video);
    else void this.#followTrack(new window.MediaStreamTrackProcessor({ track, maxBufferSize: 1 }));
  }

  stop(): void {
    this.#running = false;
  }

  async #followTrack({ readable }: TrackProcessor): Promise<void> {
    const reader = readable.getReader();
    while (this.#running) {
      const { done, value: frame } = await reader.read();
      if (done) return;
      if (this.#wants()) this.#give(frame, wallNowMs());
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
      this.#copying = true;
      createImageBitmap(video).then(
        (picture) => {
          this.#copying = false;
          if (this.#running) this.#give(picture, atMs);
          else picture.close();
        },
        () => {
          this.#copying = false;
        },
      );
    });
  }

  #wants(): boolean {
    const due = performance.now() - this.#lastAt >= LEAST_INTERVAL_MS;
    return this.#running && !this.#copying && due && this.#sink.wantsFrame;
  }

  #give(picture: VideoFrame | ImageBitmap, atMs: number): void {
    this.#lastAt = performance.now();
    this.#sink.takeFrame(picture, atMs);
  }
}

/** How long ago a capture time was, if it can be believed. */
function age(captureTime: number | undefined): number {
  if (captureTime === undefined) return 0;
  const ms = performance.now() - captureTime;
  return ms >= 0 && ms <= MOST_AGE_MS ? ms : 0;
}
