/** What only developers see: asked of analytics with the session's own token. */

import { clientConfig } from "../capture/edge";

/** How a session's avatar is moved. */
export interface Variant {
  readonly mapping: string;
  readonly smoothing: string;
  readonly experiment: string;
  readonly variant: string;
  readonly configVersion: string;
}

/** Whether the page's address asks for the developers' panel: `?developer`. */
export const isDeveloper = (address: string): boolean => new URL(address).searchParams.has("developer");

/** Reads a session's summary; null if it says nothing of this. */
export function readVariant(body: unknown): Variant | null {
  const session = (body as { session?: Readonly<Record<string, unknown>> } | null)?.session;
  if (session === undefined || typeof session.mapping !== "string") return null;
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    mapping: session.mapping,
    smoothing: text(session.smoothing),
    experiment: text(session.experiment),
    variant: text(session.variant),
    configVersion: text(session.config_version),
  };
}

/** Null while analytics does not know the session, or cannot be reached. */
export async function askVariant(
  sessionId: string,
  token: string,
  signal: AbortSignal,
): Promise<Variant | null> {
  try {
    const { analyticsUrl } = await clientConfig();
    if (analyticsUrl === null) return null;
    const url = `${analyticsUrl.replace(/\/$/, "")}/v1/sessions/${encodeURIComponent(sessionId)}/summary`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal });
    return response.ok ? readVariant(await response.json()) : null;
  } catch {
    return null;
  }
}
