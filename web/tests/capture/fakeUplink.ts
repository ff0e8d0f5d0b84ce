import type { Devices } from "../../src/capture/devices";
import type { Transport } from "../../src/capture/request";
import type { Sent, Uplink, UplinkState } from "../../src/capture/uplink";
import { Store } from "../../src/stream/store";

/** An uplink that goes nowhere, and remembers what was asked of it. */
export class FakeUplink implements Uplink {
  readonly transport: Store<Transport>;
  readonly link = new Store<UplinkState>({ state: "connecting" });
  readonly notice = new Store<string | null>(null);
  readonly sent: Sent = { pictures: 0, chunks: 0, skipped: 0 };
  readonly asked: string[] = [];
  devices: Devices | null = null;

  constructor(transport: Transport) {
    this.transport = new Store(transport);
  }

  open(): void {
    this.asked.push("open");
  }

  async use(devices: Devices): Promise<void> {
    this.devices = devices;
  }

  send(): boolean {
    this.asked.push("send");
    return true;
  }

  end(): void {
    this.asked.push("end");
    this.link.set({ state: "finished" });
  }
}
