import { type ReactElement, useEffect, useMemo, useState } from "react";
import type { LiveSession } from "../capture/liveSession";
import { watchFromAddress } from "../protocol/sessions";
import { Stage } from "../scene/Stage";
import { type AvatarStream, EMPTY_READOUT, type Link, type Readout } from "../stream/avatarStream";
import { Store } from "../stream/store";
import { AffectPlot } from "./AffectPlot";
import { ConsentDialog } from "./ConsentDialog";
import { type Activity, Controller } from "./controller";
import { EmotionBars } from "./EmotionBars";
import { emotionColor, emotionWord } from "./emotionColors";
import { Header } from "./Header";
import { LatencyPanel } from "./LatencyPanel";
import { LinkPill } from "./LinkPill";
import { Rating } from "./Rating";
import { SelfView } from "./SelfView";
import { useStore } from "./useStore";

/** Above this the person counts as speaking, as in the fusion's rule for the mouth. */
const SPEAKING = 0.7;

const NO_LINK = new Store<Link>({ state: "connecting" });
const NO_READOUT = new Store<Readout>(EMPTY_READOUT);

export function App(): ReactElement {
  const controller = useMemo(() => new Controller(), []);
  const watchable = useMemo(() => watchFromAddress(window.location.href), []);
  const [asking, setAsking] = useState(false);
  const activity = useStore(controller.activity);
  const stream = streamOf(activity);
  const link = useStore(stream?.link ?? NO_LINK);

  useEffect(() => {
    if (watchable !== null) void controller.watch(watchable);
  }, [controller, watchable]);

  const live = activity.kind === "live" ? activity.live : null;
  const state = stream === null ? (activity.kind === "starting" ? "starting" : "idle") : link.state;
  return (
    <div className="page">
      <Header />
      <main className="layout">
        <section className="stage" aria-label="Avatar">
          <Stage source={stream} mirrored={live !== null} />
          <div className="stage-top">
            <LinkPill state={state} />
            {live !== null && <Recording live={live} onStop={() => controller.stop()} />}
          </div>
          {live?.preview != null && <SelfView video={live.preview} />}
          <div className="stage-bottom">
            {stream !== null && <Caption stream={stream} link={link} />}
            {stream === null && <Welcome activity={activity} />}
            <div className="actions">
              {live === null && activity.kind !== "starting" && (
                <button type="button" className="button primary" onClick={() => setAsking(true)}>
                  Use my camera
                </button>
              )}
              {activity.kind === "starting" && (
                <button type="button" className="button quiet" onClick={() => controller.stop()}>
                  Cancel
                </button>
              )}
              {watchable !== null && activity.kind !== "watching" && live === null && (
                <button
                  type="button"
                  className="button quiet"
                  onClick={() => void controller.watch(watchable)}
                >
                  Watch the session
                </button>
              )}
            </div>
          </div>
        </section>
        <Measurements stream={stream} />
      </main>
      <ConsentDialog
        open={asking}
        onDecline={() => setAsking(false)}
        onAgree={(consent) => {
          setAsking(false);
          void controller.start(consent);
        }}
      />
    </div>
  );
}

function streamOf(activity: Activity): AvatarStream | null {
  if (activity.kind === "live") return activity.live.stream;
  return activity.kind === "watching" ? activity.stream : null;
}

/** Draws itself ten times a second, and nothing else with it. */
function Measurements({ stream }: { readonly stream: AvatarStream | null }): ReactElement {
  const readout = useStore(stream?.readout ?? NO_READOUT);
  return (
    <aside className="side" aria-label="Measurements">
      <EmotionBars emotion={readout.emotion} />
      <AffectPlot emotion={readout.emotion} />
      <LatencyPanel readout={readout} />
      {stream !== null && <Rating onRate={(value) => stream.rate(value)} />}
    </aside>
  );
}

/** While the person's own camera or microphone is on: says so, and stops it. */
function Recording({
  live,
  onStop,
}: {
  readonly live: LiveSession;
  readonly onStop: () => void;
}): ReactElement {
  const { audio, video, store_raw: kept } = live.consent;
  const notice = useStore(live.uplink.notice);
  const what = [video && "camera", audio && "microphone"].filter(Boolean).join(" and ");
  return (
    <div className="recording">
      <span className="recording-sign" role="status" data-testid="recording">
        <span className="recording-dot" aria-hidden="true" />
        {what[0]?.toUpperCase()}
        {what.slice(1)} on{kept ? ", recording kept" : ""}
      </span>
      <button type="button" className="button stop" onClick={onStop}>
        Stop
      </button>
      {notice !== null && <span className="recording-notice">{notice}</span>}
    </div>
  );
}

function Caption({ stream, link }: { readonly stream: AvatarStream; readonly link: Link }): ReactElement {
  const { emotion } = useStore(stream.readout);
  if (link.state !== "live" || emotion === null) {
    const refused = link.state === "refused";
    return (
      <p className={refused ? "caption-note error" : "caption-note"} role={refused ? "alert" : "status"}>
        {linkSentence(link)}
      </p>
    );
  }
  const speaking = emotion.speakingProbability > SPEAKING;
  return (
    <div className="caption">
      <strong style={{ color: emotionColor(emotion.emotion) }}>{emotionWord[emotion.emotion]}</strong>
      <span className={speaking ? "speaking on" : "speaking"} data-testid="speaking">
        <span className="speaking-bars" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
        {speaking ? "Speaking" : "Silent"}
      </span>
    </div>
  );
}

function linkSentence(link: Link): string {
  switch (link.state) {
    case "connecting":
      return "Connecting to the avatar…";
    case "waiting":
      return "Connected. The first frame is on its way…";
    case "silent":
      return "No frames have come yet: the session may be over, or nothing is on at its other end.";
    case "live":
      return "Frames are arriving…";
    case "stalled":
      return "No frames have come for more than a second, so the avatar rests.";
    case "reconnecting":
      return `${link.detail} Trying again…`;
    case "finished":
      return "This session is over. The avatar rests.";
    case "refused":
      return link.detail;
  }
}

function Welcome({ activity }: { readonly activity: Activity }): ReactElement {
  if (activity.kind === "failed") {
    return (
      <p className="caption-note error" role="alert">
        {activity.sentence}
      </p>
    );
  }
  if (activity.kind === "ended") {
    return (
      <p className="caption-note" role="status">
        {activity.sentence}
      </p>
    );
  }
  if (activity.kind === "starting") {
    return <p className="caption-note">Starting… the browser may ask for permission.</p>;
  }
  return (
    <div className="welcome">
      <h2>An avatar that feels along</h2>
      <p>It follows a face and a voice as they are. Nothing is on until you agree.</p>
    </div>
  );
}
