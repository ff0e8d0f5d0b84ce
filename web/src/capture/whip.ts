/**
 * WHIP, the publishing side (RFC 9725): an offer over HTTP, candidates that come later. What the offer opened ends with
 * the session, which the page deletes.
 */

/** The server did not take an offer. */
export class WhipError extends Error {
  override readonly name = "WhipError";
  /** Null: it could not be reached. */
  readonly status: number | null;
  /** The problem's stable word, where the answer has one. */
  readonly code: string | null;

  constructor(message: string, status: number | null, code: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export interface WhipAnswer {
  readonly sdp: string;
  /** What to PATCH; null if the server named none. */
  readonly resource: string | null;
  readonly etag: string | null;
}

export class WhipClient {
  readonly #endpoint: string;
  readonly #token: string;

  constructor(endpoint: string, token: string) {
    this.#endpoint = endpoint;
    this.#token = token;
  }

  /** Throws {@link WhipError}, or the signal's reason. */
  async offer(sdp: string, signal: AbortSignal): Promise<WhipAnswer> {
    const response = await this.#call(this.#endpoint, "POST", sdp, signal, {
      "content-type": "application/sdp",
    });
    const body = await response.text();
    if (response.status !== 201) throw refusal(response.status, body);
    const location = response.headers.get("location");
    return {
      sdp: body,
      resource: location === null ? null : new URL(location, response.url || this.#endpoint).toString(),
      etag: response.headers.get("etag"),
    };
  }

  /** Hands in candidates; a server that does not take them has its own ways, so a refusal is no error. */
  async trickle(answer: WhipAnswer, fragment: string, signal: AbortSignal): Promise<void> {
    if (answer.resource === null) return;
    await this.#call(answer.resource, "PATCH", fragment, signal, {
      "content-type": "application/trickle-ice-sdpfrag",
      ...(answer.etag === null ? {} : { "if-match": answer.etag }),
    });
  }

  async #call(
    address: string,
    method: string,
    body: string,
    signal: AbortSignal,
    headers: Record<string, string>,
  ): Promise<Response> {
    try {
      return await fetch(address, {
        method,
        body,
        signal,
        headers: { ...headers, authorization: `Bearer ${this.#token}` },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw new WhipError(`The server cannot be reached (${String(error)}).`, null);
    }
  }
}

function refusal(status: number, body: string): WhipError {
  const problem = problemOf(body);
  const said = typeof problem.detail === "string" ? `: ${problem.detail}` : "";
  const code = typeof problem.code === "string" ? problem.code : null;
  return new WhipError(`The server answered ${status}${said}.`, status, code);
}

function problemOf(body: string): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(body) ?? {}) as Record<string, unknown>;
  } catch {
    return {}; // Not every server explains itself in JSON.
  }
}

/**
 * Candidates as `application/trickle-ice-sdpfrag` (RFC 8840), for the first bundled medium of an offer, which carries
 * all of them. Pure.
 */
export function trickleFragment(offer: string, candidates: readonly string[], complete: boolean): string {
  const lines = offer.split(/\r?\n/);
  const first = (start: string): string[] => lines.filter((line) => line.startsWith(start)).slice(0, 1);
  return [
    ...first("a=group:BUNDLE"),
    ...first("m="),
    ...first("a=mid:"),
    ...first("a=ice-ufrag:"),
    ...first("a=ice-pwd:"),
    ...candidates.map((candidate) => `a=${candidate}`),
    ...(complete ? ["a=end-of-candidates"] : []),
    "",
  ].join("\r\n");
}
