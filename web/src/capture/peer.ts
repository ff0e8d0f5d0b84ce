/**
 * One peer connection to the edge, from its WHIP offer to its loss: camera and microphone out as RTP, messages of the
 * session over one data channel, the avatar's frames over another. It connects once; whoever made it makes the next.
 */

import { preferredCodecs, videoEncoding } from "./encodings";
import { trickleFragment, type WhipAnswer, type WhipClient } from "./whip";

/** Candidates that are known so soon go with the offer; a STUN server that does not answer takes ten seconds. */
const GATHERING_MS = 300;
/** Without an answer from the other side for so long, an interruption is taken for good. */
const INTERRUPTION_MS = 1_500;

export interface PeerEvents {
  /** The server has taken the offer. */
  answered(): void;
  /** Packets come through; the handshake, which takes computing rather than a way, begins. */
  reached(): void;
  /** Connected, and the session's messages may be sent. */
  opened(): void;
  message(text: string): void;
  /** The connection is gone, or never came to be. */
  lost(): void;
}

export interface Traffic {
  readonly pictures: number;
  readonly soundPackets: number;
  /** Whatever it is: reports, acknowledgements, answers to ICE's questions; null if the browser does not tell. */
  readonly bytesReceived: number | null;
}

export class Peer {
  /** Ordered and reliable: the text messages of the media WebSocket, and binary ones in its framing. */
  readonly control: RTCDataChannel;
  /** Unordered and unreliable: the viewer's messages. */
  readonly avatar: RTCDataChannel;

  #asked: number | null = null;
  readonly #connection: RTCPeerConnection;
  readonly #whip: WhipClient;
  readonly #events: PeerEvents;
  readonly #abort = new AbortController();
  #answer: WhipAnswer | null = null;
  #offered = "";
  /** Candidates that came after the offer was sent. */
  #late: string[] = [];
  #interruption: ReturnType<typeof setTimeout> | undefined;

