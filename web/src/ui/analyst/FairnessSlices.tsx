import type { ReactElement } from "react";
import type { Fairness } from "../../analyst/answers";
import { valueWord } from "./axes";
import { endsWord, IntervalMark, spanOf } from "./IntervalMark";

/** Errors and confidence by self-declared group, of those who allowed it. */
export function FairnessSlices({ fairness }: { readonly fairness: Fairness }): ReactElement {
  const { groups, gaps, minimum_cell: least } = fairness;
  const metrics = metricsOf(fairness);
  return (
    <section className="panel" data-testid="fairness">
      <h2>
        Fairness <small className="panel-word">by self-declared group, where that was allowed</small>
      </h2>
      <p className="hint">
        {fairness.consented_units} allowed it. Groups of fewer than {least} are not shown
        {fairness.suppressed_groups === 0
          ? "."
          : `: ${fairness.suppressed_groups} of them, ${fairness.suppressed_units} in all.`}
      </p>
      {metrics.map(({ name, title, unit }) => {
        const rows = groups.flatMap(({ group, variants }) =>
          variants.flatMap(({ variant, units, metrics: measured }) => {
            const found = measured.find((metric) => metric.name === name);
            return found === undefined ? [] : [{ group, variant, units, ...found }];
          }),
        );
        const span = spanOf(rows);
        return (
          <div key={name} className="slice">
            <h3>
              {title} <small>{unit}</small>
            </h3>
            <ul className="intervals">
              {rows.map(({ group, variant, units, mean, low, high }) => {
                const gap = gaps.find(
                  (each) => each.metric === name && each.variant === variant && each.group === group,
                );
                return (
                  <li key={`${group} ${variant}`}>
                    <span className="interval-name">
                      {group}, {variant} <small>{units}</small>
                      {gap?.significant && <strong className="significant">differs from the rest</strong>}
                    </span>
                    <IntervalMark span={span} low={low} high={high} at={mean} />
                    <span className="interval-value">
                      {valueWord(mean, "")}
                      <small>{endsWord({ low, high })}</small>
                    </span>
                  </li>
                );
              })}
            </ul>
          </div>
        );
      })}
      {metrics.length === 0 && <p className="hint">No group is large enough to be shown.</p>}
    </section>
  );
}

interface Named {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
}

/** The metrics that some group has, each once. */
function metricsOf({ groups }: Fairness): readonly Named[] {
  const found = new Map<string, Named>();
  for (const { variants } of groups)
    for (const { metrics } of variants)
      for (const metric of metrics) if (!found.has(metric.name)) found.set(metric.name, metric);
  return [...found.values()];
}
