import { describe, expect, it } from "vitest";
import { toldWord } from "../../src/ui/analyst/words";
import { BLANK, isUsable, requestOf, uses } from "../../src/ui/consentForm";
import { isDeveloper, readVariant } from "../../src/ui/developer";
import { lossPercent, spanWord } from "../../src/ui/figures";
import { sayingOf } from "../../src/ui/linkCard";
import { optionsOf } from "../../src/ui/useDevices";
import { ageWord, columnsFor, reasonWord, shortId } from "../../src/ui/wall/words";
import { tokenFromAddress } from "../../src/wall/observation";

describe("the consent form", () => {
  it("allows nothing until the person does", () => {
    expect(requestOf(BLANK).consent).toEqual({ video: false, audio: false, store_raw: false });
    expect(isUsable(BLANK)).toBe(false);
    expect(isUsable({ ...BLANK, storeRaw: true })).toBe(false);
    expect(isUsable({ ...BLANK, audio: true })).toBe(true);
  });

  it("keeps nothing that is not sent", () => {
    const request = requestOf({ ...BLANK, video: true, storeRaw: true, onDevice: true });
    expect(request.consent).toEqual({ video: true, audio: false, store_raw: false });
    expect(request.onDevice).toBe(true);
  });

  it("names no device that is not allowed", () => {
    const request = requestOf({ ...BLANK, audio: true, cameraId: "c", microphoneId: "m" });
    expect([request.cameraId, request.microphoneId]).toEqual([null, "m"]);
  });

  it("says of the device that nothing is sent, and of the server that it is", () => {
    expect(Object.values(uses(true)).join()).not.toContain("sent");
    expect(Object.values(uses(false)).every((text) => text.includes("sent to the server"))).toBe(true);
  });
});

describe("pickers", () => {
  it("offer only devices that the browser names", () => {
    const device = (kind: string, deviceId: string, label: string): MediaDeviceInfo =>
      ({ kind, deviceId, label, groupId: "" }) as MediaDeviceInfo;
    const found = optionsOf([
      device("videoinput", "1", "Front"),
      device("videoinput", "", ""),
      device("audioinput", "2", "Built-in"),
      device("audiooutput", "3", "Speaker"),
    ]);
    expect(found).toEqual({
      cameras: [{ id: "1", name: "Front" }],
      microphones: [{ id: "2", name: "Built-in" }],
    });
  });
});

describe("what the page says of a connection", () => {
  it("alarms only where nothing will come", () => {
    expect(sayingOf({ state: "refused", detail: "No." })).toMatchObject({ tone: "error", text: "No." });
    expect(sayingOf({ state: "stalled" })).toMatchObject({ tone: "warn" });
    expect(sayingOf({ state: "reconnecting", detail: "Gone." }).text).toBe("Gone. Trying again…");
    expect(sayingOf({ state: "finished" }).tone).toBe("plain");
  });
});

describe("developers", () => {
  it("ask for it in the address", () => {
    expect(isDeveloper("http://a/?developer#x")).toBe(true);
    expect(isDeveloper("http://a/#developer")).toBe(false);
  });

  it("learn the variant from a summary", () => {
    const session = {
      mapping: "blend",
      smoothing: "ema",
      variant: "b",
      experiment: "e",
      config_version: "v",
    };
    expect(readVariant({ session })).toEqual({
      mapping: "blend",
      smoothing: "ema",
      variant: "b",
      experiment: "e",
      configVersion: "v",
    });
    expect(readVariant({})).toBeNull();
    expect(readVariant(null)).toBeNull();
  });
});

describe("what clients told", () => {
  it.each([
    ["rating", 4, null, "Rated 4 of 5"],
    ["rating", 4, "happy", "Rated 4 of 5, felt happy"],
    ["rating", null, "fear", "Said: felt afraid"],
    ["opt_out", null, null, "Opted out"],
  ])("%s, %s, %s", (kind, value, felt, said) => {
    expect(toldWord(kind, value, felt)).toBe(said);
  });
});

describe("figures", () => {
  it("share of loss", () => {
    expect(lossPercent({ lost: 0, received: 0 })).toBe(0);
    expect(lossPercent({ lost: 1, received: 99 })).toBe(1);
  });

  it.each([
    [-5, "0 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [3_600_000, "1 h"],
    [7_500_000, "2 h 5 min"],
  ])("a stretch of %i ms is %s", (ms, word) => {
    expect(spanWord(ms)).toBe(word);
  });
});

describe("the wall's words", () => {
  it("names, ages and reasons", () => {
    expect(shortId("0123456789abcdef")).toBe("…89abcdef");
    expect(shortId("short")).toBe("short");
    expect(reasonWord("idle")).toBe("nobody was connected any more");
    expect(reasonWord("")).toBe("not known");
    expect(ageWord({ sessionId: "a", state: "live", listed: null }, 0)).toBe("");
  });

  it.each([
    [1, 1],
    [4, 2],
    [9, 3],
    [16, 4],
  ])("%i tiles stand in %i columns", (tiles, columns) => {
    expect(columnsFor(tiles)).toBe(columns);
  });

  it("the token stands after the #, where no server sees it", () => {
    expect(tokenFromAddress("http://a/wall#token=x.y")).toBe("x.y");
    expect(tokenFromAddress("http://a/wall?token=x")).toBeNull();
    expect(tokenFromAddress("http://a/wall#token=")).toBeNull();
  });
});
