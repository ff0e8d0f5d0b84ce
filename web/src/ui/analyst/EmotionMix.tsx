import type { ReactElement } from "react";
import { EMOTIONS, type Emotion } from "../../protocol/vocabulary";
import { emotionColor, emotionWord } from "../emotionColors";

interface EmotionMixProps {
  readonly emotions: Readonly<Record<Emotion, number>> | null;
  readonly top: Emotion | null;
}

/** A session's mean scores as one bar, and the word of the highest. */
export function EmotionMix({ emotions, top }: EmotionMixProps): ReactElement {
  if (emotions === null || top === null) return <span className="hint">no frames yet</span>;
  const sum = EMOTIONS.reduce((all, name) => all + emotions[name], 0) || 1;
  return (
    <span className="mix">
      <span className="mix-bar" aria-hidden="true">
        {EMOTIONS.map((name) => (
          <i
            key={name}
            style={{ width: `${(100 * emotions[name]) / sum}%`, background: emotionColor(name) }}
          />
        ))}
      </span>
      <span className="mix-word">
        {emotionWord[top]} <small>{Math.round(100 * emotions[top])}</small>
      </span>
    </span>
  );
}
