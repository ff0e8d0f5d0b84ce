import { type ReactElement, useMemo, useState } from "react";
import type { DriftAnswer, DriftChannel } from "../../analyst/answers";
import type { AnalystApi } from "../../analyst/api";
import {
  fieldOf,
  lately,
  type Period,
  REFERENCES,
  type Reference,
  readField,
  referenceOf,
  SPANS,
  type Span,
} from "../../analyst/periods";
import type { EMOTIONS } from "../../protocol/vocabulary";
import { emotionWord } from "../emotionColors";
import { WallNotice } from "../wall/WallNotice";
import { type Axis, valueWord } from "./axes";
import { Chart, type ChartLine } from "./Chart";
import { Choice } from "./Explorer";
import { Loading, Problem, Trouble } from "./Notice";
import { PeriodPicker } from "./PeriodPicker";
import { TableBox } from "./TableBox";
import { useAnswer } from "./useAnswer";

const VERDICTS: Readonly<Record<DriftChannel["verdict"], readonly [word: string, dot: string]>> = {
  stable: ["Stable", "good"],
  chance: ["May be chance", ""],
  moderate: ["Changed", "warn"],
  large: ["Changed much", "bad"],
  too_few: ["Too few sessions", ""],
};

/** How far a period lies from a reference period. */
export function Drift({ api }: { readonly api: AnalystApi }): ReactElement {
  const [span, setSpan] = useState<Span>("day");
  const [reference, setReference] = useState<Reference>("before");
  const [dates, setDates] = useState<Period>(() =>
    referenceOf("before", lately("day", Math.floor(Date.now() / 60_000) * 60_000)),
  );
  const answer = useAnswer<DriftAnswer>(
    JSON.stringify([span, reference, reference === "dates" ? dates : null]),
    (signal) => {
      const period = lately(span, Date.now());
      const before = reference === "dates" ? dates : referenceOf(reference, period);
      return api.json(
        "v1/drift",
        {
          from_ms: period.fromMs,
          to_ms: period.toMs,
          reference_from_ms: before.fromMs,
          reference_to_ms: before.toMs,
        },
        signal,
      );
    },
    { keep: true },
  );
  const { value, problem } = answer;
  return (
    <>
      <div className="analyst-bar">
        <PeriodPicker label="Period" span={span} onChange={setSpan} />
        <Choice
          label="Compared with"
          value={reference}
          options={Object.entries(REFERENCES)}
          onChange={(chosen) => {
            const kind = chosen as Reference;
            if (kind !== "dates") setDates(referenceOf(kind, lately(span, Date.now())));
            setReference(kind);
          }}
        />
        {reference === "dates" && <Dates period={dates} onChange={setDates} />}
      </div>
      <Trouble problem={value === null ? null : problem} />
      {value !== null ? (
        <Channels drift={value} span={span} />
      ) : problem === null ? (
        <Loading what="both periods" />
      ) : (
        <Problem title="The periods cannot be compared" problem={problem} onAgain={answer.again} />
      )}
    </>
  );
}

function Dates({
  period,
  onChange,
}: {
  readonly period: Period;
  readonly onChange: (period: Period) => void;
}): ReactElement {
  const field = (label: string, key: keyof Period): ReactElement => (
    <label className="field">
      {label}
      <input
        type="datetime-local"
        value={fieldOf(period[key])}
        onChange={(event) => {
          const at = readField(event.target.value);
          if (at !== null) onChange({ ...period, [key]: at });
        }}
      />
    </label>
  );
  return (
    <>
      {field("From", "fromMs")}
      {field("To", "toMs")}
    </>
  );
}

