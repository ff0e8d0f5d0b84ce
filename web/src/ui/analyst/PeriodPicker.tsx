import type { ReactElement } from "react";
import { SPANS, type Span } from "../../analyst/periods";

interface PeriodPickerProps {
  readonly label: string;
  readonly span: Span;
  readonly onChange: (span: Span) => void;
}

export function PeriodPicker({ label, span, onChange }: PeriodPickerProps): ReactElement {
  return (
    <label className="field">
      {label}
      <select value={span} onChange={(event) => onChange(event.target.value as Span)}>
        {Object.entries(SPANS).map(([key, { word }]) => (
          <option key={key} value={key}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}
