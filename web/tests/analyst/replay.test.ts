import { float64, int16, int32, tableFromArrays, tableToIPC, uint8 } from "@uwdata/flechette";
import { describe, expect, it } from "vitest";
import { Playhead } from "../../src/analyst/playhead";
import { ReplaySource } from "../../src/analyst/replaySource";
import {
  channelsAt,
  differences,
  joined,
  poseAt,
  readTicks,
  rowAt,
  type Ticks,
  tickAt,
} from "../../src/analyst/ticks";
import { Track } from "../../src/analyst/track";
import {
  BLENDSHAPE_INDEX,
  BLENDSHAPES,
  BONE_INDEX,
  BONES,
  EMOTIONS,
  VISEMES,
} from "../../src/protocol/vocabulary";
import { neutralPose } from "../../src/stream/pose";

const BYTES = [
  ...EMOTIONS.map((name) => `emotion_${name}`),
  ...["speaking_probability", "face_weight", "speech_weight", "face_confidence", "speech_confidence"],
  ...["glow_intensity", "body_slouch"],
  ...["discontinuity", "face_live", "speech_live", "viseme_mouth", "closed_by_max_wait"],
  ...BLENDSHAPES,
  ...VISEMES.map((name) => `viseme_${name}`),
];
const SHORTS = ["valence", "arousal", ...BONES.filter((name) => name !== "body_slouch")];

