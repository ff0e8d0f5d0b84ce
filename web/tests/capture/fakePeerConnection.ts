import { FakeChannel } from "../fakeChannel";

/** A peer connection that offers, and whose way is the test's: nothing of it goes over a network. */
export class FakePeerConnection {
  static made: FakePeerConnection[] = [];

  readonly channels = new Map<string, FakeChannel>();
  readonly iceGatheringState = "complete";
  iceConnectionState = "new";
  connectionState = "new";
  bytesReceived = 0;
  localDescription: { sdp: string } | null = null;
  oniceconnectionstatechange: (() => void) | null = null;
  onconnectionstatechange: (() => void) | null = null;

  /** Of the one video sender. */
  readonly parameters: { encodings: RTCRtpEncodingParameters[] } = { encodings: [{}] };

  constructor() {
    FakePeerConnection.made.push(this);
  }

  get control(): FakeChannel {
    return this.channels.get("affectstream.control") as FakeChannel;
  }

  createDataChannel(label: string): FakeChannel {
    const channel = new FakeChannel();
    this.channels.set(label, channel);
    return channel;
  }

  async setLocalDescription(): Promise<void> {
    this.localDescription = { sdp: "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" };
  }

  async setRemoteDescription(): Promise<void> {
    this.connectionState = "connecting";
  }

  getTransceivers(): unknown[] {
    const sender = {
      track: { kind: "video", getSettings: () => ({}) },
      getParameters: () => this.parameters,
      setParameters: async () => undefined,
    };
    return [{ sender }];
  }

  async getStats(): Promise<Map<string, object>> {
    return new Map([["t", { type: "transport", bytesReceived: this.bytesReceived }]]);
  }

  close(): void {
    this.connectionState = "closed";
  }

  /** Packets come through, and the channels open. */
  connects(): void {
    this.iceConnectionState = "connected";
    this.oniceconnectionstatechange?.();
    for (const channel of this.channels.values()) channel.opens();
  }
}
