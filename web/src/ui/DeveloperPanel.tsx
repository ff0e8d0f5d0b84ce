import { type ReactElement, useEffect, useState } from "react";
import { askVariant, type Variant } from "./developer";

const RETRY_MS = 3_000;

interface DeveloperPanelProps {
  readonly sessionId: string;
  readonly token: string;
}

/** The session's id and the variant that moves its avatar: kept from others, for it would colour their ratings. */
export function DeveloperPanel({ sessionId, token }: DeveloperPanelProps): ReactElement {
  const [variant, setVariant] = useState<Variant | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      const found = await askVariant(sessionId, token, abort.signal);
      if (abort.signal.aborted) return;
      if (found === null) timer = setTimeout(() => void ask(), RETRY_MS);
      else setVariant(found);
    };
    setVariant(null);
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [sessionId, token]);
  const rows: readonly (readonly [string, string])[] = [
    ["Mapping", variant?.mapping ?? "…"],
    ["Smoothing", variant?.smoothing ?? "…"],
    ["Experiment", variant === null ? "…" : variant.experiment || "none"],
    ["Variant", variant === null ? "…" : variant.variant || "none"],
    ["Configuration", variant?.configVersion ?? "…"],
    ["Session", sessionId],
  ];
  return (
    <section className="panel" aria-labelledby="developer-title" data-testid="developer">
      <h2 id="developer-title">For developers</h2>
      <dl className="figures two">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
