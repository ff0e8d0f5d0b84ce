/** The edge's HTTP interface, same origin as the page. */

import {
  type ClientConfig,
  type Consent,
  EdgeError,
  readClientConfig,
  readSession,
  type Session,
  startTokenFromAddress,
} from "../protocol/sessions";

async function answer(response: Response): Promise<unknown> {
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) {
    const detail = (body as { detail?: unknown } | null)?.detail;
    const said = typeof detail === "string" ? `: ${detail}` : "";
    throw new EdgeError(`The server answered ${response.status}${said}.`);
  }
  return body;
}

async function call(path: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(path, document.baseURI), init);
  } catch {
    throw new EdgeError("The server cannot be reached. Is it running?");
  }
}

/** Where the other services are; throws {@link EdgeError}. */
export async function clientConfig(): Promise<ClientConfig> {
  return readClientConfig(await answer(await call("v1/client-config")));
}

/**
 * Opens a session with exactly these consents; throws {@link EdgeError}.
 *
 * @param onDevice faces and voices are analysed in the page: the edge is to take features of them only
 */
export async function openSession(consent: Consent, onDevice: boolean): Promise<Session> {
  const analysed = { face: onDevice, speech: onDevice };
  const body = JSON.stringify({ consent, on_device: analysed, timeline: "live" });
  const token = startTokenFromAddress(window.location.href);
  const headers = {
    "content-type": "application/json",
    ...(token === null ? {} : { authorization: `Bearer ${token}` }),
  };
  return readSession(await answer(await call("v1/sessions", { method: "POST", headers, body })));
}

/** Ends a session. Works while the page is being closed; an unreachable server ends it by itself. */
export async function endSession(session: Session): Promise<void> {
  await call(`v1/sessions/${encodeURIComponent(session.sessionId)}`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${session.token}` },
    keepalive: true,
  }).catch(() => undefined);
}
