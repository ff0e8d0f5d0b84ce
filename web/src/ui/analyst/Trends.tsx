import { type ReactElement, useMemo, useState } from "react";
import type { TrendsAnswer } from "../../analyst/answers";
import type { AnalystApi } from "../../analyst/api";
import { lately, type Span } from "../../analyst/periods";
import { writeRoute } from "../../analyst/route";
import { stacked, unbroken } from "../../analyst/series";
import { EMOTIONS } from "../../protocol/vocabulary";
import { emotionWord } from "../emotionColors";
import { spanWord } from "../figures";
import { WallNotice } from "../wall/WallNotice";
import { type Axis, clockWord, elapsedWord, valueWord } from "./axes";
import { Chart, type ChartLine } from "./Chart";
import { Loading, Problem, Trouble } from "./Notice";
import { PeriodPicker } from "./PeriodPicker";
import { TableBox } from "./TableBox";
import { useAnswer } from "./useAnswer";
import { HOP_COLORS, HOP_WORDS, HOPS, outcomeWord, stageWord } from "./words";

const CLOCK: Axis = { kind: "clock", label: "Time" };
const NOBODY: readonly number[] = [];
const SHARE = [0, 1] as const;

/** What all sessions of a period were like. */
export function Trends({ api }: { readonly api: AnalystApi }): ReactElement {
  const [span, setSpan] = useState<Span>("day");
  const answer = useAnswer<TrendsAnswer>(
    span,
    (signal) => {
      const { fromMs, toMs } = lately(span, Date.now());
      return api.json("v1/trends", { from_ms: fromMs, to_ms: toMs + 60_000 }, signal);
    },
    { keep: true },
  );
  const { value, problem } = answer;
  if (value === null)
    return problem === null ? (
      <Loading what="trends" />
    ) : (
      <Problem title="The trends cannot be shown" problem={problem} onAgain={answer.again} />
    );
  const empty = value.along.at_ms.length === 0 && value.started.at_ms.length === 0;
  return (
    <>
      <div className="analyst-bar">
        <PeriodPicker label="Period" span={span} onChange={setSpan} />
        <p className="hint">
          Each point of a line stands for {spanWord(value.step_s * 1_000)}. Drag over a chart to look closer,
          double-click to see all.
        </p>
      </div>
      <Trouble problem={problem} />
      {empty ? (
        <WallNotice title="Nothing in this period" text="No session started then. Choose a longer period." />
      ) : (
        <Charts trends={value} />
      )}
    </>
  );
}

/** Bars on top of one another are drawn from the highest down. */
const onTop = (lines: readonly ChartLine[]): ChartLine[] => {
  const heights = stacked(lines.map(({ values }) => values));
  return lines
    .map((line, i) => ({ ...line, values: heights[i] as number[], own: line.values, as: "bars" as const }))
    .reverse();
};

