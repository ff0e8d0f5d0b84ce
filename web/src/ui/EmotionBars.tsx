import type { ReactElement } from "react";
import type { EmotionUpdate } from "../protocol/messages";
import { EMOTIONS } from "../protocol/vocabulary";
import { emotionColor, emotionWord } from "./emotionColors";

/** The seven scores as bars. */
export function EmotionBars({ emotion }: { readonly emotion: EmotionUpdate | null }): ReactElement {
  return (
    <section className="panel" aria-labelledby="emotions-title">
      <h2 id="emotions-title">Emotion</h2>
      <ul className="bars">
        {EMOTIONS.map((name, place) => {
          const score = emotion?.scores[place] ?? 0;
          const percent = Math.round(score * 100);
          const leads = emotion?.emotion === name;
          return (
            <li key={name} className={leads ? "bar leads" : "bar"}>
              <span className="bar-name">{emotionWord[name]}</span>
              {/* biome-ignore lint/a11y/useSemanticElements: a meter element cannot be coloured in every browser */}
              <span
                className="bar-track"
                role="meter"
                aria-label={emotionWord[name]}
                aria-valuemin={0}
                aria-valuemax={100}
                aria-valuenow={percent}
              >
                <span
                  className="bar-fill"
                  style={{ transform: `scaleX(${score})`, background: emotionColor(name) }}
                />
              </span>
              <span className="bar-value" aria-hidden="true">
                {emotion === null ? "–" : `${percent}`}
              </span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
