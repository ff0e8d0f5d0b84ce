import { useEffect, useRef, useState } from "react";
import { ApiProblem } from "../../analyst/api";

/** What is known of something that was asked for; while it is asked again, what was known before stays. */
export interface Answer<T> {
  readonly value: T | null;
  readonly problem: ApiProblem | null;
  readonly loading: boolean;
  readonly again: () => void;
}

/**
 * Asks when `key` changes, and anew when told to; an answer to what is no longer asked is thrown away.
 *
 * @param keep what was known under the last key stays until the next answer comes
 */
export function useAnswer<T>(
  key: string,
  ask: (signal: AbortSignal) => Promise<T>,
  { keep = false }: { readonly keep?: boolean } = {},
): Answer<T> {
  const [answered, setAnswered] = useState<Answered<T>>({ key: "", turn: -1, value: null, problem: null });
  const [turn, setTurn] = useState(0);
  const asker = useRef(ask);
  asker.current = ask;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says what is asked, the turn that it is asked again
  useEffect(() => {
    const aborter = new AbortController();
    asker.current(aborter.signal).then(
      (value) => {
        if (!aborter.signal.aborted) setAnswered({ key, turn, value, problem: null });
      },
      (error: unknown) => {
        if (aborter.signal.aborted) return;
        const problem = error instanceof ApiProblem ? error : new ApiProblem("failed", String(error));
        setAnswered((before) => ({ key, turn, value: keep ? before.value : null, problem }));
      },
    );
    return () => aborter.abort();
  }, [key, turn]);
  // Told by what was answered, not by a state that an effect sets: no picture shows the last answer as the new one's.
  const known = keep || answered.key === key;
  return {
    value: known ? answered.value : null,
    problem: known ? answered.problem : null,
    loading: answered.key !== key || answered.turn !== turn,
    again: () => setTurn((before) => before + 1),
  };
}

/** What came last, and what it was the answer to. */
interface Answered<T> {
  readonly key: string;
  readonly turn: number;
  readonly value: T | null;
  readonly problem: ApiProblem | null;
}
