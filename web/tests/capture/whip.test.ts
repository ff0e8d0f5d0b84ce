import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { trickleFragment, WhipClient, WhipError } from "../../src/capture/whip";

const OFFER = [
  "v=0",
  "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111",
  "a=ice-ufrag:abcd",
  "a=ice-pwd:secret",
  "a=mid:0",
  "m=video 9 UDP/TLS/RTP/SAVPF 96",
  "a=ice-ufrag:abcd",
  "a=mid:1",
  "",
].join("\r\n");

let stop = (): void => undefined;
afterEach(() => stop());

interface Request {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A WHIP server that answers as told, and what it was asked. */
async function serve(answer: (response: ServerResponse) => void): Promise<{ url: string; asked: Request[] }> {
  const asked: Request[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    asked.push({ method: request.method, path: request.url, headers: request.headers, body });
    answer(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/sessions/s/whip`, asked };
}

const never = new AbortController().signal;

describe("WhipClient", () => {
  it("offers with the token, and finds the resource beside the endpoint", async () => {
    const { url, asked } = await serve((response) => {
      response
        .writeHead(201, {
          location: "/v1/sessions/s/whip/c1",
          etag: '"e"',
          "content-type": "application/sdp",
        })
        .end("answer");
    });
    const answer = await new WhipClient(url, "t").offer(OFFER, never);
    expect(answer).toEqual({ sdp: "answer", resource: new URL("whip/c1", url).toString(), etag: '"e"' });
    expect(asked[0]).toMatchObject({ method: "POST", path: "/v1/sessions/s/whip", body: OFFER });
    expect(asked[0]?.headers).toMatchObject({ authorization: "Bearer t", "content-type": "application/sdp" });
  });

  it("hands in candidates for the version that it was answered", async () => {
    const { url, asked } = await serve((response) => response.writeHead(204).end());
    const answer = { sdp: "", resource: `${url}/c1`, etag: '"e"' };
    await new WhipClient(url, "t").trickle(answer, "a=candidate:1", never);
    expect(asked[0]).toMatchObject({
      method: "PATCH",
      path: "/v1/sessions/s/whip/c1",
      body: "a=candidate:1",
    });
    expect(asked[0]?.headers).toMatchObject({
      "content-type": "application/trickle-ice-sdpfrag",
      "if-match": '"e"',
    });
  });

  it("says why an offer was not taken", async () => {
    const { url } = await serve((response) =>
      response.writeHead(410).end(JSON.stringify({ code: "session_ended", detail: "it is over" })),
    );
    const refused = await new WhipClient(url, "t").offer(OFFER, never).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(WhipError);
    expect(refused).toMatchObject({ status: 410, code: "session_ended" });
    expect(String(refused)).toContain("it is over");
  });

  it.each([["not JSON"], ["null"], ["7"]])("takes an error that says %j", async (body) => {
    const { url } = await serve((response) => response.writeHead(502).end(body));
    await expect(new WhipClient(url, "t").offer(OFFER, never)).rejects.toMatchObject({
      status: 502,
      code: null,
    });
  });

  it("says that nobody answers, and nothing when the offer was withdrawn", async () => {
    const { url } = await serve((response) => response.end());
    stop();
    await expect(new WhipClient(url, "t").offer(OFFER, never)).rejects.toMatchObject({ status: null });
    const withdrawn = AbortSignal.abort(new Error("withdrawn"));
    await expect(new WhipClient(url, "t").offer(OFFER, withdrawn)).rejects.toThrow("withdrawn");
  });
});

describe("trickleFragment", () => {
  it("names the bundle's first medium, its credentials and the candidates", () => {
    expect(trickleFragment(OFFER, ["candidate:1 1 udp 1 192.0.2.1 9 typ host"], true).split("\r\n")).toEqual([
      "a=group:BUNDLE 0 1",
      "m=audio 9 UDP/TLS/RTP/SAVPF 111",
      "a=mid:0",
      "a=ice-ufrag:abcd",
      "a=ice-pwd:secret",
      "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
      "a=end-of-candidates",
      "",
    ]);
  });
});
