import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Sequences } from "../../src/capture/sequences";
import { WebRtcUplink } from "../../src/capture/webRtcUplink";
import { WhipClient } from "../../src/capture/whip";
import { ChannelSource } from "../../src/stream/channelSource";
import { FakePeerConnection } from "./fakePeerConnection";

const ENDPOINT = "http://edge/v1/sessions/s/whip";

describe("WebRtcUplink", () => {
  /** What the edge answers to offers: 201 unless told otherwise. */
  let status = 201;
  let offers: (string | null)[] = [];
  let unusable: string[] = [];

  beforeEach(() => {
    vi.useFakeTimers();
    [status, offers, unusable, FakePeerConnection.made] = [201, [], [], []];
    vi.stubGlobal("RTCPeerConnection", FakePeerConnection);
    vi.stubGlobal("fetch", async (_: string, { headers }: RequestInit) => {
      offers.push(new Headers(headers).get("authorization"));
      return new Response("answer", { status });
    });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  async function opened(): Promise<WebRtcUplink> {
    const uplink = new WebRtcUplink({
      whip: new WhipClient(ENDPOINT, "t"),
      iceServers: [],
      sequences: new Sequences(),
      frames: new ChannelSource(),
      onUnusable: (sentence) => unusable.push(sentence),
    });
    uplink.open();
    await vi.advanceTimersByTimeAsync(1);
    return uplink;
  }

  const peer = (): FakePeerConnection => FakePeerConnection.made.at(-1) as FakePeerConnection;

  async function connected(): Promise<WebRtcUplink> {
    const uplink = await opened();
    peer().connects();
    peer().control.says({ type: "welcome" });
    return uplink;
  }

  it("is open once messages go through, and answers clock probes", async () => {
    const uplink = await opened();
    expect(uplink.link.get().state).toBe("connecting");
    peer().connects();
    expect(uplink.link.get().state).toBe("open");
    peer().control.says({ type: "clock_probe", server_us: 7 });
    expect(JSON.parse(peer().control.sent[0] ?? "")).toMatchObject({ type: "clock", server_us: 7 });
    uplink.end();
    expect(peer().control.sent.at(-1)).toBe('{"type":"end"}');
    expect(peer().connectionState).toBe("closed");
    expect(uplink.link.get().state).toBe("finished");
  });

  it("sends fewer pictures, and features of them, when the edge asks for that", async () => {
    const uplink = await connected();
    peer().control.says({ type: "rate", video_per_s: 10 });
    await vi.advanceTimersByTimeAsync(1);
    expect(peer().parameters.encodings[0]?.maxFramerate).toBe(10);
    const features = new Uint8Array(4);
    // One may come early; then they are a tenth of a second apart.
    const sent = [0, 1, 2, 3].map((at) => uplink.send("faceFeatures", features, at));
    expect(sent).toEqual([true, true, false, false]);
    expect(uplink.send("speechFeatures", features, 1)).toBe(true);
    peer().control.says({ type: "rate", video_per_s: null });
    await vi.advanceTimersByTimeAsync(1);
    expect(peer().parameters.encodings[0]?.maxFramerate).toBe(30);
    expect(uplink.send("faceFeatures", features, 2)).toBe(true);
    uplink.end();
  });

  it("is unusable when nothing comes through within 4 s of the answer", async () => {
    await opened();
    await vi.advanceTimersByTimeAsync(3_900);
    expect(unusable).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(200);
    expect(unusable).toHaveLength(1);
    expect(peer().connectionState).toBe("closed");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakePeerConnection.made).toHaveLength(1);
  });

  it("has patience with a handshake once packets come through", async () => {
    const uplink = await opened();
    await vi.advanceTimersByTimeAsync(3_900);
    peer().iceConnectionState = "connected";
    peer().oniceconnectionstatechange?.();
    await vi.advanceTimersByTimeAsync(3_900);
    peer().connects();
    expect(uplink.link.get().state).toBe("open");
    expect(unusable).toHaveLength(0);
    uplink.end();
  });

  it("is unusable at once where the edge has no WebRTC", async () => {
    status = 404;
    await opened();
    expect(unusable).toHaveLength(1);
  });

  it("offers again with the same token when a connection breaks", async () => {
    const uplink = await connected();
    await vi.advanceTimersByTimeAsync(1);
    peer().control.closes();
    expect(uplink.link.get().state).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(1_000);
    peer().connects();
    expect(uplink.link.get().state).toBe("open");
    expect(offers).toEqual(["Bearer t", "Bearer t"]);
    uplink.end();
  });

  it("waits for an edge that is away, and ends with a session that has ended", async () => {
    const uplink = await connected();
    status = 503;
    peer().control.says({ type: "close", code: 1012, reason: "restarting" });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(uplink.link.get().state).toBe("reconnecting");
    expect(offers.length).toBeGreaterThan(3);
    status = 410;
    await vi.advanceTimersByTimeAsync(6_000);
    expect(uplink.link.get().state).toBe("finished");
    expect(unusable).toHaveLength(0);
  });

  it("notices an edge that is gone without a word", async () => {
    const uplink = await connected();
    for (let second = 0; second < 20; second += 1) {
      peer().bytesReceived += 1;
      await vi.advanceTimersByTimeAsync(1_000);
    }
    expect(FakePeerConnection.made).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(4_500);
    expect(FakePeerConnection.made.length).toBeGreaterThan(1);
    uplink.end();
  });

  it("gives WebRTC up after three connections in a row that did not last", async () => {
    const uplink = await connected();
    for (let n = 0; n < 3; n += 1) {
      expect(unusable).toHaveLength(0);
      peer().control.closes();
      await vi.advanceTimersByTimeAsync(1_200);
      if (unusable.length === 0) peer().connects();
    }
    expect(unusable).toHaveLength(1);
    uplink.end();
  });

  it.each([
    [4410, "finished"],
    [4409, "refused"],
  ])("takes the edge's word when it closes with %d", async (code, state) => {
    const uplink = await connected();
    peer().control.says({ type: "close", code, reason: "so it is" });
    expect(uplink.link.get().state).toBe(state);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(offers).toHaveLength(1);
  });
});
