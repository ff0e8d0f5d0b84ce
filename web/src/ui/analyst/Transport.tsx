import { type ReactElement, useEffect } from "react";
import { type Playhead, SPEEDS, type Speed, TICKS_A_SECOND } from "../../analyst/playhead";
import type { Track } from "../../analyst/track";
import { useStore } from "../useStore";
import { elapsedWord } from "./axes";

interface TransportProps {
  readonly playhead: Playhead;
  /** Says where the neighbouring ticks are. */
  readonly track: Track;
}

/** Plays, pauses, steps tick by tick, scrubs; by keyboard, too. */
export function Transport({ playhead, track }: TransportProps): ReactElement {
  const { sequence, playing, speed } = useStore(playhead.position);
  const step = (direction: 1 | -1): void => {
    playhead.pause();
    playhead.seek(track.neighbour(playhead.position.get().sequence, direction));
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (
        event.ctrlKey ||
        event.altKey ||
        event.metaKey ||
        target.closest("input, select, textarea, a, summary")
      )
        return;
      const inButton = target.closest("button") !== null;
      const { position } = playhead;
      const by = event.shiftKey ? TICKS_A_SECOND : 1;
      switch (event.key) {
        case " ":
          if (inButton) return;
          if (position.get().playing) playhead.pause();
          else playhead.play();
          break;
        case "ArrowLeft":
        case "ArrowRight": {
          const direction = event.key === "ArrowLeft" ? -1 : 1;
          playhead.pause();
          if (by === 1) playhead.seek(track.neighbour(position.get().sequence, direction));
          else playhead.step(direction * by);
          break;
        }
        case "Home":
          playhead.seek(playhead.first);
          break;
        case "End":
          playhead.seek(playhead.last);
          break;
        default:
          return;
      }
      event.preventDefault();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [playhead, track]);
  const at = (place: number): string => elapsedWord((place - playhead.first) / TICKS_A_SECOND, 0);
  return (
    <fieldset
      className="panel transport"
      data-testid="transport"
      data-sequence={sequence}
      data-playing={playing}
    >
      <legend className="unseen">Replay</legend>
      <button
        type="button"
        className="button quiet icon"
        aria-label="A tick back"
        title="A tick back (←)"
        onClick={() => step(-1)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M16.500 6l-7.500 6 7.500 6zM6.500 6v12" />
        </svg>
      </button>
      <button
        type="button"
        className="button primary icon"
        aria-label={playing ? "Pause" : "Play"}
        title={playing ? "Pause (space)" : "Play (space)"}
        onClick={() => (playing ? playhead.pause() : playhead.play())}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          {playing ? <path d="M8.500 6v12M15.500 6v12" /> : <path d="M8 5.500l10 6.500-10 6.500z" />}
        </svg>
      </button>
      <button
        type="button"
        className="button quiet icon"
        aria-label="A tick on"
        title="A tick on (→)"
        onClick={() => step(1)}
      >
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M7.500 6l7.500 6-7.500 6zM17.500 6v12" />
        </svg>
      </button>
      <input
        type="range"
        className="scrub"
        aria-label="Tick"
        aria-valuetext={`Tick ${sequence}, ${at(sequence)}`}
        min={playhead.first}
        max={playhead.last}
        step={1}
        value={sequence}
        onChange={(event) => {
          playhead.pause();
          playhead.seek(Number(event.target.value));
        }}
      />
      <p className="transport-place">
        <strong>{at(sequence)}</strong> of {at(playhead.last)}
        <small>tick {sequence}</small>
      </p>
      <label className="transport-speed">
        <span className="unseen">Speed</span>
        <select value={speed} onChange={(event) => playhead.setSpeed(Number(event.target.value) as Speed)}>
          {SPEEDS.map((each) => (
            <option key={each} value={each}>
              {each} ×
            </option>
          ))}
        </select>
      </label>
    </fieldset>
  );
}
