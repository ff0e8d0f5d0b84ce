/** Avatar frames tick by tick, as analytics gives them: Arrow columns of integers as they stand in the log. Pure. */

import { tableFromIPC } from "@uwdata/flechette";
import { BLENDSHAPES, BONES, EMOTIONS, VISEMES } from "../protocol/vocabulary";
import type { Pose } from "../stream/pose";

type Numbers = Readonly<ArrayLike<number>>;

/** Steps of a unit: what an integer is divided by. */
const BYTE = 255;
const AFFECT = 10_000;
const ANGLE = 100;

export interface Ticks {
  /** Of the whole session, not only of what is here. */
  readonly first: number;
  readonly last: number;
  readonly frames: number;
  /** Every so-manieth sequence is here. */
  readonly stride: number;
  readonly sequences: Int32Array;
  /** Microseconds since the Unix epoch. */
  readonly atUs: Float64Array;
  readonly column: (name: string) => Numbers;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Reads an answer; throws Error where it is none. */
export function readTicks(bytes: ArrayBuffer): Ticks {
  const table = tableFromIPC(new Uint8Array(bytes));
  const metadata = table.schema.metadata ?? new Map<string, string>();
  const columns = table.toColumns() as Record<string, Numbers>;
  const column = (name: string): Numbers => {
    const found = columns[name];
    if (found === undefined) throw new Error(`analytics gave no column ${name}`);
    return found;
  };
  const told = (name: string): number => Number(metadata.get(name) ?? Number.NaN);
  return {
    first: told("first"),
    last: told("last"),
    frames: told("frames"),
    stride: told("stride"),
    sequences: Int32Array.from(column("sequence")),
    atUs: Float64Array.from(column("at_us")),
    column,
    metadata,
  };
}

/** The place of the newest tick that is not after `sequence`; -1 if there is none. */
export function rowAt({ sequences }: Pick<Ticks, "sequences">, sequence: number): number {
  let low = 0;
  let high = sequences.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sequences[middle] as number) <= sequence) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** What one tick says, in units. */
export interface Tick {
  readonly sequence: number;
  readonly atUs: number;
  readonly emotions: readonly number[];
  readonly valence: number;
  readonly arousal: number;
  readonly speaking: number;
  readonly faceWeight: number;
  readonly speechWeight: number;
  readonly faceConfidence: number;
  readonly speechConfidence: number;
  readonly faceLive: boolean;
  readonly speechLive: boolean;
  readonly visemeMouth: boolean;
  readonly discontinuity: boolean;
  readonly closedByMaxWait: boolean;
}

export function tickAt(ticks: Ticks, row: number): Tick {
  const at = (name: string, unit: number): number => (ticks.column(name)[row] as number) / unit;
  const flag = (name: string): boolean => ticks.column(name)[row] === 1;
  return {
    sequence: ticks.sequences[row] as number,
    atUs: ticks.atUs[row] as number,
    emotions: EMOTIONS.map((name) => at(`emotion_${name}`, BYTE)),
    valence: at("valence", AFFECT),
    arousal: at("arousal", AFFECT),
    speaking: at("speaking_probability", BYTE),
    faceWeight: at("face_weight", BYTE),
    speechWeight: at("speech_weight", BYTE),
    faceConfidence: at("face_confidence", BYTE),
    speechConfidence: at("speech_confidence", BYTE),
    faceLive: flag("face_live"),
    speechLive: flag("speech_live"),
    visemeMouth: flag("viseme_mouth"),
    discontinuity: flag("discontinuity"),
    closedByMaxWait: flag("closed_by_max_wait"),
  };
}

/** Writes what moves the avatar at one tick. */
export function poseAt(ticks: Ticks, row: number, pose: Pose): void {
  fill(ticks, BLENDSHAPES, row, pose.blendshapes);
  VISEMES.forEach((name, i) => {
    pose.visemes[i] = (ticks.column(`viseme_${name}`)[row] as number) / BYTE;
  });
  BONES.forEach((name, i) => {
    pose.bones[i] = (ticks.column(name)[row] as number) / (name === "body_slouch" ? BYTE : ANGLE);
  });
  pose.glow = (ticks.column("glow_intensity")[row] as number) / BYTE;
}

function fill(ticks: Ticks, names: readonly string[], row: number, into: Float32Array): void {
  names.forEach((name, i) => {
    into[i] = (ticks.column(name)[row] as number) / BYTE;
  });
}

/** A channel of the avatar and its value, in its unit. */
export interface Channel {
  readonly name: string;
  readonly unit: "" | "°";
  readonly value: number;
}

/** Every channel that moves the avatar at one tick. */
export function channelsAt(ticks: Ticks, row: number): readonly Channel[] {
  const weights = [...BLENDSHAPES, "body_slouch", "glow_intensity"].map(
    (name): Channel => ({ name, unit: "", value: (ticks.column(name)[row] as number) / BYTE }),
  );
  const angles = BONES.filter((name) => name !== "body_slouch").map(
    (name): Channel => ({ name, unit: "°", value: (ticks.column(name)[row] as number) / ANGLE }),
  );
  return [...weights, ...angles];
}

/** Mean absolute difference of the 52 blendshapes, 0..1, of every tick of `ours` to the same tick of `theirs`; null: it has none. */
export function differences(ours: Ticks, theirs: Ticks): (number | null)[] {
  const left = BLENDSHAPES.map((name) => ours.column(name));
  const right = BLENDSHAPES.map((name) => theirs.column(name));
  return Array.from(ours.sequences, (sequence, row) => {
    const other = rowAt(theirs, sequence);
    if (other < 0 || theirs.sequences[other] !== sequence) return null;
    let sum = 0;
    for (let i = 0; i < left.length; i += 1)
      sum += Math.abs(((left[i] as Numbers)[row] as number) - ((right[i] as Numbers)[other] as number));
    return sum / (BYTE * left.length);
  });
}

/** Several answers that follow one another, as one. */
export function joined(parts: readonly Ticks[]): Ticks {
  const [head] = parts;
  if (head === undefined) throw new Error("there is nothing to join");
  if (parts.length === 1) return head;
  const rows = parts.reduce((sum, { sequences }) => sum + sequences.length, 0);
  const known = new Map<string, Float64Array>();
  const gather = (pick: (part: Ticks) => Numbers): Float64Array => {
    const all = new Float64Array(rows);
    let at = 0;
    for (const part of parts) {
      const values = pick(part);
      all.set(values, at);
      at += values.length;
    }
    return all;
  };
  return {
    ...head,
    sequences: Int32Array.from(gather(({ sequences }) => sequences)),
    atUs: gather(({ atUs }) => atUs),
    column: (name) => {
      const found = known.get(name) ?? gather((part) => part.column(name));
      known.set(name, found);
      return found;
    },
  };
}