  /** @param tracks what goes out; none is right too */
  constructor(
    whip: WhipClient,
    iceServers: readonly RTCIceServer[],
    tracks: readonly MediaStreamTrack[],
    events: PeerEvents,
  ) {
    this.#whip = whip;
    this.#events = events;
    this.#connection = new RTCPeerConnection({ iceServers: [...iceServers], bundlePolicy: "max-bundle" });
    for (const track of tracks) this.#add(track);
    this.control = this.#connection.createDataChannel("affectstream.control");
    this.avatar = this.#connection.createDataChannel("affectstream.avatar", {
      ordered: false,
      maxRetransmits: 0,
      protocol: "affectstream.binary",
    });
    this.control.binaryType = "arraybuffer";
    this.control.onopen = () => events.opened();
    this.control.onclose = () => this.#lost();
    this.control.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "string") events.message(data);
    };
    this.#connection.onconnectionstatechange = () => this.#changed();
    this.#connection.oniceconnectionstatechange = () => {
      const state = this.#connection.iceConnectionState;
      if (state === "connected" || state === "completed") events.reached();
    };
  }

  /** Offers, and takes the answer; throws WhipError if there is none. That it connects is told by the events. */
  async connect(): Promise<void> {
    const connection = this.#connection;
    const { signal } = this.#abort;
    await connection.setLocalDescription();
    await gathered(connection, GATHERING_MS);
    if (signal.aborted) return;
    this.#offered = connection.localDescription?.sdp ?? "";
    if (connection.iceGatheringState === "complete" && !this.#offered.includes("a=candidate:")) {
      // Forbidden to use the network, by policy or by an extension: no use in waiting.
      this.#lost();
      return;
    }
    connection.onicecandidate = ({ candidate }) => this.#later(candidate);
    this.#answer = await this.#whip.offer(this.#offered, signal);
    this.#events.answered();
    await connection.setRemoteDescription({ type: "answer", sdp: this.#answer.sdp });
    this.#trickle();
  }

  /** Sends other tracks in the place of those of the same kind. */
  async replace(tracks: readonly MediaStreamTrack[]): Promise<void> {
    for (const { sender } of this.#connection.getTransceivers()) {
      const track = tracks.find(({ kind }) => kind === sender.track?.kind);
      if (track === undefined || track === sender.track) continue;
      hint(track);
      await sender.replaceTrack(track);
      if (track.kind === "video") await limit(sender, track, this.#asked);
    }
  }

  /** Encodes no more pictures a second than are asked for; null: as many as serve. */
  async pace(asked: number | null): Promise<void> {
    this.#asked = asked;
    for (const { sender } of this.#connection.getTransceivers()) {
      if (sender.track?.kind === "video") await limit(sender, sender.track, asked);
    }
  }

  /** What has gone out and come in so far. */
  async traffic(): Promise<Traffic> {
    const traffic = { pictures: 0, soundPackets: 0 };
    let bytesReceived: number | null = null;
    const report = await this.#connection.getStats();
    report.forEach((entry: RTCStats) => {
      if (entry.type === "outbound-rtp") {
        const { kind, framesSent, packetsSent } = entry as RTCOutboundRtpStreamStats;
        if (kind === "video") traffic.pictures += framesSent ?? 0;
        else traffic.soundPackets += packetsSent ?? 0;
      } else if (entry.type === "transport" || entry.type === "candidate-pair") {
        // Some browsers count for the transport, some for its pairs, some for both.
        const counted = (entry as RTCTransportStats | RTCIceCandidatePairStats).bytesReceived;
        if (counted !== undefined) bytesReceived = (bytesReceived ?? 0) + counted;
      }
    });
    return { ...traffic, bytesReceived };
  }

  /** Ends the connection, without another event. */
  close(): void {
    this.#abort.abort();
    clearTimeout(this.#interruption);
    this.control.onopen = this.control.onclose = this.control.onmessage = null;
    this.#connection.onconnectionstatechange = null;
    this.#connection.oniceconnectionstatechange = null;
    this.#connection.onicecandidate = null;
    this.#connection.close();
  }

  #add(track: MediaStreamTrack): void {
    hint(track);
    const kind = track.kind === "video" ? "video" : "audio";
    const transceiver = this.#connection.addTransceiver(track, {
      direction: "sendonly",
      ...(kind === "video" ? { sendEncodings: [videoEncoding(track.getSettings())] } : {}),
    });
    const known = RTCRtpSender.getCapabilities(kind)?.codecs ?? [];
    const preferred = preferredCodecs(kind, known);
    if (preferred.length > 0) transceiver.setCodecPreferences?.(preferred);
  }

  #changed(): void {
    clearTimeout(this.#interruption);
    const state = this.#connection.connectionState;
    if (state === "failed" || state === "closed") this.#lost();
    if (state === "disconnected") this.#interruption = setTimeout(() => this.#lost(), INTERRUPTION_MS);
  }

  #lost(): void {
    this.close();
    this.#events.lost();
  }

  #later(candidate: RTCIceCandidate | null): void {
    if (candidate !== null && candidate.candidate !== "") this.#late.push(candidate.candidate);
    if (this.#answer !== null) this.#trickle();
  }

  #trickle(): void {
    const complete = this.#connection.iceGatheringState === "complete";
    if (this.#answer === null || this.#late.length === 0) return;
    const fragment = trickleFragment(this.#offered, this.#late.splice(0), complete);
    // Without them the candidates of the offer have to do.
    this.#whip.trickle(this.#answer, fragment, this.#abort.signal).catch(() => undefined);
  }
}

/** Movement matters more than detail; speech is what is listened for. */
function hint(track: MediaStreamTrack): void {
  track.contentHint = track.kind === "video" ? "motion" : "speech";
}

async function limit(sender: RTCRtpSender, track: MediaStreamTrack, asked: number | null): Promise<void> {
  const parameters = sender.getParameters();
  const [encoding] = parameters.encodings;
  if (encoding === undefined) return;
  Object.assign(encoding, videoEncoding(track.getSettings(), asked));
  await sender.setParameters(parameters);
}

/** Resolves when every candidate is known, or after `ms`. */
async function gathered(connection: RTCPeerConnection, ms: number): Promise<void> {
  if (connection.iceGatheringState === "complete") return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    };
  });
  connection.onicegatheringstatechange = null;
}
