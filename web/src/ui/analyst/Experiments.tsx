import { type ReactElement, useMemo, useState } from "react";
import type { ExperimentHead, ExperimentReport, Metric } from "../../analyst/answers";
import type { AnalystApi } from "../../analyst/api";
import { writeRoute } from "../../analyst/route";
import { writeParameters } from "../../analyst/variants";
import { WallNotice } from "../wall/WallNotice";
import { type Axis, clockWord, valueWord } from "./axes";
import { Chart, type ChartLine } from "./Chart";
import { FairnessSlices } from "./FairnessSlices";
import { endsWord, IntervalMark, spanOf } from "./IntervalMark";
import { Loading, Problem, Trouble } from "./Notice";
import { TableBox } from "./TableBox";
import { Figure } from "./Trends";
import { useAnswer } from "./useAnswer";

const CLOCK: Axis = { kind: "clock", label: "Time" };
const STATUS_DOT: Readonly<Record<ExperimentHead["status"], string>> = {
  running: "good",
  draft: "",
  stopped: "",
  undefined: "warn",
};
const STATUS_WORD: Readonly<Record<ExperimentHead["status"], string>> = {
  running: "Running",
  draft: "Draft",
  stopped: "Stopped",
  undefined: "Not defined here",
};
const SAMPLE_WORD: Readonly<Record<ExperimentHead["srm"]["verdict"], string>> = {
  ok: "as planned",
  mismatch: "not as planned: do not trust the results",
  too_few: "too few to tell",
  unknown: "not known",
};
const VERDICT_DOT: Readonly<Record<ExperimentReport["decision"]["verdict"], string>> = {
  better: "good",
  worse: "bad",
  undecided: "",
  invalid: "warn",
};

interface ExperimentsProps {
  readonly api: AnalystApi;
  readonly name: string | null;
}

/** All experiments, or one with its results. */
export function Experiments({ api, name }: ExperimentsProps): ReactElement {
  return name === null ? <List api={api} /> : <One key={name} api={api} name={name} />;
}

