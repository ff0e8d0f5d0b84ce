import { describe, expect, it } from "vitest";
import { closeSentence, isEnd, isFinal } from "../../src/protocol/closeCodes";
import {
  EdgeError,
  NO_CONSENT,
  readSession,
  socketUrl,
  startTokenFromAddress,
  watchFromAddress,
} from "../../src/protocol/sessions";

describe("sessions", () => {
  it("takes the token to start sessions from the fragment, which is not sent", () => {
    expect(startTokenFromAddress("https://edge/#start=a.b.c")).toBe("a.b.c");
    expect(startTokenFromAddress("https://edge/?start=a.b.c")).toBeNull();
    expect(startTokenFromAddress("https://edge/#session=s&token=t")).toBeNull();
  });

  it("allows nothing by default", () => {
    expect(Object.values(NO_CONSENT)).toEqual([false, false, false]);
  });

  it("reads the edge's answer, and says so when it is none", () => {
    const session = readSession({
      session_id: "a",
      token: "t",
      expires_at_s: 9,
      media_url: "ws://h/m",
      avatar_url: null,
    });
    expect(session).toEqual({
      sessionId: "a",
      token: "t",
      expiresAtS: 9,
      mediaUrl: "ws://h/m",
      avatarUrl: null,
      whipUrl: null,
      iceServers: [],
    });
    expect(() => readSession({ session_id: "a" })).toThrow(EdgeError);
    expect(() => readSession(null)).toThrow(EdgeError);
  });

  it("hands on the ICE servers that a browser will take", () => {
    const { whipUrl, iceServers } = readSession({
      session_id: "a",
      token: "t",
      whip_url: "http://h/w",
      ice_servers: [
        { urls: "stun:s:3478" },
        { urls: ["turn:t:3478", 7, "http://no"], username: "u", credential: "c" },
        { urls: "nonsense" },
        null,
      ],
    });
    expect(whipUrl).toBe("http://h/w");
    expect(iceServers).toEqual([
      { urls: ["stun:s:3478"] },
      { urls: ["turn:t:3478"], username: "u", credential: "c" },
    ]);
  });

  it.each([
    ["v1/x", "http://h:1/", "ws://h:1/v1/x?token=a%2Fb"],
    ["https://e/v1/x", "http://h/", "wss://e/v1/x?token=a%2Fb"],
    ["ws://e:2/v1/x", "https://h/", "ws://e:2/v1/x?token=a%2Fb"],
  ])("makes a socket's address of %s on %s", (address, base, expected) => {
    expect(socketUrl(address, base, "a/b")).toBe(expected);
  });

  it.each(["http://h/?session=s&token=t", "http://h/#session=s&token=t", "http://h/#?session=s&token=t"])(
    "finds the session to watch in %s",
    (address) => {
      expect(watchFromAddress(address)).toEqual({ sessionId: "s", token: "t" });
    },
  );

  it("watches nothing without a token", () => {
    expect(watchFromAddress("http://h/?session=s")).toBeNull();
    expect(watchFromAddress("http://h/")).toBeNull();
  });
});

describe("close codes", () => {
  it("tells the end from a refusal and from a loss", () => {
    expect([isEnd(4410), isEnd(1000), isEnd(4401)]).toEqual([true, true, false]);
    expect([isFinal(4401), isFinal(1006), isFinal(1012)]).toEqual([true, false, false]);
  });

  it("gives the server's reason where the sentence leaves it open", () => {
    expect(closeSentence(4403, "the token lacks the scope 'watch'")).toMatch(
      /\(The token lacks the scope 'watch'\.\)$/,
    );
    expect(closeSentence(4401, "the token has expired")).not.toContain("(");
    expect(closeSentence(1006, "")).toBe("The connection was closed.");
  });
});
