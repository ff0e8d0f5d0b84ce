/** A person's own session, from consent to stop: devices, session, the way out, the avatar's frames. */

import { OnDevice } from "../ondevice/onDevice";
import { type Session, socketUrl } from "../protocol/sessions";
import { AvatarStream } from "../stream/avatarStream";
import { ChannelSource } from "../stream/channelSource";
import { FallbackSource } from "../stream/fallbackSource";
import { SocketSource } from "../stream/socketSource";
import { Store } from "../stream/store";
import { DeviceError, type DeviceKind, Devices } from "./devices";
import { clientConfig, endSession, openSession } from "./edge";
import { FallbackUplink } from "./fallbackUplink";
import type { DeviceChoice, StartRequest } from "./request";
import { Sequences } from "./sequences";
import { SocketUplink } from "./socketUplink";
import type { Uplink } from "./uplink";
import { WebRtcUplink } from "./webRtcUplink";
import { WhipClient } from "./whip";

/** The address under which the avatar of a session is served. */
export async function avatarUrl(sessionId: string, token: string, given: string | null): Promise<string> {
  const path = `v1/sessions/${encodeURIComponent(sessionId)}/avatar`;
  if (given !== null) return socketUrl(given, document.baseURI, token);
  const { egressUrl } = await clientConfig();
  const base = egressUrl === null ? document.baseURI : `${egressUrl.replace(/\/$/, "")}/`;
  return socketUrl(path, base, token);
}

interface Parts {
  readonly request: StartRequest;
  readonly devices: Devices;
  readonly onDevice: OnDevice | null;
  readonly session: Session;
  readonly uplink: Uplink;
  readonly stream: AvatarStream;
}

export class LiveSession {
  readonly request: StartRequest;
  readonly session: Session;
  readonly uplink: Uplink;
  readonly stream: AvatarStream;

  /** What is wrong with camera or microphone; null: nothing. */
  readonly deviceTrouble = new Store<string | null>(null);

  readonly #devices: Devices;
  readonly #onDevice: OnDevice | null;
  #choice: DeviceChoice;
  #stopped = false;
  readonly #onPageHide = (): void => this.stop();

  private constructor({ request, devices, onDevice, session, uplink, stream }: Parts) {
    this.request = request;
    this.session = session;
    this.uplink = uplink;
    this.stream = stream;
    this.#devices = devices;
    this.#choice = request;
    this.#onDevice = onDevice;
    devices.onlost = (kind) => void this.#replaceLost(kind);
    window.addEventListener("pagehide", this.#onPageHide);
  }

  /** Plays the camera for the person; null without video. */
  get preview(): HTMLVideoElement | null {
    return this.#devices.preview;
  }

  /**
   * Opens exactly the devices that were consented to, then the session. Throws DeviceError, OnDeviceError or EdgeError,
   * or the signal's reason if it was aborted meanwhile; leaves no device and no session open if it throws.
   */
  static async start(request: StartRequest, signal: AbortSignal): Promise<LiveSession> {
    const devices = await Devices.open(request.consent, request);
    let onDevice: OnDevice | null = null;
    let session: Session | null = null;
    let live: LiveSession | null = null;
    try {
      signal.throwIfAborted();
      if (request.onDevice)
        onDevice = await OnDevice.load(
          request.consent,
          (...message) => live?.uplink.send(...message) ?? false,
        );
      signal.throwIfAborted();
      const askedAtMs = performance.now();
      session = await openSession(request.consent, request.onDevice);
      const avatar = await avatarUrl(session.sessionId, session.token, session.avatarUrl);
      signal.throwIfAborted();
      live = new LiveSession({
        request,
        devices,
        onDevice,
        session,
        ...waysOf(session, request, avatar, askedAtMs),
      });
      // First the devices, so that a WebRTC offer has something to offer; then both at the same time.
      const using = live.#send();
      live.uplink.open();
      live.stream.open();
      await using;
      signal.throwIfAborted();
      return live;
    } catch (error) {
      devices.release();
      onDevice?.stop();
      if (live !== null) live.stop();
      else if (session !== null) void endSession(session);
      throw error;
    }
  }

  /**
   * Goes over to other devices while the session goes on. Throws DeviceError if one cannot be opened; what was on
   * stays on.
   */
  async choose({ cameraId, microphoneId }: DeviceChoice): Promise<void> {
    const before = this.#choice;
    if (cameraId !== before.cameraId) await this.#devices.change("camera", cameraId);
    this.#choice = { ...before, cameraId };
    if (microphoneId !== before.microphoneId) await this.#devices.change("microphone", microphoneId);
    this.#choice = { cameraId, microphoneId };
    await this.#send();
    this.deviceTrouble.set(null);
  }

  /** Ends capture and session at once: the devices first, so that nothing more is taken. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#devices.release();
    this.#onDevice?.stop();
    this.uplink.end();
    this.stream.close();
    window.removeEventListener("pagehide", this.#onPageHide);
    void endSession(this.session);
  }

  /** A device was unplugged, or taken away: another of its kind goes on, if there is one. */
  async #replaceLost(kind: DeviceKind): Promise<void> {
    try {
      await this.#devices.change(kind, null);
      await this.#send();
    } catch (error) {
      const sentence = error instanceof DeviceError ? error.message : "Another one could not be opened.";
      this.deviceTrouble.set(`The ${kind} is gone. ${sentence}`);
    }
  }

  /** Sends these devices, or on-device what is read from them: the transport never sees the devices then. */
  async #send(): Promise<void> {
    if (!this.#stopped) await (this.#onDevice ?? this.uplink).use(this.#devices);
  }
}

/**
 * The way out and the way back, as asked for and as the server offers them.
 *
 * @param askedAtMs when the session was asked for, on the clock of `performance.now()`
 */
function waysOf(
  session: Session,
  { transport }: StartRequest,
  avatar: string,
  askedAtMs: number,
): { uplink: Uplink; stream: AvatarStream } {
  const { sessionId, token, iceServers } = session;
  const mediaPath = session.mediaUrl ?? `v1/sessions/${encodeURIComponent(sessionId)}/media`;
  const mediaUrl = socketUrl(mediaPath, document.baseURI, token);
  if (transport === "websocket" || (transport === "auto" && session.whipUrl === null)) {
    return { uplink: new SocketUplink(mediaUrl), stream: new AvatarStream(new SocketSource(avatar)) };
  }
  const sequences = new Sequences();
  const frames = new ChannelSource();
  const source = new FallbackSource(frames, new SocketSource(avatar));
  const whipPath = session.whipUrl ?? `v1/sessions/${encodeURIComponent(sessionId)}/whip`;
  const whip = new WhipClient(new URL(whipPath, document.baseURI).toString(), token);
  const peers = new WebRtcUplink({
    whip,
    iceServers,
    sequences,
    frames,
    onUnusable: (sentence) => {
      if (transport === "webrtc") {
        peers.link.set({ state: "refused", detail: sentence });
      } else {
        uplink.fallBack(sentence);
        source.goOver();
      }
    },
  });
  const uplink = new FallbackUplink(peers, () => {
    // What went over WebRTC was numbered by the edge, at most by the milliseconds of the session; an edge that was
    // restarted since could not say so.
    const taken = Math.ceil(performance.now() - askedAtMs);
    sequences.goOnBehind({ audio: taken, video: taken });
    return new SocketUplink(mediaUrl, sequences);
  });
  return { uplink, stream: new AvatarStream(source) };
}
