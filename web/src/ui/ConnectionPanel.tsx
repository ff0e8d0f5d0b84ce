import type { ReactElement } from "react";
import type { LiveSession } from "../capture/liveSession";
import type { Transport } from "../capture/request";
import type { UplinkState } from "../capture/uplink";
import type { Link, Readout } from "../stream/avatarStream";
import { Store } from "../stream/store";
import { lossPercent } from "./figures";
import { useStore } from "./useStore";

const WAY: Readonly<Record<Transport, string>> = { webrtc: "WebRTC", websocket: "WebSocket" };
const SENDING: Readonly<Record<UplinkState["state"], string>> = {
  connecting: "Connecting",
  open: "Sending",
  reconnecting: "Trying again",
  finished: "Ended",
  refused: "Refused",
};
const WATCHED = new Store<Transport>("websocket");
const NOTHING_SENT = new Store<UplinkState>({ state: "finished" });

interface ConnectionPanelProps {
  readonly readout: Readout;
  readonly link: Link["state"] | null;
  /** Null where somebody else's session is watched, or none. */
  readonly live: LiveSession | null;
}

/** The state of the network: what it goes over, and how well. */
export function ConnectionPanel({ readout, link, live }: ConnectionPanelProps): ReactElement {
  const transport = useStore(live?.uplink.transport ?? WATCHED);
  const uplink = useStore(live?.uplink.link ?? NOTHING_SENT);
  const { framesPerSecond, bufferMs, roundTripMs } = readout;
  const loss = lossPercent(readout);
  const known = link !== null && framesPerSecond !== null;
  return (
    <section className="panel" aria-labelledby="connection-title">
      <h2 id="connection-title">
        Connection
        <span className="panel-word" data-testid="transport">
          {link === null ? "–" : WAY[transport]}
        </span>
      </h2>
      <dl className="figures">
        <Figure name="Round trip" value={roundTripMs === null ? "–" : `${Math.round(roundTripMs)} ms`} />
        <Figure name="Loss" value={known ? `${loss.toFixed(1)} %` : "–"} />
        <Figure name="Buffer" value={known ? `${Math.round(bufferMs)} ms` : "–"} />
        <Figure name="Frames" value={known ? `${Math.round(framesPerSecond)} fps` : "–"} />
        <Figure name="Skipped" value={known ? `${readout.skipped}` : "–"} />
        <Figure name="Upload" value={live === null ? "None" : SENDING[uplink.state]} />
      </dl>
    </section>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }): ReactElement {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
