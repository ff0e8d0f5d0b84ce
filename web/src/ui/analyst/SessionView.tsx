import { type ReactElement, useEffect, useMemo, useState } from "react";
import type { SessionEvents, SessionSummary } from "../../analyst/answers";
import type { AnalystApi, ApiProblem } from "../../analyst/api";
import { Playhead } from "../../analyst/playhead";
import { ReplaySource } from "../../analyst/replaySource";
import { type Lines, linesOf } from "../../analyst/series";
import { Track } from "../../analyst/track";
import { isRecorded, otherThan, RECORDED, type Variant, variantWord } from "../../analyst/variants";
import { WallNotice } from "../wall/WallNotice";
import { Loading, Problem } from "./Notice";
import { ReplayStage, type Side } from "./ReplayStage";
import { SessionCharts } from "./SessionCharts";
import { SessionFacts } from "./SessionFacts";
import { TickPanel } from "./TickPanel";
import { Transport } from "./Transport";
import { type Answer, useAnswer } from "./useAnswer";
import { keepRoute } from "./useRoute";
import { VariantPicker } from "./VariantPicker";

interface SessionViewProps {
  readonly api: AnalystApi;
  readonly sessionId: string;
  /** The tick to begin with; null: the first. */
  readonly sequence: number | null;
}

const GONE = "It never was, its rows are older than they are kept, or it was erased.";

interface Opened {
  readonly track: Track;
  readonly lines: Lines;
  readonly stride: number;
}

/** One session: replayed, drawn along time, and what came of it. */
export function SessionView({ api, sessionId, sequence }: SessionViewProps): ReactElement {
  const path = `v1/sessions/${encodeURIComponent(sessionId)}`;
  const summary = useAnswer<SessionSummary>(path, (signal) => api.json(`${path}/summary`, {}, signal));
  const events = useAnswer<SessionEvents>(path, (signal) =>
    api.json(`${path}/timeline`, { points: 1 }, signal),
  );
  const opened = useAnswer<Opened>(path, async (signal) => {
    const [series, head] = await Promise.all([
      api.ticks(sessionId, { columns: "series" }, signal),
      api.ticks(sessionId, { columns: "pose" }, signal),
    ]);
    const track = new Track(head, (first) => api.ticks(sessionId, { columns: "pose", first }));
    return { track, lines: linesOf(series), stride: series.stride };
  });
  if (summary.problem !== null) {
    const { problem } = summary;
    return (
      <Problem
        title={problem.kind === "missing" ? "There is no such session" : "The session cannot be shown"}
        problem={problem}
        onAgain={summary.again}
        {...(problem.kind === "missing" ? { text: GONE } : {})}
      />
    );
  }
  if (summary.value === null) return <Loading what="the session" />;
  return (
    <>
      <h2 className="session-title">
        <a href="#/sessions" className="button quiet icon">
          <span className="unseen">All sessions</span>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M14.500 6l-6 6 6 6" />
          </svg>
        </a>
        <span className="session-id">{sessionId}</span>
      </h2>
      {opened.value !== null ? (
        <Replay
          api={api}
          sessionId={sessionId}
          sequence={sequence}
          opened={opened.value}
          events={events.value}
          mapping={summary.value.session.mapping}
        />
      ) : opened.problem === null ? (
        <Loading what="its frames" />
      ) : opened.problem.kind === "missing" ? (
        <WallNotice
          title="No frame of this session is kept"
          text="None came yet, or their retention is over, or they were erased. What else is known is below."
        >
          <button type="button" className="button quiet" onClick={opened.again}>
            Look again
          </button>
        </WallNotice>
      ) : (
        <Problem title="Its frames cannot be shown" problem={opened.problem} onAgain={opened.again} />
      )}
      <SessionFacts summary={summary.value} />
    </>
  );
}

interface ReplayProps extends SessionViewProps {
  readonly opened: Opened;
  readonly events: SessionEvents | null;
  /** How the session was fused. */
  readonly mapping: string;
}

const LEFT = 0;
const RIGHT = 1;

