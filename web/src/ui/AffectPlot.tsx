import { type ReactElement, useRef } from "react";
import type { EmotionUpdate } from "../protocol/messages";
import { emotionColor } from "./emotionColors";

const TRAIL = 24;
const HALF = 50;

/** Valence across, arousal up, with the last few seconds as a trail. */
export function AffectPlot({ emotion }: { readonly emotion: EmotionUpdate | null }): ReactElement {
  const trail = useRef<EmotionUpdate[]>([]);
  const newest = trail.current[trail.current.length - 1];
  if (emotion === null) trail.current = [];
  else if (newest !== emotion) trail.current = [...trail.current, emotion].slice(-TRAIL);
  const signed = (value: number): string => `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`;
  const label =
    emotion === null
      ? "Valence and arousal: nothing yet"
      : `Valence ${signed(emotion.valence)}, arousal ${signed(emotion.arousal)}`;
  return (
    <section className="panel" aria-labelledby="affect-title">
      <h2 id="affect-title">Valence and arousal</h2>
      <div className="affect">
        <svg viewBox="-58 -58 116 116" role="img" aria-label={label}>
          <circle r={HALF} className="affect-disc" />
          <circle r={HALF / 2} className="affect-ring" />
          <path d={`M${-HALF} 0H${HALF}M0 ${-HALF}V${HALF}`} className="affect-axis" />
          {trail.current.slice(0, -1).map((past, place) => (
            <circle
              key={past.sequence}
              cx={past.valence * HALF}
              cy={-past.arousal * HALF}
              r={1 + (2 * place) / TRAIL}
              fill="currentColor"
              opacity={(0.5 * place) / TRAIL}
            />
          ))}
          {emotion !== null && (
            <circle
              className="affect-dot"
              cx={emotion.valence * HALF}
              cy={-emotion.arousal * HALF}
              r={5.5}
              style={{ fill: emotionColor(emotion.emotion) }}
            />
          )}
        </svg>
        <dl className="affect-values">
          <div>
            <dt>Valence</dt>
            <dd>{emotion === null ? "–" : signed(emotion.valence)}</dd>
            <dd className="hint">unpleasant to pleasant</dd>
          </div>
          <div>
            <dt>Arousal</dt>
            <dd>{emotion === null ? "–" : signed(emotion.arousal)}</dd>
            <dd className="hint">calm to excited</dd>
          </div>
        </dl>
      </div>
    </section>
  );
}
