/** What the page asks of analytics. */

import { clientConfig } from "../capture/edge";
import { readTicks, type Ticks } from "./ticks";

const REFUSED = new Set([401, 403]);
const DEADLINE_MS = 60_000;
/** An hour of signals is fused again in about 40 seconds. */
const FUSING_DEADLINE_MS = 240_000;

/** `refused`: the token opens nothing here. `missing`: there is no such thing. `impossible`: it cannot be done; the sentence says why. */
export type ProblemKind = "refused" | "missing" | "impossible" | "failed";

export class ApiProblem extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, sentence: string) {
    super(sentence);
    this.kind = kind;
  }
}

type Parameters = Readonly<Record<string, string | number | boolean | null | undefined>>;

export class AnalystApi {
  readonly #token: string;
  #base: Promise<string> | null = null;

  constructor(token: string) {
    this.#token = token;
  }

  /** The answer's JSON; throws {@link ApiProblem}. */
  async json<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
    return (await this.#ask(path, parameters, {}, signal)).json() as Promise<T>;
  }

  /** A session's ticks; throws {@link ApiProblem}. */
  async ticks(sessionId: string, parameters: Parameters, signal?: AbortSignal): Promise<Ticks> {
    const path = `v1/sessions/${encodeURIComponent(sessionId)}/ticks`;
    return readTicks(await (await this.#ask(path, parameters, {}, signal)).arrayBuffer());
  }

  /** A session's ticks, fused again; throws {@link ApiProblem}. */
  async variant(sessionId: string, variant: object, signal?: AbortSignal): Promise<Ticks> {
    const path = `v1/sessions/${encodeURIComponent(sessionId)}/variant`;
    const init = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(variant),
    };
    return readTicks(await (await this.#ask(path, {}, init, signal, FUSING_DEADLINE_MS)).arrayBuffer());
  }

  async #ask(
    path: string,
    parameters: Parameters,
    init: RequestInit,
    signal?: AbortSignal,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> {
    const url = new URL(path, await this.#where());
    for (const [name, value] of Object.entries(parameters))
      if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, String(value));
    const deadline = AbortSignal.timeout(deadlineMs);
    let response: Response;
    try {
      response = await fetch(url, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${this.#token}` },
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      });
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiProblem("failed", "Analytics cannot be reached.");
    }
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  /** The service's address with a slash at its end; the page's own where the edge names none. */
  #where(): Promise<string> {
    this.#base ??= clientConfig().then(
      ({ analyticsUrl }) =>
        analyticsUrl === null ? document.baseURI : `${analyticsUrl.replace(/\/$/, "")}/`,
      (error: unknown) => {
        this.#base = null;
        throw new ApiProblem("failed", error instanceof Error ? error.message : String(error));
      },
    );
    return this.#base;
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  if (REFUSED.has(response.status))
    return new ApiProblem("refused", "This address opens nothing here any more.");
  const body: unknown = await response.json().catch(() => null);
  const detail = (body as { detail?: unknown } | null)?.detail;
  const said = typeof detail === "string" ? detail : `analytics answered ${response.status}`;
  // A parameter's name at its beginning stays as it is written.
  const begin = /^[a-z]+\b(?!_)/.test(said) ? said.charAt(0).toUpperCase() : said.charAt(0);
  const sentence = `${begin}${said.slice(1)}${/[.!?]$/.test(said) ? "" : "."}`;
  if (response.status === 404) return new ApiProblem("missing", sentence);
  return new ApiProblem(response.status === 409 ? "impossible" : "failed", sentence);
}