/** An answer of analytics: every byte is `of(sequence)`, every short minus a hundred times as much. */
function answer(
  sequences: readonly number[],
  span: { first: number; last: number },
  of: (sequence: number) => number = (sequence) => sequence % 256,
): ArrayBuffer {
  const data: Record<string, number[]> = {
    sequence: [...sequences],
    at_us: sequences.map((sequence) => 1.8e15 + Math.floor((sequence * 1e6) / 30)),
  };
  for (const name of BYTES) data[name] = sequences.map(of);
  for (const name of SHORTS) data[name] = sequences.map((sequence) => -100 * of(sequence));
  const types: Record<string, ReturnType<typeof int32>> = { sequence: int32(), at_us: float64() as never };
  for (const name of BYTES) types[name] = uint8();
  for (const name of SHORTS) types[name] = int16();
  const table = tableFromArrays(data, { types });
  const told = { ...span, frames: sequences.length, stride: 1 };
  for (const [name, value] of Object.entries(told)) {
    table.schema.metadata ??= new Map();
    table.schema.metadata.set(name, String(value));
  }
  const bytes = tableToIPC(table, {}) as Uint8Array;
  return bytes.slice().buffer as ArrayBuffer;
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe("ticks", () => {
  const ticks = readTicks(answer([3, 4, 5, 9, 10], { first: 3, last: 10 }));

  it("say what there is of the whole session", () => {
    expect([ticks.first, ticks.last, ticks.frames, ticks.stride]).toEqual([3, 10, 5, 1]);
  });

  it.each([
    [2, -1],
    [3, 0],
    [8, 2],
    [9, 3],
    [99, 4],
  ])("find the newest that is not after %i", (sequence, row) => {
    expect(rowAt(ticks, sequence)).toBe(row);
  });

  it("are in units", () => {
    const tick = tickAt(ticks, 3);
    expect(tick.sequence).toBe(9);
    expect(tick.emotions).toEqual(EMOTIONS.map(() => 9 / 255));
    expect(tick.valence).toBeCloseTo(-0.09, 9);
    const pose = neutralPose();
    poseAt(ticks, 3, pose);
    expect(pose.blendshapes[BLENDSHAPE_INDEX.jawOpen]).toBe(Math.fround(9 / 255));
    expect(pose.bones[BONE_INDEX.head_yaw]).toBe(-9);
    expect(pose.bones[BONE_INDEX.body_slouch]).toBe(Math.fround(9 / 255));
    expect(pose.glow).toBe(9 / 255);
  });

  it("name every channel that moves the avatar", () => {
    const channels = channelsAt(ticks, 0);
    expect(channels.length).toBe(BLENDSHAPES.length + BONES.length + 1);
    expect(channels.find(({ name }) => name === "head_pitch")).toEqual({
      name: "head_pitch",
      unit: "°",
      value: -3,
    });
  });

  it("are joined in order", () => {
    const all = joined([
      readTicks(answer([0, 1], { first: 0, last: 3 })),
      readTicks(answer([2, 3], { first: 0, last: 3 })),
    ]);
    expect([...all.sequences]).toEqual([0, 1, 2, 3]);
    expect(Array.from(all.column("jawOpen"))).toEqual([0, 1, 2, 3]);
  });

  it("differ by the mean of what their faces differ by", () => {
    const other = readTicks(answer([3, 5, 9, 10], { first: 3, last: 10 }, (sequence) => sequence + 51));
    expect(differences(ticks, other)).toEqual([0.2, null, 0.2, 0.2, 0.2]);
  });

  it("that lack a column are refused", () => {
    expect(() => readTicks(new ArrayBuffer(8))).toThrow();
    const bytes = tableToIPC(tableFromArrays({ sequence: [1] }), {}) as Uint8Array;
    expect(() => readTicks(bytes.slice().buffer as ArrayBuffer)).toThrow("at_us");
  });
});

describe("the playhead", () => {
  const ready = (): boolean => true;

  it("steps by exactly one tick and stays within the session", () => {
    const head = new Playhead(10, 13);
    head.step(1);
    expect(head.position.get().sequence).toBe(11);
    head.step(-5);
    expect(head.position.get().sequence).toBe(10);
    head.seek(99);
    expect(head.position.get().sequence).toBe(13);
  });

  it("plays thirty ticks a second, as fast as it is told, to the end", () => {
    const head = new Playhead(0, 100);
    head.play();
    head.advance(5_000, ready);
    head.advance(6_000, ready);
    expect(head.position.get().sequence).toBe(30);
    head.setSpeed(2);
    head.advance(6_500, ready);
    expect(head.position.get().sequence).toBe(60);
    head.advance(60_000, ready);
    expect(head.position.get()).toEqual({ sequence: 100, playing: false, speed: 2 });
    head.play();
    expect(head.position.get().sequence).toBe(0);
  });

  it("waits for a tick that is not there, and does not jump over it afterwards", () => {
    const head = new Playhead(0, 100);
    head.play();
    head.advance(0, ready);
    head.advance(1_000, () => false);
    head.advance(9_000, () => false);
    expect(head.position.get().sequence).toBe(0);
    head.advance(9_100, ready);
    expect(head.position.get().sequence).toBe(3);
  });

  it("goes on from where it was moved to while it plays", () => {
    const head = new Playhead(0, 100);
    head.play();
    head.advance(0, ready);
    head.seek(50);
    head.advance(10_000, ready);
    expect(head.position.get().sequence).toBe(50);
  });
});

describe("a track", () => {
  function track(gone: readonly number[] = []): { track: Track; asked: number[]; fail: { next: boolean } } {
    const span = { first: 0, last: 39 };
    const all = range(0, 39).filter((sequence) => !gone.includes(sequence));
    const page = (first: number): Ticks =>
      readTicks(
        answer(
          all.filter((s) => s >= first && s < first + 10),
          span,
        ),
      );
    const asked: number[] = [];
    const fail = { next: false };
    const made = new Track(
      page(0),
      (first) => {
        asked.push(first);
        if (fail.next) {
          fail.next = false;
          return Promise.reject(new Error("away"));
        }
        return Promise.resolve(page(first));
      },
      10,
    );
    return { track: made, asked, fail };
  }
  const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 0));
  const seen = (found: ReturnType<Track["at"]>): number | undefined => found?.ticks.sequences[found.row];

  it("fetches a page when it is looked at, and the next one ahead", async () => {
    const { track: own, asked } = track();
    expect(seen(own.at(2))).toBe(2);
    expect(asked).toEqual([]);
    expect(seen(own.at(7))).toBe(7);
    expect(asked).toEqual([10]);
    expect(own.at(33)).toBeNull();
    await settle();
    expect(seen(own.at(33))).toBe(33);
    expect(asked).toEqual([10, 30]);
  });

  it("steps over ticks that are not there", async () => {
    const { track: own } = track([4, 5, 9, 10, 11]);
    expect(own.neighbour(3, 1)).toBe(6);
    expect(own.neighbour(6, -1)).toBe(3);
    expect(seen(own.at(5))).toBe(3);
    own.at(10);
    await settle();
    expect(seen(own.at(10))).toBe(8);
  });

  it("asks again after a failure, and says what it was", async () => {
    const { track: own, fail } = track();
    fail.next = true;
    expect(own.at(25)).toBeNull();
    await settle();
    expect(own.trouble.get()?.message).toBe("away");
    own.at(25);
    await settle();
    expect(seen(own.at(25))).toBe(25);
    expect(own.trouble.get()).toBeNull();
  });

  it("can be had whole", async () => {
    const { track: own } = track();
    const told: number[] = [];
    expect([...(await own.all((share) => told.push(share))).sequences]).toEqual(range(0, 39));
    expect(told).toEqual([0.25, 0.5, 0.75, 1]);
  });

  it("moves the avatar exactly to the tick", () => {
    const { track: own } = track();
    const head = new Playhead(0, 39, 3);
    const source = new ReplaySource(own, head);
    const pose = neutralPose();
    expect(source.sample(pose)).toBe("live");
    expect(pose.blendshapes[0]).toBe(Math.fround(3 / 255));
    expect([source.shown, source.frame]).toEqual([3, "3"]);
    head.step(1);
    source.sample(pose);
    expect(pose.blendshapes[0]).toBe(Math.fround(4 / 255));
    head.seek(35);
    expect(source.sample(pose)).toBe("empty");
    expect(source.frame).toBe("none");
  });
});
