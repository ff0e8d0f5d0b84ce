import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { BLENDSHAPE_INDEX } from "../../src/protocol/vocabulary";
import { AvatarStream } from "../../src/stream/avatarStream";
import { ChannelSource } from "../../src/stream/channelSource";
import { FallbackSource } from "../../src/stream/fallbackSource";
import { neutralPose } from "../../src/stream/pose";
import type { FrameSource } from "../../src/stream/source";
import { FakeChannel } from "../fakeChannel";

/** What a source tells, in order. */
function listen(source: FrameSource): string[] {
  const told: string[] = [];
  source.open({
    opened: () => told.push("opened"),
    message: (data) => told.push(typeof data === "string" ? data : `${data.byteLength} bytes`),
    closed: (code) => told.push(`closed ${code}`),
  });
  return told;
}

describe("ChannelSource", () => {
  it("waits for a channel, and for the channel to open", () => {
    const source = new ChannelSource();
    const told = listen(source);
    expect(source.send("early")).toBe(false);
    const channel = new FakeChannel();
    source.attach(channel);
    channel.opens();
    channel.says({ type: "welcome" });
    expect(told).toEqual(["opened", '{"type":"welcome"}']);
    expect(source.send("hello")).toBe(true);
    expect(channel.sent).toEqual(["hello"]);
  });

  it("finds a channel that opened before it was listened to", async () => {
    const source = new ChannelSource();
    const channel = new FakeChannel();
    source.attach(channel);
    channel.opens();
    const told = listen(source);
    await Promise.resolve();
    expect(told).toEqual(["opened"]);
  });

  it("tells of a loss once, and goes on with the next connection's channel", () => {
    const source = new ChannelSource();
    const told = listen(source);
    const first = new FakeChannel();
    source.attach(first);
    first.opens();
    first.closes();
    source.detach();
    expect(told).toEqual(["opened", "closed 1006"]);
    const again = listen(source);
    const second = new FakeChannel();
    source.attach(second);
    second.opens();
    first.says({ type: "late" });
    expect(again).toEqual(["opened"]);
  });

  it("takes a farewell for the socket's close code, and can be served again on the same channel", async () => {
    const source = new ChannelSource();
    const told = listen(source);
    const channel = new FakeChannel();
    source.attach(channel);
    channel.opens();
    channel.says({ type: "close", code: 1012, reason: "restarting" });
    channel.says({ type: "avatar_frame" });
    expect(told).toEqual(["opened", "closed 1012"]);
    const again = listen(source);
    await Promise.resolve();
    expect(again).toEqual(["opened"]);
  });

  it("says nothing more once it is closed", () => {
    const source = new ChannelSource();
    const told = listen(source);
    const channel = new FakeChannel();
    source.attach(channel);
    source.close();
    channel.opens();
    source.detach();
    expect(told).toEqual([]);
  });
});

describe("AvatarStream on an unreliable channel", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const PERIOD_MS = 1_000 / 30;
  const frame = (sequence: number, jawOpen: number) => ({
    type: "avatar_frame",
    session_id: "s",
    timestamp_ms: sequence * PERIOD_MS,
    sequence,
    payload: { blendshapes: { jawOpen } },
  });
  const update = (sequence: number, valence: number) => ({
    ...frame(sequence, 0),
    type: "emotion_update",
    payload: { emotion: "happy", valence },
  });

  it("shows frames in order, whatever the channel does to them, and counts the lost", () => {
    const source = new ChannelSource();
    const stream = new AvatarStream(source);
    stream.open();
    const channel = new FakeChannel();
    source.attach(channel);
    channel.opens();
    const pose = neutralPose();
    const shown: number[] = [];
    // Of every ten frames one is lost, one comes after its successor, one comes twice.
    for (let n = 0; n < 100; n += 1) {
      vi.advanceTimersByTime(PERIOD_MS);
      if (n % 10 === 3) continue;
      if (n % 10 === 5) continue;
      channel.says(frame(n, n / 100));
      if (n % 10 === 6) channel.says(frame(n - 1, (n - 1) / 100));
      if (n % 10 === 8) channel.says(frame(n, n / 100));
      stream.sample(pose);
      shown.push(pose.blendshapes[BLENDSHAPE_INDEX.jawOpen] as number);
    }
    vi.advanceTimersByTime(100);
    expect(shown).toEqual([...shown].sort((one, other) => one - other));
    expect(shown.at(-1)).toBeGreaterThan(0.9);
    expect(stream.readout.get().lost).toBe(10);
    expect(stream.link.get().state).toBe("live");
    stream.close();
  });

  it("does not go back to an emotion that was overtaken", () => {
    const source = new ChannelSource();
    const stream = new AvatarStream(source);
    stream.open();
    const channel = new FakeChannel();
    source.attach(channel);
    channel.opens();
    channel.says(update(6, 0.6));
    channel.says(update(3, 0.3));
    vi.advanceTimersByTime(200);
    expect(stream.readout.get().emotion?.valence).toBe(0.6);
    stream.close();
  });

  it("goes on over another source when the channel is not served, and keeps what is on the timeline", () => {
    const channels = new ChannelSource();
    const other = new ChannelSource();
    const stream = new AvatarStream(new FallbackSource(channels, other));
    stream.open();
    const channel = new FakeChannel();
    channels.attach(channel);
    channel.opens();
    channel.says(frame(1, 0.5));
    channel.says({ type: "close", code: 4503, reason: "no avatar here" });
    expect(stream.link.get().state).toBe("reconnecting");
    vi.advanceTimersByTime(1_000);
    const next = new FakeChannel();
    other.attach(next);
    next.opens();
    channel.says(frame(9, 0.9));
    const pose = neutralPose();
    stream.sample(pose);
    expect(pose.blendshapes[BLENDSHAPE_INDEX.jawOpen]).toBeCloseTo(0.5);
    next.says(frame(10, 1));
    vi.advanceTimersByTime(100);
    expect(stream.link.get().state).toBe("live");
    next.says({ type: "close", code: 4410, reason: "over" });
    expect(stream.link.get().state).toBe("finished");
    stream.close();
  });
});

describe("FallbackSource", () => {
  it("goes over when told, once, and lets go of the first", async () => {
    const [one, two] = [new ChannelSource(), new ChannelSource()];
    const source = new FallbackSource(one, two);
    const told = listen(source);
    const [first, second] = [new FakeChannel(), new FakeChannel()];
    one.attach(first);
    two.attach(second);
    first.opens();
    second.opens();
    source.goOver();
    source.goOver();
    first.says({ type: "late" });
    expect(told).toEqual(["opened", "closed 1006"]);
    const again = listen(source);
    await Promise.resolve();
    expect(again).toEqual(["opened"]);
    expect(source.send("hello")).toBe(true);
    expect([first.sent, second.sent]).toEqual([[], ["hello"]]);
    source.close();
    second.closes();
    expect(again).toEqual(["opened"]);
  });
});
