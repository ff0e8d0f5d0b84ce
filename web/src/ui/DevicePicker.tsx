import type { ReactElement } from "react";
import type { DeviceOption } from "./useDevices";

interface DevicePickerProps {
  readonly label: string;
  readonly options: readonly DeviceOption[];
  /** Null: the browser's own choice. */
  readonly value: string | null;
  readonly onPick: (id: string | null) => void;
}

export function DevicePicker({ label, options, value, onPick }: DevicePickerProps): ReactElement {
  return (
    <label className="field">
      {label}
      <select value={value ?? ""} onChange={(event) => onPick(event.target.value || null)}>
        {(value === null || !options.some(({ id }) => id === value)) && (
          <option value={value ?? ""}>The browser’s choice</option>
        )}
        {options.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