function Charts({ trends }: { readonly trends: TrendsAnswer }): ReactElement {
  const { along, started, durations, dropped_along: dropped, sessions } = trends;
  const column = (name: string): readonly (number | null)[] => along[name] ?? NOBODY;
  const rows = useMemo(() => unbroken(along.at_ms, trends.step_s * 1_000), [along, trends.step_s]);
  const lines = useMemo(() => {
    const at = (name: string): readonly (number | null)[] =>
      rows.places.map((place) => (place < 0 ? null : (along[name]?.[place] ?? null)));
    const line = (label: string, color: string, name: string, dashed = false): ChartLine => ({
      label,
      color,
      values: at(name),
      dashed,
    });
    return {
      emotions: EMOTIONS.map((name) => line(emotionWord[name], name, `emotion_${name}`)),
      affect: [line("Valence", "accent", "valence"), line("Arousal", "angry", "arousal")],
      latency: [
        line("Face p50", "accent", "face_total_p50_ms"),
        line("Face p95", "accent", "face_total_p95_ms", true),
        line("Voice p50", "fear", "speech_total_p50_ms"),
        line("Voice p95", "fear", "speech_total_p95_ms", true),
      ],
      faceHops: onTop(HOPS.map((hop) => line(HOP_WORDS[hop], HOP_COLORS[hop], `face_${hop}_ms`))),
      speechHops: onTop(HOPS.map((hop) => line(HOP_WORDS[hop], HOP_COLORS[hop], `speech_${hop}_ms`))),
      started: [
        { label: "Sessions", color: "accent", values: started.sessions, as: "bars" as const },
        { label: "Opted out", color: "danger", values: started.opted_out, as: "bars" as const },
      ],
      dropped: [{ label: "Dropped", color: "danger", values: dropped.dropped, as: "bars" as const }],
      durations: [
        { label: "Sessions", color: "accent", values: [...durations.counts], as: "bars" as const },
      ] satisfies ChartLine[],
      bySession: onTop(
        EMOTIONS.map((name) => ({
          label: emotionWord[name],
          color: name,
          values: sessions[`emotion_${name}`] ?? NOBODY,
        })),
      ),
    };
  }, [along, rows, started, durations, dropped, sessions]);
  const classes = durations.edges_s
    .slice(0, -1)
    .map((low, i) => classWord(low, durations.edges_s[i + 1] ?? 0));
  const places = durations.counts.map((_, i) => i);
  const durationAxis = useMemo((): Axis => ({ kind: "words", label: "Length", words: classes }), [classes]);
  const order = useMemo(() => sessions.session_id.map((_, i) => i), [sessions]);
  const sessionAxis = useMemo((): Axis => {
    const words = (sessions.at_ms ?? NOBODY).map((at) => clockWord(at ?? 0, 0));
    return { kind: "words", label: "Started", words };
  }, [sessions]);
  const opted = started.opted_out.reduce((sum: number, n) => sum + (n ?? 0), 0);
  const withdrawn = started.withdrawn.reduce((sum: number, n) => sum + (n ?? 0), 0);
  const all = started.sessions.reduce((sum: number, n) => sum + (n ?? 0), 0);
  return (
    <>
      <dl className="panel figures analyst-figures" data-testid="trend-figures">
        <Figure word="Sessions" value={String(all)} />
        <Figure
          word="Frames"
          value={column("frames")
            .reduce((sum: number, n) => sum + (n ?? 0), 0)
            .toLocaleString("en")}
        />
        <Figure word="Median length" value={durations.p50 === null ? "–" : elapsedWord(durations.p50, 60)} />
        <Figure
          word="Opted out"
          value={all === 0 ? "–" : `${opted} of ${all} (${((100 * opted) / all).toFixed(1)} %)`}
        />
        <Figure word="Consent withdrawn" value={String(withdrawn)} />
      </dl>
      <div className="charts">
        <Chart
          title="Emotions"
          hint="Mean scores of all frames, 0 to 1"
          axis={CLOCK}
          xs={rows.xs}
          lines={lines.emotions}
          range={SHARE}
        />
        <Chart
          title="Valence and arousal"
          hint="Means, -1 to 1"
          axis={CLOCK}
          xs={rows.xs}
          lines={lines.affect}
        />
        <Chart
          title="Emotions by session"
          hint={`Mean scores of ${sessions.session_id.length} sessions in the order of their start; click one to open it`}
          axis={sessionAxis}
          xs={order}
          lines={lines.bySession}
          onPick={(x) => {
            const sessionId = sessions.session_id[Math.round(x)];
            if (sessionId !== undefined)
              window.location.hash = writeRoute({ at: "session", sessionId, sequence: null });
          }}
        />
        <Chart
          title="Latency"
          hint="From capture to the fused frame, of all frames"
          axis={CLOCK}
          xs={rows.xs}
          lines={lines.latency}
          unit="ms"
        />
        <Chart
          title="Face: latency by hop"
          hint="Median of each hop, on top of one another"
          axis={CLOCK}
          xs={rows.xs}
          lines={lines.faceHops}
          unit="ms"
        />
        <Chart
          title="Voice: latency by hop"
          hint="Median of each hop, on top of one another"
          axis={CLOCK}
          xs={rows.xs}
          lines={lines.speechHops}
          unit="ms"
        />
        <Chart
          title="Sessions and opt-outs"
          hint="Sessions that started, and of these how many somebody opted out of"
          axis={CLOCK}
          xs={started.at_ms}
          lines={lines.started}
        />
        <Chart
          title="Length of sessions"
          hint={`${durations.ended} ended sessions; half last ${durations.p50 === null ? "–" : elapsedWord(durations.p50, 60)}, 95 % at most ${durations.p95 === null ? "–" : elapsedWord(durations.p95, 60)}`}
          axis={durationAxis}
          xs={places}
          lines={lines.durations}
        />
      </div>
      <div className="charts">
        <Chart
          title="Dropped items"
          hint="What any stage dropped; the reasons are below"
          axis={CLOCK}
          xs={dropped.at_ms}
          lines={lines.dropped}
        />
        <Drops trends={trends} />
        <Hops trends={trends} />
      </div>
    </>
  );
}

