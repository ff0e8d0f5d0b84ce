/** Camera and microphone of one session: opened by consent, changed by choice, released at the end. */

import type { Consent } from "../protocol/sessions";
import type { DeviceChoice } from "./request";

/** The devices could not be opened; `message` can be shown to a person. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
}

export type DeviceKind = "camera" | "microphone";

const VIDEO: MediaTrackConstraints = {
  width: { ideal: 640 },
  height: { ideal: 480 },
  frameRate: { ideal: 30, max: 30 },
};
const AUDIO: MediaTrackConstraints = { channelCount: 1, echoCancellation: true, noiseSuppression: false };

const DEVICE_SENTENCES: Readonly<Record<string, string>> = {
  NotAllowedError:
    "The browser may not use the camera or microphone. Allow it beside the page's address, then try again.",
  NotFoundError: "No such camera or microphone was found. Connect one, or agree to the other alone.",
  OverconstrainedError: "That camera or microphone is no longer there. Choose another, then try again.",
  NotReadableError: "Another program is using the camera or microphone. Close it, then try again.",
};

export class Devices {
  /** The tracks that are on; its contents change with the person's choice, itself it stays. */
  readonly stream: MediaStream;
  /** Plays the camera for the person; null without video. */
  readonly preview: HTMLVideoElement | null;
  /** Called when a device goes away by itself, for instance unplugged. */
  onlost: ((kind: DeviceKind) => void) | null = null;

  #released = false;

  private constructor(stream: MediaStream, preview: HTMLVideoElement | null) {
    this.stream = stream;
    this.preview = preview;
    for (const track of stream.getTracks()) this.#watch(track);
  }

  /** Opens exactly what was consented to; throws {@link DeviceError} and leaves nothing on. */
  static async open(consent: Consent, choice: DeviceChoice): Promise<Devices> {
    const stream = await capture(
      consent.video ? videoOf(choice.cameraId) : false,
      consent.audio ? audioOf(choice.microphoneId) : false,
    );
    try {
      return new Devices(stream, await play(stream));
    } catch (error) {
      stop(stream.getTracks());
      throw error;
    }
  }

  get camera(): MediaStreamTrack | null {
    return this.stream.getVideoTracks()[0] ?? null;
  }

  get microphone(): MediaStreamTrack | null {
    return this.stream.getAudioTracks()[0] ?? null;
  }

  /**
   * Opens another camera or microphone in the place of the one that is on (null: the browser's own choice). Throws
   * {@link DeviceError}, and what was on stays on. A kind that was not consented to is never opened.
   */
  async change(kind: DeviceKind, id: string | null): Promise<void> {
    const before = kind === "camera" ? this.camera : this.microphone;
    if (before === null || this.#released) return;
    const opened = kind === "camera" ? await capture(videoOf(id), false) : await capture(false, audioOf(id));
    const [track] = opened.getTracks();
    if (track === undefined) return;
    if (this.#released) {
      track.stop();
      return;
    }
    this.stream.removeTrack(before);
    before.stop();
    this.stream.addTrack(track);
    this.#watch(track);
    await this.preview?.play();
  }

  /** Turns everything off. */
  release(): void {
    this.#released = true;
    stop(this.stream.getTracks());
    if (this.preview !== null) this.preview.srcObject = null;
  }

  #watch(track: MediaStreamTrack): void {
    // Not told of tracks that the page itself stops.
    track.addEventListener("ended", () => this.onlost?.(track.kind === "video" ? "camera" : "microphone"));
  }
}

const videoOf = (id: string | null): MediaTrackConstraints =>
  id === null ? { ...VIDEO, facingMode: "user" } : { ...VIDEO, deviceId: { exact: id } };
const audioOf = (id: string | null): MediaTrackConstraints =>
  id === null ? AUDIO : { ...AUDIO, deviceId: { exact: id } };

async function capture(
  video: MediaTrackConstraints | false,
  audio: MediaTrackConstraints | false,
): Promise<MediaStream> {
  if (navigator.mediaDevices === undefined) {
    throw new DeviceError(
      "The browser offers camera and microphone on secure addresses (https or localhost) only.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video, audio });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    throw new DeviceError(DEVICE_SENTENCES[name] ?? "The camera or microphone could not be opened.");
  }
}

async function play(stream: MediaStream): Promise<HTMLVideoElement | null> {
  if (stream.getVideoTracks().length === 0) return null;
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  return video;
}

function stop(tracks: readonly MediaStreamTrack[]): void {
  for (const track of tracks) track.stop();
}
