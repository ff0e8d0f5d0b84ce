/** Other ways to fuse a session. Pure. */

export const MAPPINGS = ["blend", "direct_au", "emotion_style"] as const;
export const SMOOTHINGS = ["spring", "ema", "one_euro"] as const;
export const AS_IT_WAS = "As it was";

/** What differs from how the session was fused; null: as it was. */
export interface Variant {
  readonly mapping: string | null;
  readonly smoothing: string | null;
  readonly parameters: Readonly<Record<string, number>>;
}

export const RECORDED: Variant = { mapping: null, smoothing: null, parameters: {} };

/** Whether nothing differs: the recorded frames are what is meant. */
export const isRecorded = ({ mapping, smoothing, parameters }: Variant): boolean =>
  mapping === null && smoothing === null && Object.keys(parameters).length === 0;

/** A mapping to compare with. */
export const otherThan = (mapping: string): string =>
  MAPPINGS.find((each) => each !== mapping && each !== "blend") ?? "blend";

/** A variant in a few words. */
export function variantWord(variant: Variant): string {
  if (isRecorded(variant)) return AS_IT_WAS;
  return [variant.mapping, variant.smoothing, writeParameters(variant.parameters)]
    .filter(Boolean)
    .join(" · ");
}

export const writeParameters = (parameters: Variant["parameters"]): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ");

/** Reads `name=value, name=value`; `problem` says what cannot be read. */
export function readParameters(text: string): {
  readonly parameters: Variant["parameters"];
  readonly problem: string | null;
} {
  const parameters: Record<string, number> = {};
  for (const part of text.split(/[,\n;]+/)) {
    if (part.trim() === "") continue;
    const [, name, value] = /^\s*([a-z0-9_]+)\s*=\s*(-?[0-9.]+(?:e-?[0-9]+)?)\s*$/i.exec(part) ?? [];
    if (name === undefined || !Number.isFinite(Number(value)))
      return { parameters: {}, problem: `“${part.trim()}” is not name=number` };
    parameters[name] = Number(value);
  }
  return { parameters, problem: null };
}
