/** The session interface of the edge: consent in, addresses and a token out. */

/** What the person allows. Everything is refused until it is given. */
export interface Consent {
  readonly audio: boolean;
  readonly video: boolean;
  readonly store_raw: boolean;
}

export const NO_CONSENT: Consent = { audio: false, video: false, store_raw: false };

/** A session as the edge answers it. */
export interface Session {
  readonly sessionId: string;
  readonly token: string;
  readonly expiresAtS: number | null;
  readonly mediaUrl: string | null;
  readonly avatarUrl: string | null;
  /** Where WebRTC is offered (WHIP); null where it is not. */
  readonly whipUrl: string | null;
  readonly iceServers: readonly RTCIceServer[];
}

export interface ClientConfig {
  readonly egressUrl: string | null;
  readonly analyticsUrl: string | null;
}

/** The edge refused or could not be reached; `message` can be shown to a person. */
export class EdgeError extends Error {
  override readonly name = "EdgeError";
}

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

/** Reads the answer to `POST /v1/sessions`; throws {@link EdgeError} if it is not one. */
export function readSession(body: unknown): Session {
  const answer = (body ?? {}) as Record<string, unknown>;
  const sessionId = text(answer.session_id);
  const token = text(answer.token);
  if (sessionId === null || token === null) {
    throw new EdgeError("The server's answer has no session in it.");
  }
  return {
    sessionId,
    token,
    expiresAtS: typeof answer.expires_at_s === "number" ? answer.expires_at_s : null,
    mediaUrl: text(answer.media_url),
    avatarUrl: text(answer.avatar_url),
    whipUrl: text(answer.whip_url),
    iceServers: Array.isArray(answer.ice_servers) ? answer.ice_servers.flatMap(readIceServer) : [],
  };
}

/** One entry of an RTCConfiguration's list; what is none is left out, for a browser would refuse all of them. */
function readIceServer(given: unknown): RTCIceServer[] {
  const { urls, username, credential } = (given ?? {}) as Record<string, unknown>;
  const addresses = (Array.isArray(urls) ? urls : [urls]).filter(
    (address): address is string => typeof address === "string" && /^(stun|turn)s?:/.test(address),
  );
  if (addresses.length === 0) return [];
  if (typeof username !== "string" || typeof credential !== "string") return [{ urls: addresses }];
  return [{ urls: addresses, username, credential }];
}

/** Reads the answer to `GET /v1/client-config`. */
export function readClientConfig(body: unknown): ClientConfig {
  const answer = (body ?? {}) as Record<string, unknown>;
  return { egressUrl: text(answer.egress_url), analyticsUrl: text(answer.analytics_url) };
}

/**
 * The address of a socket: `address` (absolute, with any of http, https, ws, wss, or a path) against `base`,
 * with the token as a query parameter, since a browser cannot send an Authorization header with a socket.
 */
export function socketUrl(address: string, base: string, token: string): string {
  const url = new URL(address, base);
  url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  return url.toString();
}

/** A token that lets the page start sessions (scope `create`), from its address: `#start=…`; null: none is needed. */
export const startTokenFromAddress = (address: string): string | null =>
  new URLSearchParams(new URL(address).hash.replace(/^#\??/, "")).get("start") || null;

/** A session to watch, from the page's own address: `?session=…&token=…` in the query or after the `#`. */
export function watchFromAddress(address: string): { sessionId: string; token: string } | null {
  const url = new URL(address);
  const fragment = new URLSearchParams(url.hash.replace(/^#\??/, ""));
  const sessionId = fragment.get("session") ?? url.searchParams.get("session");
  const token = fragment.get("token") ?? url.searchParams.get("token");
  return sessionId && token ? { sessionId, token } : null;
}
