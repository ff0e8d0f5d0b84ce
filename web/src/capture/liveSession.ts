/** A person's own session, from consent to stop: devices, session, media socket, avatar socket. */

import { type Consent, type Session, socketUrl } from "../protocol/sessions";
import { AvatarStream } from "../stream/avatarStream";
import { Camera } from "./camera";
import { clientConfig, endSession, openSession } from "./edge";
import { Microphone } from "./microphone";
import { Uplink } from "./uplink";

/** The devices could not be opened; `message` can be shown to a person. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
}

const VIDEO: MediaTrackConstraints = {
  width: { ideal: 640 },
  height: { ideal: 480 },
  frameRate: { ideal: 30, max: 30 },
  facingMode: "user",
};
const AUDIO: MediaTrackConstraints = { channelCount: 1, echoCancellation: true, noiseSuppression: false };

const DEVICE_SENTENCES: Readonly<Record<string, string>> = {
  NotAllowedError:
    "The browser may not use the camera or microphone. Allow it beside the page's address, then try again.",
  NotFoundError: "No such camera or microphone was found. Connect one, or agree to the other alone.",
  NotReadableError: "Another program is using the camera or microphone. Close it, then try again.",
};

/** The address under which the avatar of a session is served. */
export async function avatarUrl(sessionId: string, token: string, given: string | null): Promise<string> {
  const path = `v1/sessions/${encodeURIComponent(sessionId)}/avatar`;
  if (given !== null) return socketUrl(given, document.baseURI, token);
  const { egressUrl } = await clientConfig();
  const base = egressUrl === null ? document.baseURI : `${egressUrl.replace(/\/$/, "")}/`;
  return socketUrl(path, base, token);
}

export class LiveSession {
  readonly stream: AvatarStream;
  readonly uplink: Uplink;
  readonly session: Session;
  readonly consent: Consent;
  /** Plays the camera for the person; null without video. */
  readonly preview: HTMLVideoElement | null;

  readonly #media: MediaStream;
  readonly #camera: Camera | null;
  #microphone: Microphone | null = null;
  #stopped = false;
  readonly #onPageHide = (): void => this.stop();

  private constructor(parts: {
    consent: Consent;
    media: MediaStream;
    preview: HTMLVideoElement | null;
    session: Session;
    uplink: Uplink;
    stream: AvatarStream;
  }) {
    this.consent = parts.consent;
    this.session = parts.session;
    this.stream = parts.stream;
    this.uplink = parts.uplink;
    this.preview = parts.preview;
    this.#media = parts.media;
    const [track] = this.#media.getVideoTracks();
    const films = this.preview !== null && track !== undefined;
    this.#camera = films ? new Camera(this.preview, track, this.uplink) : null;
    window.addEventListener("pagehide", this.#onPageHide);
  }

  /**
   * Opens exactly the devices that were consented to, then the session. Throws {@link DeviceError} or EdgeError, or
   * the signal's reason if it was aborted meanwhile; leaves no device and no session open if it throws.
   */
  static async start(consent: Consent, signal: AbortSignal): Promise<LiveSession> {
    const media = await openDevices(consent);
    let session: Session | null = null;
    let live: LiveSession | null = null;
    try {
      signal.throwIfAborted();
      const preview = await play(media);
      signal.throwIfAborted();
      session = await openSession(consent);
      const { sessionId, token } = session;
      const mediaPath = session.mediaUrl ?? `v1/sessions/${encodeURIComponent(sessionId)}/media`;
      const uplink = new Uplink(socketUrl(mediaPath, document.baseURI, token));
      const stream = new AvatarStream(await avatarUrl(sessionId, token, session.avatarUrl));
      signal.throwIfAborted();
      live = new LiveSession({ consent, media, preview, session, uplink, stream });
      uplink.open();
      stream.open();
      if (consent.audio) await live.#listen();
      signal.throwIfAborted();
      return live;
    } catch (error) {
      release(media);
      if (live !== null) live.stop();
      else if (session !== null) void endSession(session);
      throw error;
    }
  }

  /** Ends capture and session at once: the devices first, so that nothing more is taken. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    release(this.#media);
    this.#camera?.stop();
    this.#microphone?.stop();
    if (this.preview !== null) this.preview.srcObject = null;
    this.uplink.end();
    this.stream.close();
    window.removeEventListener("pagehide", this.#onPageHide);
    void endSession(this.session);
  }

  async #listen(): Promise<void> {
    const microphone = await Microphone.start(this.#media, this.uplink);
    if (this.#stopped) microphone.stop();
    else this.#microphone = microphone;
  }
}

async function openDevices(consent: Consent): Promise<MediaStream> {
  if (navigator.mediaDevices === undefined) {
    throw new DeviceError(
      "The browser offers camera and microphone on secure addresses (https or localhost) only.",
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: consent.video ? VIDEO : false,
      audio: consent.audio ? AUDIO : false,
    });
  } catch (error) {
    const name = error instanceof Error ? error.name : "";
    throw new DeviceError(DEVICE_SENTENCES[name] ?? "The camera or microphone could not be opened.");
  }
}

async function play(media: MediaStream): Promise<HTMLVideoElement | null> {
  if (media.getVideoTracks().length === 0) return null;
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = media;
  await video.play();
  return video;
}

function release(media: MediaStream): void {
  for (const track of media.getTracks()) track.stop();
}
