import type { ReactElement, ReactNode } from "react";

interface TableBoxProps {
  readonly label: string;
  /** A heading that is shown; else the label is only read aloud. */
  readonly heading?: boolean;
  readonly children: ReactNode;
}

/** A card for a table, which scrolls to the side where it is too wide: by keyboard, too. */
export function TableBox({ label, heading = false, children }: TableBoxProps): ReactElement {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
    <section className="panel table-box" aria-label={label} tabIndex={0}>
      {heading && <h2>{label}</h2>}
      {children}
    </section>
  );
}
