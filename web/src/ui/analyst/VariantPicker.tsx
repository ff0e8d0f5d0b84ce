import { type ReactElement, useState } from "react";
import {
  AS_IT_WAS,
  MAPPINGS,
  readParameters,
  SMOOTHINGS,
  type Variant,
  writeParameters,
} from "../../analyst/variants";
import { Choice } from "./Explorer";

interface VariantPickerProps {
  readonly name: string;
  readonly variant: Variant;
  readonly onChange: (variant: Variant) => void;
}

/** How one side is fused: as it was, or under another mapping, smoothing, or parameters. */
export function VariantPicker({ name, variant, onChange }: VariantPickerProps): ReactElement {
  const [text, setText] = useState(writeParameters(variant.parameters));
  const [complaint, setComplaint] = useState<string | null>(null);
  const take = (): void => {
    const { parameters, problem } = readParameters(text);
    setComplaint(problem);
    if (problem === null && writeParameters(parameters) !== writeParameters(variant.parameters))
      onChange({ ...variant, parameters });
  };
  return (
    <fieldset className="variant">
      <legend>{name}</legend>
      <Choice
        label="Mapping"
        value={variant.mapping ?? ""}
        options={[["", AS_IT_WAS], ...MAPPINGS.map((each) => [each, each] as const)]}
        onChange={(mapping) => onChange({ ...variant, mapping: mapping === "" ? null : mapping })}
      />
      <Choice
        label="Smoothing"
        value={variant.smoothing ?? ""}
        options={[["", AS_IT_WAS], ...SMOOTHINGS.map((each) => [each, each] as const)]}
        onChange={(smoothing) => onChange({ ...variant, smoothing: smoothing === "" ? null : smoothing })}
      />
      <form
        className="variant-parameters"
        onSubmit={(event) => {
          event.preventDefault();
          take();
        }}
      >
        <label className="field">
          Parameters
          <input
            value={text}
            placeholder="tau_face_ms=120, au12_gain=1.4"
            autoComplete="off"
            spellCheck={false}
            aria-invalid={complaint !== null}
            onChange={(event) => setText(event.target.value)}
            onBlur={take}
          />
        </label>
        {complaint !== null && (
          <p className="caption-note error" role="alert">
            {complaint}
          </p>
        )}
      </form>
    </fieldset>
  );
}
