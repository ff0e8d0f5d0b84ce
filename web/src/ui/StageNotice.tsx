import type { ReactElement } from "react";
import type { Activity } from "./controller";
import { StageCard } from "./StageCard";

interface StageNoticeProps {
  readonly activity: Activity;
  readonly onAsk: () => void;
  readonly onCancel: () => void;
  /** Goes back to watching the session that the address names; null: it names none. */
  readonly onWatch: (() => void) | null;
}

/** What the stage says while there is no session. */
export function StageNotice({ activity, onAsk, onCancel, onWatch }: StageNoticeProps): ReactElement {
  const own = (
    <button type="button" className="button primary" onClick={onAsk}>
      Use my camera
    </button>
  );
  const watch = onWatch !== null && (
    <button type="button" className="button quiet" onClick={onWatch}>
      Watch the session
    </button>
  );
  switch (activity.kind) {
    case "starting":
      return (
        <StageCard
          tone="busy"
          title="Starting"
          text="The browser may ask whether this page may use your devices."
        >
          <button type="button" className="button quiet" onClick={onCancel}>
            Cancel
          </button>
        </StageCard>
      );
    case "failed":
      return (
        <StageCard tone="error" title="It did not start" text={activity.sentence}>
          {own}
          {watch}
        </StageCard>
      );
    case "ended":
      return (
        <StageCard tone="plain" title="All off" text={activity.sentence}>
          {own}
          {watch}
        </StageCard>
      );
    default:
      return (
        <StageCard
          tone="plain"
          title="An avatar that feels along"
          text="It follows a face and a voice as they are. Nothing is on until you agree."
        >
          {own}
          {watch}
        </StageCard>
      );
  }
}
