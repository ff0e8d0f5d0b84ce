import type { ReactElement, ReactNode } from "react";

interface WallNoticeProps {
  readonly title: string;
  readonly text: ReactNode;
  readonly alarming?: boolean;
  readonly children?: ReactNode;
}

/** What stands in the place of the tiles where there are none. */
export function WallNotice({ title, text, alarming = false, children }: WallNoticeProps): ReactElement {
  return (
    <div className="wall-notice" data-testid="wall-notice">
      <div role={alarming ? "alert" : "status"}>
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
      {children}
    </div>
  );
}