function Replay({ api, sessionId, sequence, opened, events, mapping }: ReplayProps): ReactElement {
  const { track } = opened;
  // Only where one came in: from then on the playhead leads, and the address follows.
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  const playhead = useMemo(() => new Playhead(track.first, track.last, sequence ?? track.first), [track]);
  const [variants, setVariants] = useState<readonly Variant[]>([RECORDED]);
  const comparing = variants.length > 1;
  const left = useTrack(api, sessionId, track, variants[LEFT] ?? RECORDED);
  const right = useTrack(api, sessionId, track, variants[RIGHT] ?? RECORDED);
  const answers = comparing ? [left, right] : [left];
  const tracks = answers.flatMap(({ value }) => (value === null ? [] : [value]));
  const complete = tracks.length === answers.length;
  const shown = complete ? tracks : [track];
  useRunning(playhead, shown);
  useAddress(sessionId, playhead);
  const sides = useSides(playhead, variants, answers);
  return (
    <div className={comparing ? "replay comparing" : "replay"}>
      <div className="replay-lead">
        <ReplayStage sides={sides} />
        <Transport playhead={playhead} track={track} />
        {comparing && (
          <section className="panel variants" aria-label="What is compared">
            {variants.map((variant, i) => (
              <VariantPicker
                // biome-ignore lint/suspicious/noArrayIndexKey: the sides are places
                key={i}
                name={i === LEFT ? "Left" : "Right"}
                variant={variant}
                onChange={(next) => setVariants(variants.map((before, j) => (j === i ? next : before)))}
              />
            ))}
          </section>
        )}
        <div className="actions">
          <button
            type="button"
            className="button quiet"
            aria-pressed={comparing}
            onClick={() =>
              setVariants(comparing ? [RECORDED] : [RECORDED, { ...RECORDED, mapping: otherThan(mapping) }])
            }
          >
            {comparing ? "Stop comparing" : "Compare two variants"}
          </button>
          {comparing && (
            <p className="hint variants-hint">
              The recorded signals are fused again under other settings, tick by tick; nothing of it is kept.
            </p>
          )}
        </div>
      </div>
      <div className="side">
        <TickPanel playhead={playhead} tracks={shown} />
      </div>
      <SessionCharts
        playhead={playhead}
        lines={opened.lines}
        stride={opened.stride}
        events={events}
        compared={comparing && complete ? tracks : null}
      />
    </div>
  );
}

/** The ticks of one side: those that were recorded, or the same signals fused again. */
function useTrack(api: AnalystApi, sessionId: string, recorded: Track, variant: Variant): Answer<Track> {
  return useAnswer<Track>(`${sessionId} ${JSON.stringify(variant)}`, async (signal) => {
    if (isRecorded(variant)) return recorded;
    const { mapping, smoothing, parameters } = variant;
    return Track.whole(await api.variant(sessionId, { mapping, smoothing, parameters }, signal));
  });
}

/** Moves the playhead while it plays; it waits where a side has no tick yet. */
function useRunning(playhead: Playhead, tracks: readonly Track[]): void {
  useEffect(() => {
    let frame = requestAnimationFrame(function tick(nowMs) {
      frame = requestAnimationFrame(tick);
      playhead.advance(nowMs, (sequence) => tracks.every((each) => each.at(sequence) !== null));
    });
    return () => cancelAnimationFrame(frame);
  }, [playhead, tracks]);
}

const KEEP_MS = 400;

/** Has the address name the tick on which the replay stands. */
function useAddress(sessionId: string, playhead: Playhead): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const unwatch = playhead.position.subscribe(() => {
      clearTimeout(timer);
      const { sequence, playing } = playhead.position.get();
      if (!playing) timer = setTimeout(() => keepRoute({ at: "session", sessionId, sequence }), KEEP_MS);
    });
    return () => {
      clearTimeout(timer);
      unwatch();
    };
  }, [sessionId, playhead]);
}

function useSides(
  playhead: Playhead,
  variants: readonly Variant[],
  answers: readonly Answer<Track>[],
): readonly Side[] {
  const [left, right] = answers;
  const first = useMemo(
    () => (left?.value == null ? null : new ReplaySource(left.value, playhead)),
    [left?.value, playhead],
  );
  const second = useMemo(
    () => (right?.value == null ? null : new ReplaySource(right.value, playhead)),
    [right?.value, playhead],
  );
  return answers.map((answer, i) => ({
    key: i === LEFT ? "left" : "right",
    source: i === LEFT ? first : second,
    title: variantWord(variants[i] ?? RECORDED),
    note: answer.loading ? "Fusing again…" : answer.problem === null ? null : whyNot(answer.problem),
  }));
}

const whyNot = (problem: ApiProblem): string =>
  problem.kind === "failed" ? `It could not be had: ${problem.message}` : problem.message;
