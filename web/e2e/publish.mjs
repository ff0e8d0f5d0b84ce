/**
 * Publishes camera and microphone with a WHIP client that is not ours, in a real browser, until the avatar's emotion is
 * the wanted one; then stops. With `"restart": true` it restarts ICE instead, and publishes over the new pair for a
 * while. Prints, as one line of JSON, what it saw.
 *
 *   node e2e/publish.mjs '{"client": "whip-whep", "url": "http://…/", "endpoint": "http://…/whip", "token": "…",
 *                          "avatar": "ws://…", "emotion": "happy", "video": "face.mjpeg", "audio": "voice.wav"}'
 */

import { fileURLToPath } from "node:url";
import { build } from "vite";
import { launch } from "./browser.mjs";

/** @typedef {{client: string, url: string, endpoint: string, token: string, avatar: string, emotion: string, restart?: boolean, video?: string, audio?: string}} Wish */

const wish = /** @type {Wish} */ (JSON.parse(process.argv[2] ?? "{}"));
const DEADLINE_MS = 60_000;

/** The clients as one script. */
async function bundle() {
  const entry = fileURLToPath(new URL("whipClients.mjs", import.meta.url));
  const built = await build({
    configFile: false,
    logLevel: "error",
    build: { write: false, minify: false, lib: { entry, formats: ["iife"], name: "clients" } },
  });
  const [result] = Array.isArray(built) ? built : [built];
  const [script] = result && "output" in result ? result.output : [];
  if (script?.type !== "chunk") throw new Error("the clients could not be bundled");
  return script.code;
}

/** Runs in the page. @param {Wish & {deadlineMs: number}} wanted */
async function publish({ client, endpoint, token, avatar, emotion, deadlineMs }) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: true,
    video: { width: 640, height: 480, frameRate: 30 },
  });
  /** @type {{publishers: Record<string, import("./whipClients.mjs").Publish>}} */
  const { publishers } = /** @type {any} */ (globalThis);
  const start = publishers[client];
  if (start === undefined) throw new Error(`there is no client ${client}`);
  const { stop } = await start(stream, endpoint, token);
  const viewer = new WebSocket(avatar, [`bearer.${token}`]);
  let frames = 0;
  let spoke = false;
  const seen = await new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), deadlineMs);
    let felt = "";
    viewer.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "avatar_frame") frames += 1;
      if (message.type !== "emotion_update") return;
      spoke ||= message.payload.speaking_probability > 0.5;
      if (message.payload.emotion === emotion) felt = emotion;
      if (felt === "" || !spoke) return;
      clearTimeout(timer);
      resolve(felt);
    };
  });
  const ended = new Promise((resolve) => {
    viewer.onclose = ({ code }) => resolve(code);
    setTimeout(() => resolve(null), deadlineMs);
  });
  await stop();
  for (const track of stream.getTracks()) track.stop();
  return { emotion: seen, spoke, frames, closeCode: await ended };
}

/** Runs in the page. @param {Wish & {deadlineMs: number}} wanted */
async function restart({ client, endpoint, token, deadlineMs }) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  /** @type {{publishers: Record<string, import("./whipClients.mjs").Publish>}} */
  const { publishers } = /** @type {any} */ (globalThis);
  const publishing = await publishers[client]?.(stream, endpoint, token);
  const connection = publishing?.connection;
  if (publishing?.restart === undefined || connection === undefined) throw new Error("it cannot restart ICE");
  /** The ICE session in use, and the pictures that were sent. */
  const look = async () => {
    const report = await connection.getStats();
    let session = "";
    let pictures = 0;
    for (const entry of report.values()) {
      if (entry.type === "outbound-rtp" && entry.kind === "video") pictures += entry.framesSent;
      if (entry.type !== "transport" || entry.selectedCandidatePairId === undefined) continue;
      const pair = report.get(entry.selectedCandidatePairId);
      session = report.get(pair?.localCandidateId)?.usernameFragment ?? "";
    }
    return { session, pictures };
  };
  const endAt = performance.now() + deadlineMs;
  /** @param {(seen: Awaited<ReturnType<typeof look>>) => boolean} enough */
  const until = async (enough) => {
    for (;;) {
      const seen = await look();
      if (enough(seen) || performance.now() > endAt) return seen;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const before = await until(({ session, pictures }) => session !== "" && pictures > 30);
  await publishing.restart();
  const changed = await until(({ session }) => session !== "" && session !== before.session);
  const after = await until(({ pictures }) => pictures > changed.pictures + 60);
  const state = connection.connectionState;
  await publishing.stop();
  for (const track of stream.getTracks()) track.stop();
  return { before, after, state };
}

const script = await bundle();
const browser = await launch({ video: wish.video, audio: wish.audio });
try {
  const page = await browser.newPage({ permissions: ["camera", "microphone"] });
  /** @type {string[]} */
  const requests = [];
  page.on("response", (response) => {
    const method = response.request().method();
    if (new URL(response.url()).pathname.includes("/whip")) requests.push(`${method} ${response.status()}`);
  });
  await page.goto(wish.url);
  await page.addScriptTag({ content: script });
  const wanted = { ...wish, deadlineMs: DEADLINE_MS };
  const seen = wish.restart ? await page.evaluate(restart, wanted) : await page.evaluate(publish, wanted);
  process.stdout.write(`${JSON.stringify({ ...seen, requests })}\n`);
} finally {
  await browser.close();
}
