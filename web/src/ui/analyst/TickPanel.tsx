import { type ReactElement, useMemo, useState } from "react";
import type { Playhead } from "../../analyst/playhead";
import { channelsAt, type Tick, tickAt } from "../../analyst/ticks";
import type { Found, Track } from "../../analyst/track";
import type { EmotionUpdate } from "../../protocol/messages";
import { EMOTIONS } from "../../protocol/vocabulary";
import { AffectPlot } from "../AffectPlot";
import { EmotionBars } from "../EmotionBars";
import { useStore } from "../useStore";
import { Figure } from "./Trends";

interface TickPanelProps {
  readonly playhead: Playhead;
  /** One side, or two to be compared. */
  readonly tracks: readonly Track[];
}

/** What the tick says on which the replay stands. */
export function TickPanel({ playhead, tracks }: TickPanelProps): ReactElement {
  const { sequence } = useStore(playhead.position);
  const [first, second] = tracks as [Track, Track | undefined];
  useStore(first.arrivals);
  const found = first.at(sequence);
  const other = second?.at(sequence) ?? null;
  const tick = found === null ? null : tickAt(found.ticks, found.row);
  const emotion = useMemo(() => (tick === null ? null : updateOf(tick)), [tick]);
  return (
    <>
      <EmotionBars emotion={emotion} />
      <AffectPlot emotion={emotion} />
      {tick !== null && <Weights tick={tick} />}
      {found !== null && <Channels found={found} other={other} />}
    </>
  );
}

/** A tick as the client's page is told of it. */
function updateOf(tick: Tick): EmotionUpdate {
  const top = tick.emotions.indexOf(Math.max(...tick.emotions));
  return {
    type: "emotion_update",
    sessionId: "",
    timestampMs: tick.atUs / 1_000,
    sequence: tick.sequence,
    emotion: EMOTIONS[top] ?? "neutral",
    scores: [...tick.emotions],
    valence: tick.valence,
    arousal: tick.arousal,
    speakingProbability: tick.speaking,
  };
}

function Weights({ tick }: { readonly tick: Tick }): ReactElement {
  const live = (is: boolean): string => (is ? "" : " (not live)");
  return (
    <section className="panel">
      <h2>Of what it was made</h2>
      <dl className="figures two">
        <Figure word="Face weighs" value={`${shareWord(tick.faceWeight)}${live(tick.faceLive)}`} />
        <Figure word="Voice weighs" value={`${shareWord(tick.speechWeight)}${live(tick.speechLive)}`} />
        <Figure word="Confidence in the face" value={shareWord(tick.faceConfidence)} />
        <Figure word="Confidence in the voice" value={shareWord(tick.speechConfidence)} />
        <Figure word="Speaking" value={shareWord(tick.speaking)} />
        <Figure word="Mouth moved by" value={tick.visemeMouth ? "the voice" : "the face"} />
      </dl>
      {(tick.discontinuity || tick.closedByMaxWait) && (
        <p className="hint">
          {tick.discontinuity
            ? "Ticks are missing before this one."
            : "It did not wait longer for the slower side."}
        </p>
      )}
    </section>
  );
}

const shareWord = (value: number): string => value.toFixed(2);

const SHOWN = 10;

function Channels({ found, other }: { readonly found: Found; readonly other: Found | null }): ReactElement {
  const [all, setAll] = useState(false);
  const ours = channelsAt(found.ticks, found.row);
  const theirs = other === null ? null : channelsAt(other.ticks, other.row);
  const rows = ours.map((channel, i) => ({ ...channel, other: theirs?.[i]?.value ?? null }));
  const size = (value: number, unit: string): number => Math.abs(value) / (unit === "°" ? 30 : 1);
  const weight = ({ value, unit, other: b }: (typeof rows)[number]): number =>
    size(b === null ? value : value - b, unit);
  const sorted = [...rows].sort((a, b) => weight(b) - weight(a));
  const shown = all ? rows : sorted.slice(0, SHOWN);
  return (
    <section className="panel" data-testid="channels">
      <h2>
        The avatar’s channels{" "}
        <small className="panel-word">{other === null ? "largest" : "most different"}</small>
      </h2>
      <table className="table channels">
        {other !== null && (
          <thead>
            <tr>
              <th scope="col">Channel</th>
              <th scope="col" className="number">
                Left
              </th>
              <th scope="col" className="number">
                Right
              </th>
            </tr>
          </thead>
        )}
        <tbody>
          {shown.map(({ name, unit, value, other: b }) => (
            <tr key={name} data-channel={name} data-value={value}>
              <th scope="row">{name}</th>
              <td className="number">{channelWord(value, unit)}</td>
              {b !== null && <td className="number">{channelWord(b, unit)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      <button type="button" className="button quiet" aria-expanded={all} onClick={() => setAll(!all)}>
        {all ? "The first only" : `All ${rows.length}`}
      </button>
    </section>
  );
}

const channelWord = (value: number, unit: string): string =>
  unit === "°" ? `${value.toFixed(1)}°` : value.toFixed(3);