function List({ api }: { readonly api: AnalystApi }): ReactElement {
  const { value, problem, again } = useAnswer<{ readonly experiments: readonly ExperimentHead[] }>(
    "experiments",
    (signal) => api.json("v1/experiments", {}, signal),
  );
  if (value === null)
    return problem === null ? (
      <Loading what="experiments" />
    ) : (
      <Problem title="The experiments cannot be shown" problem={problem} onAgain={again} />
    );
  if (value.experiments.length === 0) {
    return (
      <WallNotice
        title="There is no experiment"
        text={
          <>
            An experiment gives sessions different mappings, smoothing or parameters and compares what people
            make of them. <code>affectstream experiment --help</code> says how one is begun.
          </>
        }
      />
    );
  }
  return (
    <TableBox label="Experiments">
      <table className="table" data-testid="experiments">
        <thead>
          <tr>
            <th scope="col">Experiment</th>
            <th scope="col">Status</th>
            <th scope="col">Variants</th>
            <th scope="col" className="number">
              Sessions
            </th>
            <th scope="col">Shares of variants</th>
            <th scope="col">Last given</th>
          </tr>
        </thead>
        <tbody>
          {value.experiments.map((head) => (
            <tr key={head.name}>
              <th scope="row">
                <a href={writeRoute({ at: "experiments", name: head.name })}>{head.name}</a>
              </th>
              <td>
                <Status head={head} />
              </td>
              <td>{head.variants.map(({ name }) => name).join(", ")}</td>
              <td className="number">
                {head.variants.reduce((sum, { assigned_sessions }) => sum + assigned_sessions, 0)}
              </td>
              <td>{SAMPLE_WORD[head.srm.verdict]}</td>
              <td>{head.last_assigned_at_ms === null ? "never" : clockWord(head.last_assigned_at_ms, 0)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

const Status = ({ head }: { readonly head: ExperimentHead }): ReactElement => (
  <span className="verdict">
    <span className={`dot ${STATUS_DOT[head.status]}`} aria-hidden="true" />
    {STATUS_WORD[head.status]}
  </span>
);

function One({ api, name }: { readonly api: AnalystApi; readonly name: string }): ReactElement {
  const answer = useAnswer<ExperimentReport>(
    name,
    (signal) => api.json(`v1/experiments/${encodeURIComponent(name)}`, {}, signal),
    { keep: true },
  );
  const { value, problem } = answer;
  if (value === null)
    return problem === null ? (
      <Loading what="the results" />
    ) : (
      <Problem title="The experiment cannot be shown" problem={problem} onAgain={answer.again} />
    );
  return (
    <>
      <h2 className="session-title">
        <a href="#/experiments" className="button quiet icon">
          <span className="unseen">All experiments</span>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M14.500 6l-6 6 6 6" />
          </svg>
        </a>
        {name}
        <Status head={value.experiment} />
      </h2>
      <Trouble problem={problem} />
      <Report report={value} />
    </>
  );
}

function Report({ report }: { readonly report: ExperimentReport }): ReactElement {
  const { experiment, population, srm, decision, metrics } = report;
  return (
    <div className="experiment" data-testid="experiment">
      <section className="panel decision">
        <h2>
          <span className="verdict">
            <span className={`dot ${VERDICT_DOT[decision.verdict]}`} aria-hidden="true" />
            {decision.text}
          </span>
        </h2>
        {experiment.hypothesis !== null && experiment.hypothesis !== "" && (
          <p className="hint">{experiment.hypothesis}</p>
        )}
        <dl className="figures analyst-figures">
          <Figure word="Sessions given a variant" value={String(population.assigned_sessions)} />
          <Figure word="Sessions in which it was seen" value={String(population.exposed_sessions)} />
          <Figure word="People (or sessions) compared" value={String(population.exposed_units)} />
          <Figure word="Shares as given" value={SAMPLE_WORD[srm.assigned.verdict]} />
          <Figure word="Shares as seen" value={SAMPLE_WORD[srm.exposed.verdict]} />
        </dl>
      </section>
      <Variants head={experiment} />
      <p className="hint">
        Thick bars are {Math.round(100 * report.confidence)} % intervals for one look at a size planned
        before. Thin ones are valid however often one looks; what is called significant is so by them,
        corrected for all metrics and variants.
      </p>
      <div className="charts">
        {metrics.map((metric) => (
          <MetricCard key={metric.name} metric={metric} />
        ))}
      </div>
      <FairnessSlices fairness={report.fairness} />
    </div>
  );
}

function Variants({ head }: { readonly head: ExperimentHead }): ReactElement {
  return (
    <TableBox label="Variants" heading>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Variant</th>
            <th scope="col">Mapping</th>
            <th scope="col">Smoothing</th>
            <th scope="col">Parameters</th>
            <th scope="col" className="number">
              Share
            </th>
            <th scope="col" className="number">
              Units
            </th>
            <th scope="col" className="number">
              Sessions
            </th>
          </tr>
        </thead>
        <tbody>
          {head.variants.map((variant) => (
            <tr key={variant.name}>
              <th scope="row">
                {variant.name}
                {variant.name === head.control && <small>control</small>}
              </th>
              <td>{variant.mapping ?? "–"}</td>
              <td>{variant.smoothing ?? "–"}</td>
              <td>{writeParameters(variant.parameters) || "defaults"}</td>
              <td className="number">
                {variant.weight === null ? "–" : `${(100 * variant.weight).toFixed(0)} %`}
              </td>
              <td className="number">{variant.assigned_units}</td>
              <td className="number">{variant.assigned_sessions}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

const BETTER_WORD = { higher: "higher is better", lower: "lower is better", neither: "" } as const;

/** One metric: each variant's mean, each effect with its intervals, and how it came about. */
function MetricCard({ metric }: { readonly metric: Metric }): ReactElement {
  const [whole, setWhole] = useState(false);
  const unit = metric.unit === "ms" || metric.unit === "s" ? metric.unit : "";
  const means = spanOf(metric.variants);
  const effects = spanOf([...metric.effects, ...metric.effects.map(({ sequence }) => sequence)], 0);
  const trajectories = metric.effects.filter(({ trajectory }) => trajectory.length > 1);
  return (
    <section className="panel metric" data-testid="metric" data-metric={metric.name}>
      <h2>
        {metric.title}
        <small className="panel-word">
          {[metric.primary ? "primary" : "", metric.unit, BETTER_WORD[metric.better]]
            .filter(Boolean)
            .join(" · ")}
        </small>
      </h2>
      <ul className="intervals">
        {metric.variants.map(({ variant, units, mean, low, high }) => (
          <li key={variant}>
            <span className="interval-name">
              {variant} <small>{units}</small>
            </span>
            <IntervalMark span={means} low={low} high={high} at={mean} />
            <span className="interval-value">
              {valueWord(mean, "")}
              <small>{endsWord({ low, high })}</small>
            </span>
          </li>
        ))}
      </ul>
      {metric.effects.length === 0 ? (
        <p className="hint">Too few to compare yet.</p>
      ) : (
        <>
          <h3>Difference to the control</h3>
          <ul className="intervals effects">
            {metric.effects.map((effect) => (
              <li key={effect.variant}>
                <span className="interval-name">
                  {effect.variant}
                  {effect.significant && <strong className="significant">significant</strong>}
                </span>
                <IntervalMark
                  span={effects}
                  low={effect.low}
                  high={effect.high}
                  at={effect.difference}
                  outer={effect.sequence}
                  zero
                />
                <span className="interval-value">
                  {signed(effect.difference)}
                  {effect.relative !== null && ` (${signed(100 * effect.relative)} %)`}
                  <small>{endsWord(effect.sequence)}</small>
                  <small>{chanceWord(effect.adjusted_p_value)}</small>
                </span>
                {effect.cuped !== null && (
                  <small className="cuped">
                    CUPED: {signed(effect.cuped.difference)} ({signed(effect.cuped.low)} to{" "}
                    {signed(effect.cuped.high)}), {Math.round(100 * (effect.cuped.variance_removed ?? 0))} %
                    of the variance removed
                  </small>
                )}
              </li>
            ))}
          </ul>
        </>
      )}
      <button type="button" className="button quiet" aria-expanded={whole} onClick={() => setWhole(!whole)}>
        {whole ? "Less" : "Definition and course"}
      </button>
      {whole && (
        <>
          <p className="hint">{metric.definition}</p>
          {trajectories.map((effect) => (
            <Course key={effect.variant} effect={effect} unit={unit} />
          ))}
        </>
      )}
    </section>
  );
}

/** An effect as it became known. */
function Course({
  effect,
  unit,
}: {
  readonly effect: Metric["effects"][number];
  readonly unit: string;
}): ReactElement {
  const drawn = useMemo(() => {
    const of = (name: "difference" | "low" | "high"): (number | null)[] =>
      effect.trajectory.map((point) => point[name]);
    const lines: ChartLine[] = [
      { label: "Difference", color: "accent", values: of("difference") },
      { label: "Low", color: "soft", values: of("low"), dashed: true },
      { label: "High", color: "soft", values: of("high"), dashed: true },
      { label: "None", color: "control", values: effect.trajectory.map(() => 0) },
    ];
    return { xs: effect.trajectory.map(({ at_ms }) => at_ms), lines };
  }, [effect]);
  return (
    <Chart
      title={`${effect.variant} less ${effect.against}`}
      hint="The difference and its always valid interval as sessions came"
      axis={CLOCK}
      xs={drawn.xs}
      lines={drawn.lines}
      unit={unit}
      height={150}
    />
  );
}

const signed = (value: number | null): string =>
  `${value !== null && value > 0 ? "+" : ""}${valueWord(value, "")}`;

const chanceWord = (p: number | null): string =>
  p === null ? "" : p < 0.001 ? "p < 0.001" : `p ${p.toFixed(3)}`;
