import type { ReactElement } from "react";
import type { SessionSummary } from "../../analyst/answers";
import { reasonWord } from "../wall/words";
import { clockWord, elapsedWord, valueWord } from "./axes";
import { TableBox } from "./TableBox";
import { Figure } from "./Trends";
import { HOP_WORDS, HOPS, outcomeWord, stageWord } from "./words";

/** What is known of a session besides its frames. */
export function SessionFacts({ summary }: { readonly summary: SessionSummary }): ReactElement {
  const { session, frames, signals, events } = summary;
  const lasted =
    session.ended_at_ms === null
      ? "not ended"
      : elapsedWord((session.ended_at_ms - session.started_at_ms) / 1_000, 60);
  return (
    <div className="charts">
      <section className="panel" data-testid="session-facts">
        <h2>The session</h2>
        <dl className="figures">
          <Figure word="Started" value={clockWord(session.started_at_ms, 0)} />
          <Figure word="Length" value={lasted} />
          <Figure word="Ended" value={session.ended_at_ms === null ? "–" : reasonWord(session.end_reason)} />
          <Figure word="Mapping" value={session.mapping} />
          <Figure word="Smoothing" value={session.smoothing} />
          <Figure word="Parameters" value={session.config_version} />
          <Figure
            word="Experiment"
            value={session.experiment === "" ? "none" : `${session.experiment}: ${session.variant}`}
          />
          <Figure word="Frames" value={frames.count.toLocaleString("en")} />
          <Figure word="Gaps" value={String(frames.discontinuities)} />
          {Object.entries(signals).map(([modality, { distinct }]) => (
            <Figure
              key={modality}
              word={modality === "face" ? "Face signals" : "Voice signals"}
              value={distinct.toLocaleString("en")}
            />
          ))}
          <Figure word="Opt-outs" value={String(events.by_kind.opt_out ?? 0)} />
          <Figure
            word="Rating"
            value={events.mean_rating === null ? "none" : `${events.mean_rating.toFixed(1)} of 5`}
          />
        </dl>
      </section>
      <Latency summary={summary} />
      <Outcomes summary={summary} />
    </div>
  );
}

function Latency({ summary: { latency_ms } }: { readonly summary: SessionSummary }): ReactElement {
  const rows = [...HOPS, "total" as const].map((hop) => ({
    hop,
    cells: [latency_ms.face?.[hop], latency_ms.speech?.[hop]],
  }));
  return (
    <TableBox label="Latency by hop" heading>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Hop</th>
            <th scope="col" className="number">
              Face p50
            </th>
            <th scope="col" className="number">
              p95
            </th>
            <th scope="col" className="number">
              Voice p50
            </th>
            <th scope="col" className="number">
              p95
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ hop, cells }) => (
            <tr key={hop} className={hop === "total" ? "sum" : ""}>
              <th scope="row">{HOP_WORDS[hop]}</th>
              {cells.flatMap((cell, i) => [
                // biome-ignore lint/suspicious/noArrayIndexKey: face and voice are places
                <td key={`${i} p50`} className="number">
                  {valueWord(cell?.p50, "ms")}
                </td>,
                // biome-ignore lint/suspicious/noArrayIndexKey: as above
                <td key={`${i} p95`} className="number">
                  {valueWord(cell?.p95, "ms")}
                </td>,
              ])}
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}

function Outcomes({ summary: { outcomes } }: { readonly summary: SessionSummary }): ReactElement {
  const rows = Object.entries(outcomes).flatMap(([stage, modalities]) =>
    Object.entries(modalities).flatMap(([modality, counts]) =>
      Object.entries(counts).map(([outcome, items]) => ({ stage, modality, outcome, items })),
    ),
  );
  return (
    <TableBox label="What became of it" heading>
      {rows.length === 0 ? (
        <p className="hint">The ledger has no entry yet.</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Outcome</th>
              <th scope="col">Where</th>
              <th scope="col" className="number">
                Items
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ stage, modality, outcome, items }) => (
              <tr key={`${stage} ${modality} ${outcome}`} className={outcome === "used" ? "" : "dropped"}>
                <th scope="row">{outcomeWord(outcome)}</th>
                <td>
                  {stageWord(stage)}
                  {modality === "" ? "" : `, ${modality === "speech" ? "voice" : modality}`}
                </td>
                <td className="number">{items.toLocaleString("en")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </TableBox>
  );
}
