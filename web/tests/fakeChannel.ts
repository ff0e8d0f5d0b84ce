import type { Channel } from "../src/stream/channelSource";

/** A data channel whose other end is the test. */
export class FakeChannel implements Channel {
  readyState: RTCDataChannelState = "connecting";
  onopen: Channel["onopen"] = null;
  onmessage: Channel["onmessage"] = null;
  onclose: Channel["onclose"] = null;
  readonly sent: string[] = [];
  readonly bufferedAmount = 0;
  binaryType: BinaryType = "blob";

  send(text: string): void {
    this.sent.push(text);
  }

  opens(): void {
    this.readyState = "open";
    this.onopen?.(new Event("open"));
  }

  says(message: unknown): void {
    this.onmessage?.(new MessageEvent("message", { data: JSON.stringify(message) }));
  }

  closes(): void {
    this.readyState = "closed";
    this.onclose?.(new Event("close"));
  }
}
