import { type ReactElement, useEffect, useState } from "react";
import type { ExplorerPage, ExplorerRow } from "../../analyst/answers";
import type { AnalystApi } from "../../analyst/api";
import { lately, type Span } from "../../analyst/periods";
import { writeRoute } from "../../analyst/route";
import { Pager } from "../wall/Pager";
import { WallNotice } from "../wall/WallNotice";
import { clockWord, elapsedWord, valueWord } from "./axes";
import { EmotionMix } from "./EmotionMix";
import { Loading, Problem, Trouble } from "./Notice";
import { PeriodPicker } from "./PeriodPicker";
import { TableBox } from "./TableBox";
import { useAnswer } from "./useAnswer";

const PAGE_ROWS = 25;
const SEARCH_MS = 250;

interface Column {
  readonly key: string;
  readonly word: string;
  /** What analytics sorts by; null: it cannot. */
  readonly sort: string | null;
  readonly numeric?: boolean;
  readonly cell: (row: ExplorerRow) => ReactElement | string;
}

const COLUMNS: readonly Column[] = [
  { key: "started", word: "Started", sort: "started", cell: (row) => clockWord(row.started_at_ms, 0) },
  {
    key: "session",
    word: "Session",
    sort: null,
    cell: ({ session_id: sessionId }) => (
      <a className="explorer-id" href={writeRoute({ at: "session", sessionId, sequence: null })}>
        {sessionId}
      </a>
    ),
  },
  {
    key: "duration",
    word: "Length",
    sort: "duration",
    numeric: true,
    cell: (row) => (row.duration_s === null ? "open" : elapsedWord(row.duration_s, 60)),
  },
  { key: "emotions", word: "Emotions", sort: null, cell: (row) => <EmotionMix {...row} /> },
  {
    key: "valence",
    word: "Valence",
    sort: "valence",
    numeric: true,
    cell: (row) => valueWord(row.valence, ""),
  },
  {
    key: "latency",
    word: "p95",
    sort: "latency",
    numeric: true,
    cell: (row) => valueWord(row.face_total_p95_ms ?? row.speech_total_p95_ms, "ms"),
  },
  {
    key: "gaps",
    word: "Gaps",
    sort: "gaps",
    numeric: true,
    cell: (row) => String(row.discontinuities),
  },
  { key: "dropped", word: "Dropped", sort: "dropped", numeric: true, cell: (row) => String(row.dropped) },
  {
    key: "rating",
    word: "Rating",
    sort: "rating",
    numeric: true,
    cell: (row) => (row.mean_rating === null ? "–" : row.mean_rating.toFixed(1)),
  },
  {
    key: "opt_outs",
    word: "Opt-outs",
    sort: "opt_outs",
    numeric: true,
    cell: (row) => String(row.opt_outs),
  },
  {
    key: "mapping",
    word: "Variant",
    sort: null,
    cell: (row) => (row.experiment === "" ? row.mapping : `${row.experiment}: ${row.variant}`),
  },
];

interface Wish {
  readonly span: Span;
  readonly search: string;
  readonly mapping: string;
  readonly experiment: string;
  readonly lasting: "" | "ended" | "open";
  readonly sort: string;
  readonly descending: boolean;
  readonly page: number;
}

const FIRST: Wish = {
  span: "month",
  search: "",
  mapping: "",
  experiment: "",
  lasting: "",
  sort: "started",
  descending: true,
  page: 0,
};
/** What was wished last: who comes back from a session finds the list as it was. */
let lastWish = FIRST;

