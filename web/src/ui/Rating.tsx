import { type ReactElement, type RefObject, useEffect, useRef, useState } from "react";
import { EMOTIONS, type Emotion } from "../protocol/vocabulary";
import { emotionWord } from "./emotionColors";

const WORDS = ["not at all", "a little", "somewhat", "well", "perfectly"] as const;

/** What is asked now; `done`: nothing. */
type Step = "rating" | "feeling" | "done";

interface RatingProps {
  readonly onRate: (value: number) => boolean;
  /** Takes what the person feels; null: who looks on is not who is shown, and is not asked. */
  readonly onTell: ((felt: Emotion) => boolean) | null;
}

/**
 * How well the avatar matches the person, 1 to 5; then, of the person shown, what they feel. Which emotion was read is
 * neither named nor offered first: the answer is to judge it.
 */
export function Rating({ onRate, onTell }: RatingProps): ReactElement {
  const [step, setStep] = useState<Step>("rating");
  const [given, setGiven] = useState<number | null>(null);
  const [felt, setFelt] = useState<Emotion | null>(null);
  const [failed, setFailed] = useState(false);
  const first = useRef<HTMLButtonElement>(null);
  const moved = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it follows the step, and reads nothing of it
  useEffect(() => {
    // The pressed button is gone: the keyboard goes on with what took its place.
    if (moved.current) first.current?.focus();
    moved.current = true;
  }, [step]);
  const go = (sent: boolean, next: Step): boolean => {
    setFailed(!sent);
    if (sent) setStep(next);
    return sent;
  };
  const rate = (value: number): void => {
    if (go(onRate(value), onTell === null ? "done" : "feeling")) setGiven(value);
  };
  const tell = (emotion: Emotion): void => {
    if (go(onTell?.(emotion) ?? false, "done")) setFelt(emotion);
  };
  const again = (): void => {
    setFelt(null);
    setStep("rating");
  };
  return (
    <section className="panel rating-strip" aria-labelledby="rating-title">
      <div className="rating-ask">
        <h2 id="rating-title">{TITLES[step]}</h2>
        <p className="hint" role="status">
          {failed ? "Not sent: there is no connection." : hintOf(step, given, felt)}
        </p>
      </div>
      {step === "rating" && <Stars given={given} first={first} onRate={rate} />}
      {step === "feeling" && <Feelings first={first} onTell={tell} onSkip={() => setStep("done")} />}
      {step === "done" && (
        <button ref={first} type="button" className="button quiet" onClick={again}>
          Rate again
        </button>
      )}
    </section>
  );
}

const TITLES: Readonly<Record<Step, string>> = {
  rating: "How well does the avatar match?",
  feeling: "And what do you feel?",
  done: "Thank you",
};

/** What is said below the title. */
function hintOf(step: Step, given: number | null, felt: Emotion | null): string {
  if (step === "rating") return "Your rating helps to judge how avatars are moved.";
  if (step === "feeling") return "If you like to say it: it shows how often emotions are read wrongly.";
  const rated = given === null ? "" : (WORDS[given - 1] ?? "");
  const said = felt === null ? rated : `${rated}, and you feel ${emotionWord[felt].toLowerCase()}`;
  return `You said: ${said}. It is on its way to those who tune the avatar.`;
}

interface StarsProps {
  readonly given: number | null;
  readonly first: RefObject<HTMLButtonElement | null>;
  readonly onRate: (value: number) => void;
}

function Stars({ given, first, onRate }: StarsProps): ReactElement {
  return (
    <fieldset className="rating" aria-labelledby="rating-title">
      {WORDS.map((word, place) => (
        <button
          key={word}
          ref={place === 0 ? first : null}
          type="button"
          className={given !== null && place < given ? "star on" : "star"}
          aria-pressed={given === place + 1}
          aria-label={`${place + 1} of 5: ${word}`}
          onClick={() => onRate(place + 1)}
        >
          <svg className="star-shape" viewBox="0 0 24 24" aria-hidden="true">
            <path d="M12 2.6l2.900 6 6.500.9-4.700 4.6 1.1 6.500L12 17.500l-5.800 3.100 1.100-6.500L2.600 9.500l6.500-.9z" />
          </svg>
        </button>
      ))}
    </fieldset>
  );
}

interface FeelingsProps {
  readonly first: RefObject<HTMLButtonElement | null>;
  readonly onTell: (felt: Emotion) => void;
  readonly onSkip: () => void;
}

function Feelings({ first, onTell, onSkip }: FeelingsProps): ReactElement {
  return (
    <fieldset className="feelings" aria-labelledby="rating-title">
      {EMOTIONS.map((emotion, place) => (
        <button
          key={emotion}
          ref={place === 0 ? first : null}
          type="button"
          className="feeling"
          onClick={() => onTell(emotion)}
        >
          {emotionWord[emotion]}
        </button>
      ))}
      <button type="button" className="feeling skip" onClick={onSkip}>
        Not now
      </button>
    </fieldset>
  );
}
