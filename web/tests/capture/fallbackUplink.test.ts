import { describe, expect, it } from "vitest";
import type { Devices } from "../../src/capture/devices";
import { FallbackUplink } from "../../src/capture/fallbackUplink";
import { FakeUplink } from "./fakeUplink";

const DEVICES = {} as Devices;
const NOTHING = new Uint8Array();

function pair(): { first: FakeUplink; second: FakeUplink; uplink: FallbackUplink } {
  const first = new FakeUplink("webrtc");
  const second = new FakeUplink("websocket");
  return { first, second, uplink: new FallbackUplink(first, () => second) };
}

describe("FallbackUplink", () => {
  it("is the first uplink while that works", async () => {
    const { first, second, uplink } = pair();
    await uplink.use(DEVICES);
    uplink.open();
    first.link.set({ state: "open" });
    first.notice.set("slower");
    first.sent.pictures = 3;
    expect(uplink.transport.get()).toBe("webrtc");
    expect(uplink.link.get().state).toBe("open");
    expect(uplink.notice.get()).toBe("slower");
    expect(uplink.sent.pictures).toBe(3);
    uplink.send("jpeg", NOTHING, 0);
    uplink.end();
    expect(first.asked).toEqual(["open", "send", "end"]);
    expect(second.asked).toEqual([]);
  });

  it("goes over to the second with the same devices, says so, and counts on", async () => {
    const { first, second, uplink } = pair();
    await uplink.use(DEVICES);
    uplink.open();
    first.sent.pictures = 3;
    uplink.fallBack("No way through.");
    expect(uplink.transport.get()).toBe("websocket");
    expect(uplink.notice.get()).toContain("No way through. ");
    expect(second.asked).toEqual(["open"]);
    expect(second.devices).toBe(DEVICES);
    second.sent.pictures = 4;
    expect(uplink.sent.pictures).toBe(7);
    second.link.set({ state: "open" });
    first.link.set({ state: "finished" });
    expect(uplink.link.get().state).toBe("open");
    uplink.end();
    expect(first.asked).not.toContain("end");
    expect(second.asked).toContain("end");
  });

  it("opens nothing once it has ended", () => {
    const { second, uplink } = pair();
    uplink.open();
    uplink.end();
    uplink.fallBack("No way through.");
    expect(second.asked).toEqual([]);
  });
});