function Channels({ drift, span }: { readonly drift: DriftAnswer; readonly span: Span }): ReactElement {
  const [chosen, setChosen] = useState("emotion");
  const channel = drift.channels.find(({ name }) => name === chosen) ?? drift.channels[0];
  const few = Math.min(drift.period.sessions, drift.reference.sessions) < drift.fewest_sessions;
  if (drift.period.sessions === 0 && drift.reference.sessions === 0) {
    return (
      <WallNotice
        title="Nothing in either period"
        text="No session started then. Choose a longer period, or other dates."
      />
    );
  }
  return (
    <div className="drift">
      <TableBox label="Channels">
        <p className="hint drift-counts">
          {SPANS[span].word}: {drift.period.sessions} sessions, compared with {drift.reference.sessions}.
          {few && ` Nothing is said where a period has fewer than ${drift.fewest_sessions}.`}
        </p>
        <table className="table" data-testid="drift">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Verdict</th>
              <th scope="col" className="number">
                PSI
              </th>
              <th scope="col" className="number">
                JS distance
              </th>
              <th scope="col" className="number">
                p
              </th>
              <th scope="col" className="number">
                Mean
              </th>
              <th scope="col" className="number">
                Before
              </th>
            </tr>
          </thead>
          <tbody>
            {drift.channels.map((row) => {
              const [word, dot] = VERDICTS[row.verdict];
              const unit = row.unit === "ms" ? "ms" : "";
              return (
                <tr key={row.name} data-verdict={row.verdict}>
                  <th scope="row">
                    <button
                      type="button"
                      className="table-pick"
                      aria-pressed={row.name === channel?.name}
                      onClick={() => setChosen(row.name)}
                    >
                      {row.title}
                    </button>
                  </th>
                  <td>
                    <span className="verdict">
                      <span className={`dot ${dot}`} aria-hidden="true" />
                      {word}
                    </span>
                  </td>
                  <td className="number">{row.psi?.toFixed(2) ?? "–"}</td>
                  <td className="number">{row.js_distance?.toFixed(2) ?? "–"}</td>
                  <td className="number">{row.p_value === null ? "–" : row.p_value.toFixed(3)}</td>
                  <td className="number">{valueWord(row.mean, unit)}</td>
                  <td className="number">{valueWord(row.reference_mean, unit)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </TableBox>
      <div className="drift-side">
        {channel !== undefined && <Shares channel={channel} />}
        <Definitions drift={drift} />
      </div>
    </div>
  );
}

function Shares({ channel }: { readonly channel: DriftChannel }): ReactElement {
  const classes = Math.max(channel.shares.length, channel.reference_shares.length);
  const axis = useMemo((): Axis => {
    const words =
      channel.words.length > 0
        ? channel.words.map((word) => emotionWord[word as (typeof EMOTIONS)[number]] ?? word)
        : channel.edges.slice(0, -1).map((edge) => String(edge));
    return { kind: "words", label: "From", words };
  }, [channel]);
  const xs = useMemo(() => Array.from({ length: classes }, (_, i) => i), [classes]);
  const lines = useMemo((): ChartLine[] => {
    const percent = (shares: readonly number[]): (number | null)[] =>
      xs.map((i) => (shares[i] === undefined ? null : 100 * (shares[i] as number)));
    return [
      { label: "Period", color: "accent", values: percent(channel.shares), as: "bars" },
      { label: "Reference", color: "ink", values: percent(channel.reference_shares), as: "steps" },
    ];
  }, [channel, xs]);
  return (
    <Chart
      title={channel.title}
      hint={`Mean share of a session’s frames by class, %${channel.unit === "" ? "" : `; classes in ${channel.unit}`}`}
      axis={axis}
      xs={xs}
      lines={lines}
      unit="%"
      height={240}
    />
  );
}

function Definitions({ drift }: { readonly drift: DriftAnswer }): ReactElement {
  return (
    <section className="panel">
      <h2>How it is measured</h2>
      <dl className="definitions">
        <dt>PSI</dt>
        <dd>
          Population stability index of the shares, in nats: below {drift.moderate_psi} stable, from{" "}
          {drift.large_psi} on a large change.
        </dd>
        <dt>JS distance</dt>
        <dd>Jensen-Shannon distance to base 2: 0 is the same, 1 has nothing in common.</dd>
        <dt>p</dt>
        <dd>
          Share of {drift.deals} random deals of the same sessions to the two periods that lie at least as far
          apart. A change counts where it is below {drift.significant_p}.
        </dd>
        <dt>What is counted</dt>
        <dd>
          Two frames a second of each session that started in the period, of the newest{" "}
          {drift.most_sessions.toLocaleString("en")} sessions; each session weighs the same.
        </dd>
      </dl>
    </section>
  );
}
