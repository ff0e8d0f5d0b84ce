import type { ReactElement } from "react";
import type { ApiProblem } from "../../analyst/api";
import { WallNotice } from "../wall/WallNotice";

interface ProblemProps {
  readonly title: string;
  readonly problem: ApiProblem;
  readonly onAgain: () => void;
  /** What is said in place of the problem's own words. */
  readonly text?: string;
}

/** Why something cannot be shown, and what can be done about it. */
export function Problem({ title, problem, onAgain, text = problem.message }: ProblemProps): ReactElement {
  if (problem.kind === "refused") {
    return (
      <WallNotice
        alarming
        title="This page does not open any more"
        text={
          <>
            Its address is not valid here, or its time is over. <code>affectstream analyst</code> makes a new
            one.
          </>
        }
      />
    );
  }
  return (
    <WallNotice alarming title={title} text={text}>
      {problem.kind === "failed" && (
        <button type="button" className="button quiet" onClick={onAgain}>
          Try again
        </button>
      )}
    </WallNotice>
  );
}

/** A line about what is not up to date, above what is shown. */
export function Trouble({ problem }: { readonly problem: ApiProblem | null }): ReactElement {
  return (
    <div role="status" className="wall-troubles">
      {problem !== null && (
        <p className="wall-trouble">
          <span className="dot warn" aria-hidden="true" />
          This is not up to date: {problem.message}
        </p>
      )}
    </div>
  );
}

/** Stands where something will be in a moment. */
export function Loading({ what }: { readonly what: string }): ReactElement {
  return (
    <div className="analyst-loading" role="status">
      <span className="unseen">Loading {what}…</span>
      <div className="skeleton" aria-hidden="true" />
      <div className="skeleton" aria-hidden="true" />
    </div>
  );
}
