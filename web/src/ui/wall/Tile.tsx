import { type ReactElement, useEffect, useRef } from "react";
import type { EmotionUpdate } from "../../protocol/messages";
import { Store } from "../../stream/store";
import type { Entry } from "../../wall/directory";
import type { SessionFeed } from "../../wall/feed";
import { emotionColor, emotionWord } from "../emotionColors";
import { useStore } from "../useStore";
import { ageWord, STATE_DOT, STATE_WORD, shortId } from "./words";

const NO_EMOTION = new Store<EmotionUpdate | null>(null);

interface TileProps {
  readonly entry: Entry;
  readonly feed: SessionFeed | null;
  readonly nowMs: number;
  readonly chosen: boolean;
  readonly onChoose: (sessionId: string) => void;
  /** Told where the avatar is to be drawn; null when the tile goes. */
  readonly onPlace: (sessionId: string, element: HTMLElement | null) => void;
}

/** One session: its avatar, its state, what it feels. */
export function Tile({ entry, feed, nowMs, chosen, onChoose, onPlace }: TileProps): ReactElement {
  const { sessionId, state } = entry;
  const place = useRef<HTMLSpanElement>(null);
  const emotion = useStore(feed?.emotion ?? NO_EMOTION);
  useEffect(() => {
    onPlace(sessionId, place.current);
    return () => onPlace(sessionId, null);
  }, [sessionId, onPlace]);
  const felt = state === "live" ? emotion : null;
  return (
    <li className="tile" data-testid="tile" data-state={state} data-session={sessionId}>
      <button type="button" className="tile-button" aria-pressed={chosen} onClick={() => onChoose(sessionId)}>
        <span ref={place} className="tile-avatar" />
        <span className="tile-top">
          <span className="tile-state">
            <span className={`dot ${STATE_DOT[state]}`} />
            {STATE_WORD[state]}
          </span>
          <span className="tile-age">{ageWord(entry, nowMs)}</span>
        </span>
        <span className="tile-foot">
          <span className="tile-name">
            <span className="unseen">Session </span>
            {shortId(sessionId)}
          </span>
          {felt !== null && (
            <strong style={{ color: emotionColor(felt.emotion) }}>{emotionWord[felt.emotion]}</strong>
          )}
        </span>
      </button>
    </li>
  );
}
