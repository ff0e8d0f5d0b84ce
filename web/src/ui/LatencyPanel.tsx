import type { ReactElement } from "react";
import type { Readout } from "../stream/avatarStream";

/** What happens on the way to a station, in a person's words. */
const WORDS: Readonly<Record<string, string>> = {
  received: "to the server",
  ingested: "taken in",
  consumed: "to the models",
  inferred: "recognised",
  fused: "voice and face together",
  relayed: "sent out",
  arrived: "to this page",
  shown: "on this screen",
};

/** The way of a frame, hop by hop, from capture to screen. */
export function LatencyPanel({ readout }: { readonly readout: Readout }): ReactElement {
  const { legs, p50Ms, p95Ms, framesPerSecond } = readout;
  const whole = legs.reduce((sum, leg) => sum + leg.ms, 0);
  return (
    <section className="panel" aria-labelledby="latency-title">
      <h2 id="latency-title">
        Latency
        <span className="panel-figure">
          {p50Ms === null ? (framesPerSecond === null ? "–" : "…") : `${Math.round(p50Ms)} ms`}
          {p95Ms !== null && <small> · p95 {Math.round(p95Ms)} ms</small>}
        </span>
      </h2>
      {legs.length === 0 ? (
        <p className="hint">
          {framesPerSecond === null
            ? "Shown once frames arrive: from the camera to this screen, hop by hop."
            : "Comparing this machine's clock with the server's…"}
        </p>
      ) : (
        <>
          <div className="legs-bar" aria-hidden="true">
            {legs.map((leg, place) => (
              <span
                key={leg.to}
                style={{
                  width: `${(100 * leg.ms) / Math.max(1, whole)}%`,
                  opacity: 1 - 0.1 * place,
                }}
              />
            ))}
          </div>
          <ol className="legs">
            {legs.map((leg) => (
              <li key={leg.to}>
                <span>
                  {leg.to} <small>{WORDS[leg.to] ?? ""}</small>
                </span>
                <span>{leg.ms < 9.95 ? leg.ms.toFixed(1) : Math.round(leg.ms)} ms</span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}
