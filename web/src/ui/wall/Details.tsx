import { type ReactElement, useEffect, useRef } from "react";
import type { EmotionUpdate } from "../../protocol/messages";
import { Store } from "../../stream/store";
import type { Entry } from "../../wall/directory";
import type { SessionFeed } from "../../wall/feed";
import { AffectPlot } from "../AffectPlot";
import { EmotionBars } from "../EmotionBars";
import { spanWord } from "../figures";
import { useStore } from "../useStore";
import { reasonWord, STATE_DOT, STATE_WORD } from "./words";

const NO_EMOTION = new Store<EmotionUpdate | null>(null);

interface DetailsProps {
  readonly entry: Entry;
  readonly feed: SessionFeed | null;
  readonly nowMs: number;
  readonly onClose: () => void;
}

/** Everything that may be known of one session. */
export function Details({ entry, feed, nowMs, onClose }: DetailsProps): ReactElement {
  const { sessionId, state } = entry;
  const emotion = useStore(feed?.emotion ?? NO_EMOTION);
  const heading = useRef<HTMLHeadingElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the reader goes on here for each session that is chosen
  useEffect(() => heading.current?.focus({ preventScroll: true }), [sessionId]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "Escape") onClose();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [onClose]);
  return (
    <aside className="side wall-details" aria-labelledby="details-title" data-testid="details">
      <section className="panel">
        <div className="details-head">
          <h2 id="details-title" ref={heading} tabIndex={-1}>
            <span className="details-state">
              <span className={`dot ${STATE_DOT[state]}`} aria-hidden="true" />
              {STATE_WORD[state]} session
            </span>
          </h2>
          <button type="button" className="button quiet icon" aria-label="Close details" onClick={onClose}>
            <svg viewBox="0 0 24 24" aria-hidden="true">
              <path d="M7 7l10 10M17 7L7 17" />
            </svg>
          </button>
        </div>
        <p className="details-id">{sessionId}</p>
        <dl className="figures two">
          {facts(entry, nowMs).map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <EmotionBars emotion={state === "live" ? emotion : null} />
      <AffectPlot emotion={state === "live" ? emotion : null} />
    </aside>
  );
}

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

function facts({ listed }: Entry, nowMs: number): readonly (readonly [string, string])[] {
  if (listed === null) return [["Known of it", "Its frames alone; the list comes from analytics"]];
  const { startedAtMs, endedAtMs, audio, video } = listed;
  const media = [video && "face", audio && "voice"].filter(Boolean).join(" and ");
  return [
    ["Started", CLOCK.format(startedAtMs)],
    ["Lasts", spanWord((endedAtMs ?? nowMs) - startedAtMs)],
    ["Consent", media || "nothing"],
    ["Timeline", listed.timeline],
    ["Mapping", listed.mapping],
    ["Variant", [listed.experiment, listed.variant].filter(Boolean).join(": ") || "none"],
    ...(endedAtMs === null ? [] : ([["Ended", reasonWord(listed.endReason)]] as const)),
  ];
}
