import { type ReactElement, useEffect, useRef, useState } from "react";

const WORDS = ["not at all", "a little", "somewhat", "well", "perfectly"] as const;

/** How well the avatar matches the person, 1 to 5; may be given again. */
export function Rating({ onRate }: { readonly onRate: (value: number) => boolean }): ReactElement {
  const [given, setGiven] = useState<number | null>(null);
  const [asking, setAsking] = useState(true);
  const [failed, setFailed] = useState(false);
  const again = useRef<HTMLButtonElement>(null);
  const first = useRef<HTMLButtonElement>(null);
  const moved = useRef(false);
  useEffect(() => {
    // The pressed button is gone: the keyboard goes on with what took its place.
    if (moved.current) (asking ? first : again).current?.focus();
    moved.current = true;
  }, [asking]);
  const rate = (value: number): void => {
    const sent = onRate(value);
    setFailed(!sent);
    if (!sent) return;
    setGiven(value);
    setAsking(false);
  };
  return (
    <section className="panel rating-strip" aria-labelledby="rating-title">
      <div className="rating-ask">
        <h2 id="rating-title">{asking ? "How well does the avatar match?" : "Thank you"}</h2>
        <p className="hint" role="status">
          {failed
            ? "Not sent: there is no connection."
            : asking || given === null
              ? "Your rating helps to judge how avatars are moved."
              : `You said: ${WORDS[given - 1]}. It is on its way to those who tune the avatar.`}
        </p>
      </div>
      {asking ? (
        <fieldset className="rating" aria-labelledby="rating-title">
          {WORDS.map((word, place) => (
            <button
              key={word}
              ref={place === 0 ? first : null}
              type="button"
              className={given !== null && place < given ? "star on" : "star"}
              aria-pressed={given === place + 1}
              aria-label={`${place + 1} of 5: ${word}`}
              onClick={() => rate(place + 1)}
            >
              <svg className="star-shape" viewBox="0 0 24 24" aria-hidden="true">
                <path d="M12 2.6l2.900 6 6.500.9-4.700 4.6 1.1 6.500L12 17.500l-5.800 3.100 1.100-6.500L2.600 9.500l6.500-.9z" />
              </svg>
            </button>
          ))}
        </fieldset>
      ) : (
        <button ref={again} type="button" className="button quiet" onClick={() => setAsking(true)}>
          Rate again
        </button>
      )}
    </section>
  );
}
