/**
 * Drives the page in a real browser and prints, as one line of JSON, what it saw. The test that starts it judges.
 *
 *   node e2e/visit.mjs '{"url": "http://…/", "visit": "own", "video": "face.mjpeg", "audio": "voice.wav", "shots": "dir"}'
 *
 * `visit` is one of `own` (consent, camera and microphone, stop), `watch` (the address names a session), and `decline`.
 */

import { join } from "node:path";
import { launch } from "./browser.mjs";

/** @typedef {{url: string, visit: "own" | "watch" | "decline", video?: string, audio?: string, shots?: string, deadlineMs?: number}} Visit */

const visit = /** @type {Visit} */ (JSON.parse(process.argv[2] ?? "{}"));
const deadline = visit.deadlineMs ?? 60_000;

/** Counts what the page asks of the devices, before any of its own code runs. */
function watchDevices() {
  const opened = /** @type {MediaStreamTrack[]} */ ([]);
  const devices = navigator.mediaDevices;
  const open = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await open(wanted);
    opened.push(...stream.getTracks());
    return stream;
  };
  Object.assign(window, { openedTracks: () => opened.map(({ kind, readyState }) => ({ kind, readyState })) });
}

/** @param {import("playwright-core").Page} page @returns {Promise<{kind: string, readyState: string}[]>} */
const tracks = (page) => page.evaluate("openedTracks()");

/** @param {import("playwright-core").Page} page */
function observe(page) {
  const traffic = {
    origins: /** @type {string[]} */ ([]),
    requests: /** @type {string[]} */ ([]),
    sockets: /** @type {string[]} */ ([]),
    messages: 0,
    mediaSent: 0,
    mediaBytes: 0,
    acks: 0,
    openSockets: 0,
    errors: /** @type {string[]} */ ([]),
  };
  /** @param {string} url */
  const note = (url) => {
    const { protocol, origin } = new URL(url);
    if (protocol === "data:" || protocol === "blob:") return;
    if (!traffic.origins.includes(origin)) traffic.origins.push(origin);
  };
  page.on("request", (request) => {
    note(request.url());
    traffic.requests.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  page.on("websocket", (socket) => {
    note(socket.url());
    const path = new URL(socket.url()).pathname;
    traffic.sockets.push(path);
    traffic.openSockets += 1;
    socket.on("close", () => {
      traffic.openSockets -= 1;
    });
    socket.on("framereceived", () => {
      traffic.messages += 1;
    });
    socket.on("framesent", ({ payload }) => {
      if (typeof payload !== "string") {
        traffic.mediaSent += 1;
        traffic.mediaBytes += payload.byteLength;
      } else if (payload.includes('"ack"')) {
        traffic.acks += 1;
      }
    });
  });
  page.on("pageerror", (error) => traffic.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") traffic.errors.push(message.text());
  });
  return traffic;
}

/** @param {import("playwright-core").Page} page @param {string} name */
async function shot(page, name) {
  if (visit.shots) await page.screenshot({ path: join(visit.shots, `${name}.png`) });
}

/** @param {import("playwright-core").Page} page @param {string} state */
const link = (page, state) =>
  page.locator(`[data-testid=link][data-state=${state}]`).waitFor({ timeout: deadline });

/** @param {import("playwright-core").Page} page @returns {Promise<Record<string, number>>} */
const scores = (page) =>
  page
    .getByRole("meter")
    .evaluateAll((meters) =>
      Object.fromEntries(
        meters.map((meter) => [
          meter.getAttribute("aria-label"),
          Number(meter.getAttribute("aria-valuenow")),
        ]),
      ),
    );

/** @type {Record<Visit["visit"], (page: import("playwright-core").Page, traffic: ReturnType<typeof observe>) => Promise<object>>} */
const visits = {
  async own(page, traffic) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    await shot(page, "consent");
    const before = {
      tracksBefore: await tracks(page),
      requestsBefore: [...traffic.requests],
      checkedBefore: await dialog.getByRole("checkbox", { checked: true }).count(),
      startDisabledBefore: await dialog.locator("button[type=submit]").isDisabled(),
    };
    await dialog.getByRole("checkbox", { name: "Camera" }).focus();
    await page.keyboard.press("Space");
    await dialog.getByRole("checkbox", { name: "Microphone" }).focus();
    await page.keyboard.press("Space");
    await dialog.getByRole("button", { name: "Agree and start" }).press("Enter");
    await link(page, "live");
    const recording = await page.getByTestId("recording").textContent();
    await page
      .locator(".bar.leads", { hasText: "Happy" })
      .waitFor({ timeout: deadline })
      .catch(() => undefined);
    // While the face is silent: when it speaks, the voice has its say about the emotion too.
    const seen = await scores(page);
    await page
      .locator(".speaking.on")
      .waitFor({ timeout: deadline })
      .catch(() => undefined);
    const spoke = await page.locator(".speaking.on").count();
    await page.getByRole("button", { name: "4 of 5: well" }).click();
    await shot(page, "own");
    const during = {
      recording,
      spoke: spoke > 0,
      scores: seen,
      tracksDuring: await tracks(page),
      mediaDuring: traffic.mediaSent,
      legs: await page.locator(".legs li").count(),
      latency: await page.locator(".panel-figure").textContent(),
    };
    const deleted = page.waitForResponse((response) => response.request().method() === "DELETE");
    await page.getByRole("button", { name: "Stop" }).click();
    const tracksAfter = await tracks(page);
    const sentAtStop = traffic.mediaSent;
    const deleteStatus = (await deleted).status();
    await page.waitForFunction("openedTracks().every((track) => track.readyState === 'ended')");
    await page.waitForTimeout(500);
    await shot(page, "stopped");
    return {
      ...before,
      ...during,
      tracksAfter,
      sentAfterStop: traffic.mediaSent - sentAtStop,
      deleteStatus,
      recordingAfter: await page.getByTestId("recording").count(),
      stateAfter: await page.getByTestId("link").getAttribute("data-state"),
    };
  },

  async watch(page) {
    await link(page, "live");
    await page
      .locator(".bar.leads", { hasText: "Happy" })
      .waitFor({ timeout: deadline })
      .catch(() => undefined);
    await shot(page, "watch");
    return {
      scores: await scores(page),
      tracksDuring: await tracks(page),
      frames: await page.locator("canvas").count(),
    };
  },

  async decline(page) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    return { tracksDuring: await tracks(page) };
  },
};

const browser = await launch({ video: visit.video, audio: visit.audio });
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    permissions: ["camera", "microphone"],
  });
  await context.addInitScript(watchDevices);
  const page = await context.newPage();
  const traffic = observe(page);
  await page.goto(visit.url);
  const seen = await visits[visit.visit](page, traffic);
  process.stdout.write(`${JSON.stringify({ ...seen, ...traffic })}\n`);
} finally {
  await browser.close();
}
