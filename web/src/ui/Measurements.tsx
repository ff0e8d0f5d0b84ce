import type { ReactElement } from "react";
import type { LiveSession } from "../capture/liveSession";
import { type AvatarStream, EMPTY_READOUT, type Link, type Readout } from "../stream/avatarStream";
import { Store } from "../stream/store";
import { AffectPlot } from "./AffectPlot";
import { ConnectionPanel } from "./ConnectionPanel";
import { DeveloperPanel } from "./DeveloperPanel";
import { EmotionBars } from "./EmotionBars";
import { LatencyPanel } from "./LatencyPanel";
import { useStore } from "./useStore";

const NO_READOUT = new Store<Readout>(EMPTY_READOUT);

interface MeasurementsProps {
  readonly stream: AvatarStream | null;
  readonly link: Link["state"] | null;
  readonly live: LiveSession | null;
  /** The session that developers learn more of; null: nobody is one, or there is none. */
  readonly inspected: { readonly sessionId: string; readonly token: string } | null;
}

/** Draws itself ten times a second, and nothing else with it. */
export function Measurements({ stream, link, live, inspected }: MeasurementsProps): ReactElement {
  const readout = useStore(stream?.readout ?? NO_READOUT);
  // What was felt last is not felt now: without frames the face is neutral, and so are these.
  const emotion = link === "live" ? readout.emotion : null;
  return (
    <aside className="side" aria-label="Measurements">
      <EmotionBars emotion={emotion} />
      <AffectPlot emotion={emotion} />
      <LatencyPanel readout={readout} />
      <ConnectionPanel readout={readout} link={link} live={live} />
      {inspected !== null && <DeveloperPanel {...inspected} />}
    </aside>
  );
}
