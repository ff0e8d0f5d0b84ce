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
  const [state, setState] = useState<Omit<Answer<T>, "again">>(ASKING);
  const [turn, setTurn] = useState(0);
  const asker = useRef(ask);
  asker.current = ask;
  const kept = useRef(keep);
  kept.current = keep;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key says what is asked, the turn that it is asked again
  useEffect(() => {
    const aborter = new AbortController();
    setState((before) => (kept.current || turn > 0 ? { ...before, loading: true } : ASKING));
    asker.current(aborter.signal).then(
      (value) => {
        if (!aborter.signal.aborted) setState({ value, problem: null, loading: false });
      },
      (error: unknown) => {
        if (aborter.signal.aborted) return;
        const problem = error instanceof ApiProblem ? error : new ApiProblem("failed", String(error));
        setState((before) => ({ value: kept.current ? before.value : null, problem, loading: false }));
      },
    );
    return () => aborter.abort();
  }, [key, turn]);
  return { ...state, again: () => setTurn((before) => before + 1) };
}

const ASKING = { value: null, problem: null, loading: true } as const;
