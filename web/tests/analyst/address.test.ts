import { describe, expect, it } from "vitest";
import { takeToken } from "../../src/analyst/access";
import { type Route, readRoute, writeRoute } from "../../src/analyst/route";

describe("the place on the page", () => {
  it.each<Route>([
    { at: "sessions" },
    { at: "trends" },
    { at: "drift" },
    { at: "session", sessionId: "5fe/ceb#66", sequence: null },
    { at: "session", sessionId: "s1", sequence: 104 },
  ])("is written and read again: %o", (route) => {
    expect(readRoute(writeRoute(route))).toEqual(route);
  });

  it.each(["", "#", "#nonsense", "#/session", "#/session/", "#/session/%E0%A4%A"])(
    "is the start where %s is not understood",
    (hash) => {
      expect(readRoute(hash)).toEqual({ at: "sessions" });
    },
  );

  it("leaves out a tick that is none", () => {
    expect(readRoute("#/session/s1/-3")).toEqual({ at: "session", sessionId: "s1", sequence: null });
  });
});

describe("the token", () => {
  function place(href: string) {
    const kept = new Map<string, string>();
    const replaced: string[] = [];
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
      removeItem: (key: string) => void kept.delete(key),
    };
    return { href, storage, replaced, replace: (to: string) => void replaced.push(to) };
  }

  it("is taken out of the address and kept for the tab", () => {
    const first = place("http://page/analytics#token=ey.J.x");
    expect(takeToken(first)).toBe("ey.J.x");
    expect(first.replaced).toEqual(["http://page/analytics#/sessions"]);
    expect(takeToken({ ...first, href: "http://page/analytics#/trends" })).toBe("ey.J.x");
  });

  it("of a newer address replaces the one that was kept", () => {
    const first = place("http://page/analytics#token=old");
    takeToken(first);
    expect(takeToken({ ...first, href: "http://page/analytics#token=new" })).toBe("new");
  });

  it.each(["http://page/analytics", "http://page/analytics#token=", "http://page/analytics?token=x"])(
    "is not in %s",
    (href) => {
      const here = place(href);
      expect(takeToken(here)).toBeNull();
      expect(here.replaced).toEqual([]);
    },
  );
});
