/**
 * Drives the page in a real browser and prints, as one line of JSON, what it saw. The test that starts it judges.
 *
 *   node e2e/visit.mjs '{"url": "http://…/", "visit": "own", "video": "face.mjpeg", "audio": "voice.wav", "shots": "dir"}'
 *
 * `visit` is one of `own` (consent, camera and microphone, stop), `restart` (own, and meanwhile the process `kill` is
 * killed), `path` (own, and meanwhile the test cuts the way of its packets), `devices` (own, with another microphone
 * meanwhile), `watch` (the address names a session), `wall` (the
 * address is the wall's), and `decline`. `"udp": false`: WebRTC finds no way out.
 */

import { join } from "node:path";
import { launch } from "./browser.mjs";

/** @typedef {{url: string, visit: "own" | "restart" | "path" | "devices" | "watch" | "wall" | "decline", udp?: boolean, trusted?: string, kill?: number, video?: string, audio?: string, shots?: string, deadlineMs?: number}} Visit */

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

/** Keeps the page's peer connections and counts what goes over their data channels, before any of its own code runs. */
function watchPeers() {
  const Connection = window.RTCPeerConnection;
  const peers = /** @type {RTCPeerConnection[]} */ ([]);
  const told = { messages: 0, acks: 0, ratings: /** @type {{value?: number, felt?: string}[]} */ ([]) };
  window.RTCPeerConnection = class extends Connection {
    /** @param {RTCConfiguration} [configuration] */
    constructor(configuration) {
      super(configuration);
      peers.push(this);
    }

    /** @override @param {string} label @param {RTCDataChannelInit} [options] */
    createDataChannel(label, options) {
      const channel = super.createDataChannel(label, options);
      channel.addEventListener("message", () => {
        told.messages += 1;
      });
      const send = channel.send.bind(channel);
      /** @param {any} message */
      channel.send = (message) => {
        if (typeof message === "string" && message.includes('"ack"')) told.acks += 1;
        if (typeof message === "string" && message.includes('"rating"'))
          told.ratings.push(JSON.parse(message));
        send(message);
      };
      return channel;
    }
  };
  /** Pictures that have been sent, and the size of the last one. */
  const pictures = async () => {
    const seen = { sent: 0, width: 0, height: 0 };
    for (const peer of peers) {
      for (const entry of (await peer.getStats()).values()) {
        if (entry.type !== "outbound-rtp" || entry.kind !== "video") continue;
        seen.sent += entry.framesSent;
        seen.width = Math.max(seen.width, entry.frameWidth ?? 0);
        seen.height = Math.max(seen.height, entry.frameHeight ?? 0);
      }
    }
    return seen;
  };
  Object.assign(window, {
    peerTraffic: async () => ({
      ...told,
      pictures: await pictures(),
      made: peers.length,
      open: peers.filter(({ connectionState }) => connectionState !== "closed").length,
    }),
  });
}

/**
 * @param {import("playwright-core").Page} page
 * @returns {Promise<{messages: number, acks: number, ratings: {value?: number, felt?: string}[], made: number, open: number, pictures: {sent: number, width: number, height: number}}>}
 */
const peers = (page) => page.evaluate("peerTraffic()");

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

/** @param {import("playwright-core").Page} page Agrees to camera and microphone, by keyboard. */
async function agree(page) {
  const dialog = page.getByRole("dialog");
  for (const name of ["Camera", "Microphone"]) {
    await dialog.getByRole("checkbox", { name }).focus();
    await page.keyboard.press("Space");
  }
  await dialog.getByRole("button", { name: "Agree and start" }).press("Enter");
}

/** Runs in the page: the scores, if happiness leads. @returns {Record<string, number> | null} */
function happyScores() {
  const scores = Object.fromEntries(
    [...document.querySelectorAll("[role=meter]")].map((meter) => [
      meter.getAttribute("aria-label"),
      Number(meter.getAttribute("aria-valuenow")),
    ]),
  );
  return scores.Happy > 0 && scores.Happy >= Math.max(...Object.values(scores)) ? scores : null;
}

/**
 * Waits for the face to be seen smiling; the scores of that moment, or those at the end if it never is.
 *
 * @param {import("playwright-core").Page} page
 * @returns {Promise<Record<string, number>>}
 */
const smile = (page) =>
  page.waitForFunction(happyScores, undefined, { timeout: deadline, polling: 100 }).then(
    (seen) => /** @type {Promise<Record<string, number>>} */ (seen.jsonValue()),
    () => scores(page),
  );

/**
 * What the peers have sent and heard, once it is enough. A condition in the page itself would not do: what it has to
 * wait for is a promise, which counts as true.
 *
 * @param {import("playwright-core").Page} page
 * @param {(seen: Awaited<ReturnType<typeof peers>>) => boolean} enough
 */
async function until(page, enough) {
  const endAt = performance.now() + deadline;
  for (;;) {
    const seen = await peers(page);
    if (enough(seen)) return seen;
    if (performance.now() > endAt) throw new Error(`not in time: ${JSON.stringify(seen)}`);
    await page.waitForTimeout(100);
  }
}

