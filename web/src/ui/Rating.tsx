import { type ReactElement, useState } from "react";

const WORDS = ["not at all", "a little", "somewhat", "well", "perfectly"] as const;

/** How well the avatar matches the person, 1 to 5; may be given again. */
export function Rating({ onRate }: { readonly onRate: (value: number) => boolean }): ReactElement {
  const [given, setGiven] = useState<number | null>(null);
  const [failed, setFailed] = useState(false);
  const rate = (value: number): void => {
    const sent = onRate(value);
    setFailed(!sent);
    if (sent) setGiven(value);
  };
  return (
    <section className="panel" aria-labelledby="rating-title">
      <h2 id="rating-title">How well does the avatar match?</h2>
      <fieldset className="rating" aria-labelledby="rating-title">
        {WORDS.map((word, place) => (
          <button
            key={word}
            type="button"
            className={given !== null && place < given ? "star on" : "star"}
            aria-pressed={given === place + 1}
            aria-label={`${place + 1} of 5: ${word}`}
            onClick={() => rate(place + 1)}
          >
            <svg className="star-shape" viewBox="0 0 24 24" aria-hidden="true">
              <path d="M12 2.6l2.9 6 6.500.9-4.700 4.600 1.100 6.500L12 17.500l-5.800 3.100 1.100-6.500L2.600 9.500l6.500-.9z" />
            </svg>
          </button>
        ))}
      </fieldset>
      <p className="hint" role="status">
        {failed
          ? "Not sent: there is no connection."
          : given === null
            ? "Your rating helps to judge how avatars are moved."
            : `Thank you: ${WORDS[given - 1]}.`}
      </p>
    </section>
  );
}
