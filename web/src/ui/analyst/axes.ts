/** What stands at a chart's axes. Pure. */

export type Axis =
  /** Milliseconds since the Unix epoch. */
  | { readonly kind: "clock"; readonly label: string }
  /** Seconds from a beginning on. */
  | { readonly kind: "elapsed"; readonly label: string }
  /** The numbers themselves. */
  | { readonly kind: "number"; readonly label: string }
  /** The place of a word. */
  | { readonly kind: "words"; readonly label: string; readonly words: readonly string[] };

const DAY_MS = 86_400_000;
const two = (value: number): string => String(value).padStart(2, "0");

/** Words for places on an axis that goes from `low` to `high`. */
export function axisValues(
  axis: Axis,
  places: readonly (number | null)[],
  low: number,
  high: number,
): string[] {
  switch (axis.kind) {
    case "clock":
      return places.map((at) => (at === null ? "" : clockWord(at, high - low)));
    case "elapsed":
      return places.map((at) => (at === null ? "" : elapsedWord(at, high - low)));
    case "number":
      return places.map((at) => (at === null ? "" : String(Number(at.toFixed(2)))));
    case "words":
      return places.map((at) => (at === null ? "" : (axis.words[Math.round(at)] ?? "")));
  }
}

/** An instant on this machine's clock, as exact as a stretch of `spanMs` asks for. */
export function clockWord(atMs: number, spanMs: number): string {
  const at = new Date(atMs);
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const minute = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (spanMs === 0) return `${day} ${minute}`;
  if (spanMs <= 1.5 * DAY_MS) return minute;
  return spanMs <= 3 * DAY_MS ? `${day} ${minute}` : day;
}

/** `1:02:03`, `2:03`, and with tenths where little is shown: `2:03.4`. */
export function elapsedWord(seconds: number, spanS: number): string {
  const sign = seconds < 0 ? "-" : "";
  const tenths = Math.round(Math.abs(seconds) * 10);
  const whole = Math.floor(tenths / 10);
  const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
  const head = hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  return `${sign}${head}${spanS < 20 ? `.${tenths % 10}` : ""}`;
}

/** A value with its unit; a dash where there is none. */
export function valueWord(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit === "" ? "" : ` ${unit}`}`;
}