/** @param {import("playwright-core").Page} page Waits until `count` messages more have come over data channels. */
const hear = async (page, count = 90) => {
  const before = (await peers(page)).messages;
  await until(page, ({ messages }) => messages > before + count);
};

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
    await agree(page);
    await link(page, "live");
    const recording = await page.getByTestId("recording").textContent();
    // While the face is silent: when it speaks, the voice has its say about the emotion too.
    const seen = await smile(page);
    await page
      .locator(".speaking.on")
      .waitFor({ timeout: deadline })
      .catch(() => undefined);
    const spoke = await page.locator(".speaking.on").count();
    await page.getByRole("button", { name: "4 of 5: well" }).click();
    await page.getByRole("group", { name: "And what do you feel?" }).waitFor();
    await shot(page, "own");
    // The keyboard is at the first feeling.
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("you feel happy").waitFor();
    const overPeers = await peers(page);
    const during = {
      transport: await page.getByTestId("transport").textContent(),
      notices: await page.locator(".recording-notice").allTextContents(),
      peersDuring: overPeers.made,
      pictures: overPeers.pictures,
      channelMessages: overPeers.messages,
      recording,
      spoke: spoke > 0,
      scores: seen,
      tracksDuring: await tracks(page),
      mediaDuring: traffic.mediaSent + overPeers.pictures.sent,
      messages: traffic.messages + overPeers.messages,
      acks: traffic.acks + overPeers.acks,
      ratings: overPeers.ratings,
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
      openPeers: (await peers(page)).open,
      deleteStatus,
      recordingAfter: await page.getByTestId("recording").count(),
      stateAfter: await page.getByTestId("link").getAttribute("data-state"),
    };
  },

  async restart(page, traffic) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    await agree(page);
    await link(page, "live");
    await smile(page);
    const before = await peers(page);
    process.kill(visit.kill ?? 0, "SIGKILL");
    await page.locator("[data-testid=link]:not([data-state=live])").waitFor({ timeout: deadline });
    await shot(page, "restarting");
    await link(page, "live");
    // What is shown may still be from before: two seconds of frames and emotions, then.
    await hear(page);
    const seen = await smile(page);
    const after = await peers(page);
    return {
      scores: seen,
      peersBefore: before.made,
      peersAfter: after.made,
      sessions: traffic.requests.filter((request) => request === "POST /v1/sessions").length,
      offers: traffic.requests.filter((request) => /^POST .*\/whip$/.test(request)).length,
      recording: await page.getByTestId("recording").textContent(),
    };
  },

  async path(page, traffic) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    await agree(page);
    await until(page, ({ pictures }) => pictures.sent > 30);
    await until(page, ({ made }) => made > 1); // the test cuts the way meanwhile
    await shot(page, "path");
    // Of the newest connection only: one that is closed counts nothing any more.
    await until(page, ({ open, pictures }) => open === 1 && pictures.sent > 60);
    return {
      sessions: traffic.requests.filter((request) => request === "POST /v1/sessions").length,
      offers: traffic.requests.filter((request) => /^POST .*\/whip$/.test(request)).length,
      recording: await page.getByTestId("recording").textContent(),
      notices: await page.locator(".recording-notice").allTextContents(),
    };
  },

  async devices(page) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    await agree(page);
    await link(page, "live");
    await page.getByRole("button", { name: "Choose camera and microphone" }).click();
    await page.locator(".devices").getByLabel("Microphone").selectOption({ label: "Fake Audio Input 2" });
    await page.waitForFunction("openedTracks().filter(({ kind }) => kind === 'audio').length === 2");
    await hear(page);
    const { made, pictures } = await peers(page);
    return {
      tracksDuring: await tracks(page),
      peersDuring: made,
      picturesSent: pictures.sent,
      recording: await page.getByTestId("recording").textContent(),
      troubles: await page.locator(".recording-notice").allTextContents(),
    };
  },

  async watch(page) {
    await link(page, "live");
    const seen = await smile(page);
    await shot(page, "watch");
    return {
      scores: seen,
      tracksDuring: await tracks(page),
      peersDuring: (await peers(page)).made,
      frames: await page.locator("canvas").count(),
    };
  },

  async wall(page) {
    const tile = page.locator("[data-testid=tile][data-state=live]").first();
    await tile.locator("strong", { hasText: "Happy" }).waitFor({ timeout: deadline });
    await page.getByRole("radio", { name: "Live" }).press("Space");
    await tile.getByRole("button").click();
    const details = page.getByTestId("details");
    await details.locator(".bar.leads", { hasText: "Happy" }).waitFor({ timeout: deadline });
    await details.getByText("blend").waitFor({ timeout: deadline });
    await shot(page, "wall");
    const seen = {
      session: await tile.getAttribute("data-session"),
      flat: await page.getByTestId("wall-canvas").getAttribute("data-flat"),
      scores: await scores(page),
      tracksDuring: await tracks(page),
    };
    await page.keyboard.press("Escape");
    await details.waitFor({ state: "detached" });
    await page.getByRole("searchbox").fill("nobody has this id");
    await page.getByText("No session matches").waitFor({ timeout: deadline });
    return seen;
  },

  async decline(page) {
    await page.getByRole("button", { name: "Use my camera" }).click();
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    return { tracksDuring: await tracks(page), peersDuring: (await peers(page)).made };
  },
};

const browser = await launch(
  { video: visit.video, audio: visit.audio },
  { udp: visit.udp, trusted: visit.trusted },
);
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    permissions: ["camera", "microphone"],
  });
  await context.addInitScript(watchDevices);
  await context.addInitScript(watchPeers);
  const page = await context.newPage();
  const traffic = observe(page);
  await page.goto(visit.url);
  const seen = await visits[visit.visit](page, traffic);
  process.stdout.write(`${JSON.stringify({ ...traffic, ...seen })}\n`);
} finally {
  await browser.close();
}