export function Figure({ word, value }: { readonly word: string; readonly value: string }): ReactElement {
  return (
    <div>
      <dt>{word}</dt>
      <dd>{value}</dd>
    </div>
  );
}

const classWord = (low: number, high: number): string =>
  high >= 86_400 ? `over ${spanWord(low * 1_000)}` : `to ${spanWord(high * 1_000)}`;

function Hops({ trends: { hops } }: { readonly trends: TrendsAnswer }): ReactElement {
  return (
    <TableBox label="Latency by hop" heading>
      {hops.length === 0 ? (
        <p className="hint">No live frame in this period.</p>
      ) : (
        <table className="table" data-testid="hops">
          <thead>
            <tr>
              <th scope="col">Hop</th>
              <th scope="col" className="number">
                p50
              </th>
              <th scope="col" className="number">
                p95
              </th>
            </tr>
          </thead>
          <tbody>
            {hops.map(({ modality, hop, p50, p95 }) => (
              <tr key={`${modality} ${hop}`} className={hop === "total" ? "sum" : ""}>
                <th scope="row">
                  {modality === "face" ? "Face" : "Voice"}: {HOP_WORDS[hop as keyof typeof HOP_WORDS] ?? hop}
                </th>
                <td className="number">{valueWord(p50, "ms")}</td>
                <td className="number">{valueWord(p95, "ms")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </TableBox>
  );
}

function Drops({ trends: { drops } }: { readonly trends: TrendsAnswer }): ReactElement {
  const most = Math.max(1, ...drops.map(({ items }) => items));
  return (
    <TableBox label="Drops by reason" heading>
      {drops.length === 0 ? (
        <p className="hint">Nothing was dropped in this period.</p>
      ) : (
        <table className="table" data-testid="drops">
          <thead>
            <tr>
              <th scope="col">Where and why</th>
              <th scope="col" className="number">
                Items
              </th>
              <th scope="col" className="number">
                Share
              </th>
              <th scope="col" className="number">
                Sessions
              </th>
            </tr>
          </thead>
          <tbody>
            {drops.map(({ stage, modality, outcome, items, share, sessions }) => (
              <tr key={`${stage} ${modality} ${outcome}`}>
                <th scope="row">
                  {outcomeWord(outcome)}
                  <small>
                    {stageWord(stage)}
                    {modality === "" ? "" : `, ${modality === "speech" ? "voice" : modality}`}
                  </small>
                  <span className="drop-bar" aria-hidden="true">
                    <i style={{ width: `${(100 * items) / most}%` }} />
                  </span>
                </th>
                <td className="number">{items.toLocaleString("en")}</td>
                <td className="number">{(100 * share).toFixed(share < 0.1 ? 2 : 1)} %</td>
                <td className="number">{sessions}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </TableBox>
  );
}
