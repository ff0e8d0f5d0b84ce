/** Reads the face in the camera's pictures, on this device, and sends what it finds: 30 a second at most, newest first. */

import { FrameFeed } from "../capture/frameFeed";
import { facePayload } from "../protocol/features";
import { wallNowMs } from "../stream/serverClock";
import type { LandmarkerAnswer, LandmarkerRequest } from "./landmarker.worker";

/** Name and version of how faces are read here: MediaPipe's release, and the server's rules. */
const ENGINE = "mediapipe-face-landmarker@0.10.17";
const MODEL = "v1/models/face_landmarker.task";

/** Takes one binary message of the media framing; false: it did not go out. */
export type FeatureSink = (
  kind: "faceFeatures" | "speechFeatures",
  payload: Uint8Array,
  capturedAtMs: number,
) => boolean;

/** Faces cannot be read on this device; `message` can be shown to a person. */
export class OnDeviceError extends Error {
  override readonly name = "OnDeviceError";
}

export class FaceReader {
  readonly #worker: Worker;
  readonly #send: FeatureSink;
  #feed: FrameFeed | null = null;
  /** When the picture that is being read was captured; null: none is. */
  #readingOf: number | null = null;
  #running = true;

  private constructor(worker: Worker, send: FeatureSink) {
    this.#worker = worker;
    this.#send = send;
  }

  /** Loads the model from the page's own server; throws {@link OnDeviceError}. */
  static async load(send: FeatureSink): Promise<FaceReader> {
    const worker = new Worker(new URL("./landmarker.worker.ts", import.meta.url));
    const request: LandmarkerRequest = { model: new URL(MODEL, document.baseURI).toString() };
    const answer = new Promise<LandmarkerAnswer>((resolve) => {
      worker.onmessage = ({ data }: MessageEvent<LandmarkerAnswer>) => resolve(data);
      worker.onerror = (event) => resolve({ kind: "failed", reason: event.message });
    });
    worker.postMessage(request);
    const loaded = await answer;
    if (loaded.kind === "failed") {
      worker.terminate();
      console.error(loaded.reason);
      throw new OnDeviceError(
        "This browser could not load what reads faces on this device. Start without on-device analysis, or try another browser.",
      );
    }
    const reader = new FaceReader(worker, send);
    worker.onmessage = ({ data }: MessageEvent<LandmarkerAnswer>) => reader.#answered(data);
    return reader;
  }

  /** Reads this camera from now on, instead of the one before. */
  use(video: HTMLVideoElement, track: MediaStreamTrack): void {
    this.#feed?.stop();
    if (this.#running) this.#feed = new FrameFeed(video, track, this);
  }

  stop(): void {
    this.#running = false;
    this.#feed?.stop();
    this.#worker.terminate();
  }

  get wantsFrame(): boolean {
    return this.#running && this.#readingOf === null;
  }

  takeFrame(picture: VideoFrame | ImageBitmap, atMs: number): void {
    this.#readingOf = atMs;
    const request: LandmarkerRequest = { picture, atMs };
    this.#worker.postMessage(request, [picture]);
  }

  #answered(answer: LandmarkerAnswer): void {
    const atMs = this.#readingOf;
    this.#readingOf = null;
    if (atMs === null || !this.#running) return;
    if (answer.kind === "failed") console.error(answer.reason);
    if (answer.kind !== "face") return;
    this.#send("faceFeatures", facePayload(answer.face, ENGINE, (wallNowMs() - atMs) * 1_000), atMs);
  }
}
