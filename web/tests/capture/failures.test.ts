import { describe, expect, it } from "vitest";
import { type Failure, type Remedy, remedy } from "../../src/capture/failures";
import { WhipError } from "../../src/capture/whip";

const offer = (status: number | null): Failure => ({ kind: "offer", error: new WhipError("no", status) });
const closed = (code: number): Failure => ({ kind: "closed", code, reason: "" });

describe("remedy", () => {
  it.each<[string, Failure, boolean, Remedy["kind"]]>([
    ["the edge ended the session", closed(4410), true, "finished"],
    ["the page ended it", closed(1000), true, "finished"],
    ["somebody else has the session", closed(4409), true, "refused"],
    ["the edge restarts", closed(1012), true, "retry"],
    ["Kafka does not answer", closed(4503), true, "retry"],
    ["the network drops everything of a first try", { kind: "unreachable" }, false, "unusable"],
    ["the network drops everything from now on", { kind: "unreachable" }, true, "unusable"],
    ["the connection broke", { kind: "lost" }, true, "retry"],
    ["the session was over when offering", offer(410), true, "finished"],
    ["the token is not valid", offer(401), false, "refused"],
    ["the token is for another session", offer(403), false, "refused"],
    ["the edge has no WebRTC", offer(404), false, "unusable"],
    ["the edge does not like the offer", offer(400), true, "unusable"],
    ["the edge is full at first", offer(503), false, "unusable"],
    ["the edge is full after a restart", offer(503), true, "retry"],
    ["the edge is away at first", offer(null), false, "unusable"],
    ["the edge is away while it restarts", offer(null), true, "retry"],
    ["a proxy says that the edge is away", offer(502), true, "retry"],
    ["the browser has no WebRTC", { kind: "offer", error: new ReferenceError("RTC") }, false, "unusable"],
  ])("when %s", (_, failure, before, kind) => {
    expect(remedy(failure, before).kind).toBe(kind);
  });
});
