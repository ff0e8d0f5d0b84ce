/**
 * Visits the page in on-device mode in a real browser and prints, as one line of JSON, what went over its wires. The
 * test that starts it judges.
 *
 *   node e2e/onDevice.mjs '{"url": "http://…/", "udp": true, "video": "face.mjpeg", "audio": "voice.wav"}'
 */

import { launch } from "./browser.mjs";

/** @typedef {{url: string, udp: boolean, video: string, audio: string, deadlineMs?: number}} Visit */

const visit = /** @type {Visit} */ (JSON.parse(process.argv[2] ?? "{}"));
const deadline = visit.deadlineMs ?? 90_000;

/**
 * Where a packed frame (docs/protocol.md, `affectstream.binary`) says how much the avatar smiles, and how sure it is that
 * the person speaks: mouthSmileLeft and mouthSmileRight are ARKit's 43rd and 44th shape, counted from 0.
 */
const PACKED = { bytes: 192, smiles: [99 + 43, 99 + 44], speaking: 71 };

/**
 * Notes what the page gives to WebRTC, and what comes of it, before any of the page's own code runs.
 *
 * @param {typeof PACKED} packed
 */
function watchPeers(packed) {
  const seen = { senders: 0, kinds: /** @type {Record<string, number>} */ ({}), smile: 0, spoken: 0 };
  Object.assign(window, { seenPeers: seen });
  if (window.RTCPeerConnection === undefined) return;
  // Loosely typed: calls are handed on as they came.
  const peer = /** @type {any} */ (RTCPeerConnection.prototype);
  const { createDataChannel, setLocalDescription } = peer;
  peer.setLocalDescription = function (/** @type {unknown[]} */ ...given) {
    seen.senders += this.getTransceivers().length;
    return setLocalDescription.apply(this, given);
  };
  peer.createDataChannel = function (/** @type {unknown[]} */ ...given) {
    const channel = createDataChannel.apply(this, given);
    const send = channel.send;
    channel.send = (/** @type {any} */ data) => {
      if (typeof data !== "string") {
        const kind = new Uint8Array(data.buffer ?? data, data.byteOffset ?? 0)[0] ?? -1;
        seen.kinds[kind] = (seen.kinds[kind] ?? 0) + 1;
      }
      send.call(channel, data);
    };
    channel.addEventListener("message", (/** @type {MessageEvent<string | ArrayBuffer>} */ { data }) => {
      if (typeof data === "string" || data.byteLength < packed.bytes) return;
      const frame = new Uint8Array(data);
      for (const at of packed.smiles) seen.smile = Math.max(seen.smile, (frame[at] ?? 0) / 255);
      seen.spoken = Math.max(seen.spoken, (frame[packed.speaking] ?? 0) / 255);
    });
    return channel;
  };
}

const browser = await launch({ video: visit.video, audio: visit.audio }, { udp: visit.udp });
try {
  const context = await browser.newContext({
    viewport: { width: 1000, height: 800 },
    permissions: ["camera", "microphone"],
  });
  await context.addInitScript(watchPeers, PACKED);
  const page = await context.newPage();
  const seen = {
    origins: /** @type {string[]} */ ([]),
    requests: /** @type {string[]} */ ([]),
    socketKinds: /** @type {Record<string, number>} */ ({}),
    largest: 0,
    smile: 0,
    spoken: 0,
    notices: /** @type {string[]} */ ([]),
    errors: /** @type {string[]} */ ([]),
  };
  /** @param {string} address */
  const note = (address) => {
    const { protocol, origin } = new URL(address);
    if (protocol === "data:" || protocol === "blob:") return;
    if (!seen.origins.includes(origin)) seen.origins.push(origin);
  };
  // The context's: requests of workers are among them.
  context.on("request", (request) => {
    note(request.url());
    seen.requests.push(`${request.method()} ${new URL(request.url()).pathname}`);
    const body = request.postDataBuffer();
    if (body !== null) seen.largest = Math.max(seen.largest, body.byteLength);
  });
  page.on("websocket", (socket) => {
    note(socket.url());
    socket.on("framesent", ({ payload }) => {
      seen.largest = Math.max(seen.largest, payload.length);
      if (typeof payload === "string") return;
      const kind = payload[0] ?? -1;
      seen.socketKinds[kind] = (seen.socketKinds[kind] ?? 0) + 1;
    });
    socket.on("framereceived", ({ payload }) => {
      if (typeof payload === "string") {
        const message = JSON.parse(payload);
        if (message.type === "notice") seen.notices.push(message.code);
      } else if (payload.length >= PACKED.bytes) {
        for (const at of PACKED.smiles) seen.smile = Math.max(seen.smile, (payload[at] ?? 0) / 255);
        seen.spoken = Math.max(seen.spoken, (payload[PACKED.speaking] ?? 0) / 255);
      }
    });
  });
  page.on("pageerror", (error) => seen.errors.push(error.message));

  await page.goto(visit.url);
  await page.getByRole("button", { name: "Use my camera" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const name of ["Camera", "Microphone"]) {
    await dialog.getByRole("checkbox", { name }).focus();
    await page.keyboard.press("Space");
  }
  await dialog.getByRole("radio", { name: "On this device" }).focus();
  await page.keyboard.press("Space");
  await dialog.getByRole("button", { name: "Agree and start" }).press("Enter");
  await page.locator("[data-testid=link][data-state=live]").waitFor({ timeout: deadline });

  /** @returns {Promise<{senders: number, kinds: Record<string, number>, smile: number, spoken: number}>} */
  const peers = () => page.evaluate("seenPeers");
  const until = Date.now() + deadline;
  let overPeers = await peers();
  while (Date.now() < until) {
    const smile = Math.max(seen.smile, overPeers.smile);
    const spoken = Math.max(seen.spoken, overPeers.spoken);
    if (smile > 0.5 && spoken > 0.5) break;
    await page.waitForTimeout(250);
    overPeers = await peers();
  }
  const recording = await page.getByTestId("recording").textContent();
  await page.getByRole("button", { name: "Stop" }).click();
  process.stdout.write(
    `${JSON.stringify({
      ...seen,
      recording,
      smile: Math.max(seen.smile, overPeers.smile),
      spoken: Math.max(seen.spoken, overPeers.spoken),
      senders: overPeers.senders,
      channelKinds: overPeers.kinds,
    })}\n`,
  );
} finally {
  await browser.close();
}
