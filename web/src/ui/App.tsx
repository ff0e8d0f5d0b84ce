import { type ReactElement, useEffect, useMemo, useState } from "react";
import { watchFromAddress } from "../protocol/sessions";
import { Stage } from "../scene/Stage";
import type { AvatarStream, Link } from "../stream/avatarStream";
import { Store } from "../stream/store";
import { Caption } from "./Caption";
import { ConsentDialog } from "./ConsentDialog";
import { type Activity, Controller } from "./controller";
import { isDeveloper } from "./developer";
import { Header } from "./Header";
import { LinkPill } from "./LinkPill";
import { Measurements } from "./Measurements";
import { Rating } from "./Rating";
import { RecordingBar } from "./RecordingBar";
import { SelfView } from "./SelfView";
import { StageNotice } from "./StageNotice";
import { useStore } from "./useStore";

const NO_LINK = new Store<Link>({ state: "connecting" });

/** The page of one avatar: a person's own, or that of a session which is watched. */
export function App(): ReactElement {
  const controller = useMemo(() => new Controller(), []);
  const watchable = useMemo(() => watchFromAddress(window.location.href), []);
  const developer = useMemo(() => isDeveloper(window.location.href), []);
  const [asking, setAsking] = useState(false);
  const activity = useStore(controller.activity);
  const stream = streamOf(activity);
  const link = useStore(stream?.link ?? NO_LINK);

  useEffect(() => {
    if (watchable !== null) void controller.watch(watchable);
  }, [controller, watchable]);

  const live = activity.kind === "live" ? activity.live : null;
  const watching = activity.kind === "watching";
  const state = stream === null ? (activity.kind === "starting" ? "starting" : "idle") : link.state;
  return (
    <div className="page">
      <Header line="Live emotion, driving an avatar" />
      <main className="layout">
        <div className="lead">
          <section className="stage" aria-label="Avatar">
            <Stage source={stream} mirrored={live !== null} />
            <div className="stage-top">
              <LinkPill state={state} />
              {live !== null && <RecordingBar live={live} onStop={() => controller.stop()} />}
            </div>
            {live?.preview != null && <SelfView video={live.preview} />}
            <div className="stage-bottom">
              {stream === null ? (
                <StageNotice
                  activity={activity}
                  onAsk={() => setAsking(true)}
                  onCancel={() => controller.stop()}
                  onWatch={watchable && (() => void controller.watch(watchable))}
                />
              ) : (
                <Caption stream={stream} link={link} />
              )}
              {watching && (
                <button type="button" className="button primary" onClick={() => setAsking(true)}>
                  Use my camera
                </button>
              )}
            </div>
          </section>
          {stream !== null && hasFrames(link) && (
            <Rating
              key={sessionOf(activity)}
              onRate={(value) => stream.rate(value)}
              onTell={live === null ? null : (felt) => stream.tell(felt)}
            />
          )}
        </div>
        <Measurements
          stream={stream}
          link={stream === null ? null : link.state}
          live={live}
          inspected={developer ? (live?.session ?? (watching ? watchable : null)) : null}
        />
      </main>
      <ConsentDialog
        open={asking}
        onDecline={() => setAsking(false)}
        onAgree={(request) => {
          setAsking(false);
          void controller.start(request);
        }}
      />
    </div>
  );
}

function streamOf(activity: Activity): AvatarStream | null {
  if (activity.kind === "live") return activity.live.stream;
  return activity.kind === "watching" ? activity.stream : null;
}

/** Whether there is an avatar that can be rated. */
const hasFrames = ({ state }: Link): boolean =>
  state === "live" || state === "stalled" || state === "reconnecting";

/** One rating for each session: a new one asks anew. */
function sessionOf(activity: Activity): string {
  if (activity.kind === "live") return activity.live.session.sessionId;
  return activity.kind === "watching" ? activity.sessionId : "";
}
