import type { ReactElement } from "react";
import type { Link } from "../stream/avatarStream";

const WORDS: Readonly<Record<Link["state"], string>> = {
  connecting: "Connecting",
  waiting: "Connected, waiting for frames",
  silent: "Connected, no frames",
  live: "Live",
  stalled: "No frames arriving",
  reconnecting: "Connection lost, trying again",
  finished: "Session finished",
  refused: "Not connected",
};

const DOTS: Readonly<Partial<Record<string, string>>> = {
  live: "good",
  connecting: "busy",
  starting: "busy",
  waiting: "busy",
  reconnecting: "busy",
  silent: "warn",
  stalled: "warn",
  refused: "bad",
};

/** The state of the connection, in a word. */
export function LinkPill({ state }: { readonly state: Link["state"] | "idle" | "starting" }): ReactElement {
  const word = state === "idle" ? "Not connected" : state === "starting" ? "Starting" : WORDS[state];
  return (
    <span className="pill" role="status" data-testid="link" data-state={state}>
      <span className={`dot ${DOTS[state] ?? ""}`} aria-hidden="true" />
      {word}
    </span>
  );
}