/** All sessions: found, sorted, opened. */
export function Explorer({ api }: { readonly api: AnalystApi }): ReactElement {
  const [wish, setWish] = useState(lastWish);
  const [words, setWords] = useState(wish.search);
  lastWish = wish;
  useEffect(() => {
    if (words === wish.search) return;
    const timer = setTimeout(() => setWish((now) => ({ ...now, search: words, page: 0 })), SEARCH_MS);
    return () => clearTimeout(timer);
  }, [words, wish.search]);
  const { span, page, ...rest } = wish;
  const answer = useAnswer<ExplorerPage>(
    JSON.stringify(wish),
    (signal) => {
      const { fromMs, toMs } = lately(span, Date.now());
      const place = { offset: page * PAGE_ROWS, limit: PAGE_ROWS };
      // A session that starts this minute is one of them.
      return api.json("v1/explorer", { from_ms: fromMs, to_ms: toMs + 3_600_000, ...rest, ...place }, signal);
    },
    { keep: true },
  );
  const change = (part: Partial<Wish>): void => setWish((now) => ({ ...now, page: 0, ...part }));
  const { value, problem } = answer;
  if (value === null)
    return problem === null ? (
      <Loading what="sessions" />
    ) : (
      <Problem title="The sessions cannot be shown" problem={problem} onAgain={answer.again} />
    );
  const narrowed = { ...FIRST, span: wish.span, sort: wish.sort, descending: wish.descending, page };
  return (
    <>
      <search className="analyst-bar">
        <label className="wall-search">
          <span className="unseen">Search sessions by id, mapping, experiment or variant</span>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="M10.500 4a6.500 6.500 0 100 13 6.500 6.500 0 000-13zM15.500 15.500L20 20" />
          </svg>
          <input
            type="search"
            placeholder="Id, mapping, variant"
            autoComplete="off"
            spellCheck={false}
            value={words}
            onChange={(event) => setWords(event.target.value)}
          />
        </label>
        <PeriodPicker label="Period" span={wish.span} onChange={(chosen) => change({ span: chosen })} />
        <Choice
          label="State"
          value={wish.lasting}
          options={[
            ["", "All"],
            ["ended", "Ended"],
            ["open", "Not ended"],
          ]}
          onChange={(lasting) => change({ lasting: lasting as Wish["lasting"] })}
        />
        <Choice
          label="Mapping"
          value={wish.mapping}
          options={[["", "All"], ...value.mappings.map((name) => [name, name] as const)]}
          onChange={(mapping) => change({ mapping })}
        />
        <Choice
          label="Experiment"
          value={wish.experiment}
          options={[["", "All"], ...value.experiments.map((name) => [name, name] as const)]}
          onChange={(experiment) => change({ experiment })}
        />
      </search>
      <Trouble problem={problem} />
      {value.rows.length === 0 ? (
        <Nothing
          narrowed={JSON.stringify(narrowed) !== JSON.stringify(wish)}
          onAll={() => {
            setWords("");
            setWish({ ...narrowed, page: 0 });
          }}
        />
      ) : (
        <>
          <Table rows={value.rows} wish={wish} onSort={change} busy={answer.loading} />
          <div className="analyst-foot">
            <p className="wall-count" role="status">
              {value.total === 1 ? "1 session" : `${value.total} sessions`}
            </p>
            <Pager
              page={page}
              pages={Math.ceil(value.total / PAGE_ROWS)}
              onPage={(next) => change({ page: next })}
            />
          </div>
        </>
      )}
    </>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, word: string])[];
  readonly onChange: (value: string) => void;
}

export function Choice({ label, value, options, onChange }: ChoiceProps): ReactElement {
  return (
    <label className="field">
      {label}
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map(([key, word]) => (
          <option key={key} value={key}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

function Nothing({
  narrowed,
  onAll,
}: {
  readonly narrowed: boolean;
  readonly onAll: () => void;
}): ReactElement {
  if (!narrowed) {
    return (
      <WallNotice
        title="No session in this period"
        text="Sessions appear here a second or two after they start. A longer period may hold some."
      />
    );
  }
  return (
    <WallNotice title="No session matches" text="There may be others: change the words or the choices.">
      <button type="button" className="button quiet" onClick={onAll}>
        Show all of the period
      </button>
    </WallNotice>
  );
}

interface TableProps {
  readonly rows: readonly ExplorerRow[];
  readonly wish: Wish;
  readonly busy: boolean;
  readonly onSort: (part: Partial<Wish>) => void;
}

function Table({ rows, wish, busy, onSort }: TableProps): ReactElement {
  return (
    <TableBox label="Sessions">
      <table className="table" aria-busy={busy} data-testid="explorer">
        <thead>
          <tr>
            {COLUMNS.map(({ key, word, sort, numeric }) => {
              const by = sort !== null && sort === wish.sort;
              const direction = wish.descending ? "descending" : "ascending";
              return (
                <th
                  key={key}
                  scope="col"
                  className={numeric ? "number" : ""}
                  aria-sort={by ? direction : undefined}
                >
                  {sort === null ? (
                    word
                  ) : (
                    <button
                      type="button"
                      className="table-sort"
                      onClick={() => onSort({ sort, descending: by ? !wish.descending : true })}
                    >
                      {word}
                      <span aria-hidden="true">{by ? (wish.descending ? " ↓" : " ↑") : ""}</span>
                    </button>
                  )}
                </th>
              );
            })}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.session_id} data-testid="session-row">
              {COLUMNS.map(({ key, numeric, cell }) => (
                <td key={key} className={numeric ? "number" : ""}>
                  {cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableBox>
  );
}
