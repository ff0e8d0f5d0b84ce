import type { ReactElement } from "react";
import { type Filter, type SessionState, STATES } from "../../wall/directory";
import { STATE_WORD } from "./words";

interface ToolbarProps {
  readonly filter: Filter;
  readonly counts: Readonly<Record<SessionState, number>>;
  readonly onChange: (filter: Filter) => void;
}

/** Search, and which states are shown. */
export function Toolbar({ filter, counts, onChange }: ToolbarProps): ReactElement {
  const all = STATES.reduce((sum, state) => sum + counts[state], 0);
  return (
    <search className="wall-tools">
      <fieldset className="segments">
        <legend className="unseen">State</legend>
        {([null, ...STATES] as const).map((state) => (
          <label key={state ?? "all"} className="segment">
            <input
              type="radio"
              name="state"
              checked={filter.state === state}
              onChange={() => onChange({ ...filter, state })}
            />
            <span>
              {state === null ? "All" : STATE_WORD[state]}{" "}
              <small className="segment-count">{state === null ? all : counts[state]}</small>
            </span>
          </label>
        ))}
      </fieldset>
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
          value={filter.search}
          onChange={(event) => onChange({ ...filter, search: event.target.value })}
        />
      </label>
    </search>
  );
}
