import type { ReactElement, ReactNode } from "react";

/** How the stage puts something: only `error` interrupts a screen reader. */
export type Tone = "plain" | "busy" | "warn" | "error";

const DOTS: Readonly<Record<Tone, string | null>> = {
  plain: null,
  busy: "dot busy",
  warn: "dot warn",
  error: "dot bad",
};

interface StageCardProps {
  readonly tone: Tone;
  readonly title: string;
  readonly text: string;
  /** Buttons. */
  readonly children?: ReactNode;
}

/** What the stage says where the avatar has nothing to show, and what can be done about it. */
export function StageCard({ tone, title, text, children }: StageCardProps): ReactElement {
  const dot = DOTS[tone];
  return (
    <div className={`card ${tone}`} data-testid="card" data-tone={tone}>
      <div className="card-text" role={tone === "error" ? "alert" : "status"}>
        <h2>
          {dot !== null && <span className={dot} aria-hidden="true" />}
          {title}
        </h2>
        <p className={tone === "error" ? "caption-note error" : "caption-note"}>{text}</p>
      </div>
      {children !== undefined && <div className="actions">{children}</div>}
    </div>
  );
}
