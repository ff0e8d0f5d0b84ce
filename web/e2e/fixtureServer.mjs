/**
 * Test support: a small server that speaks the product's protocol to the page, without the product behind it. It serves
 * web/dist, opens sessions, answers media with clock probes, and plays scripted avatar frames.
 *
 * The id of a watched session says what it plays: `smile`, `surprise`, `sad`, `angry`, `speech`, `tour` (all in turn),
 * `stall` (stops after 2 s), `end` (closes after 2 s), `refuse` (closes at once: bad
 * token), `foreign` (closes at once: another session's token), `silent` (open, but no frames).
 *
 * The token of a wall says who is on: `many` (in every state), `nobody`, or anything else (the wall does not open).
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

/** Where the built page lies; WEB_DIST names another place. */
const DIST = process.env.WEB_DIST ?? fileURLToPath(new URL("../dist/", import.meta.url));
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
};

/** @param {string} name @param {number} weight @returns {Record<string, number>} */
const both = (name, weight) => ({ [`${name}Left`]: weight, [`${name}Right`]: weight });

/** @type {Record<string, {emotion: string, blendshapes: Record<string, number>, bones?: Record<string, number>, va: [number, number], glow?: number, speaking?: boolean}>} */
const FACES = {
  neutral: { emotion: "neutral", blendshapes: {}, va: [0.02, -0.05] },
  smile: {
    emotion: "happy",
    blendshapes: {
      ...both("mouthSmile", 0.85),
      ...both("cheekSquint", 0.5),
      ...both("eyeSquint", 0.2),
      jawOpen: 0.12,
    },
    bones: { head_yaw: 7, head_pitch: -2, head_roll: 4 },
    va: [0.72, 0.36],
    glow: 0.25,
  },
  surprise: {
    emotion: "surprise",
    blendshapes: { browInnerUp: 0.9, ...both("browOuterUp", 0.9), ...both("eyeWide", 0.9), jawOpen: 0.55 },
    va: [0.15, 0.8],
  },
  sad: {
    emotion: "sad",
    blendshapes: {
      browInnerUp: 0.8,
      ...both("mouthFrown", 0.8),
      mouthShrugLower: 0.4,
      ...both("eyeLookDown", 0.5),
    },
    bones: { head_pitch: 8, body_slouch: 0.5, head_roll: -3 },
    va: [-0.62, -0.4],
  },
  angry: {
    emotion: "angry",
    blendshapes: {
      ...both("browDown", 0.95),
      ...both("noseSneer", 0.6),
      ...both("eyeSquint", 0.4),
      ...both("mouthPress", 0.6),
      ...both("mouthFrown", 0.3),
    },
    bones: { head_pitch: 4, body_lean: 4 },
    va: [-0.6, 0.6],
  },
  fear: {
    emotion: "fear",
    blendshapes: { browInnerUp: 0.9, ...both("eyeWide", 0.8), ...both("mouthStretch", 0.7), jawOpen: 0.2 },
    va: [-0.55, 0.7],
  },
  disgust: {
    emotion: "disgust",
    blendshapes: {
      ...both("noseSneer", 0.9),
      ...both("browDown", 0.5),
      ...both("mouthUpperUp", 0.6),
      ...both("eyeSquint", 0.5),
    },
    va: [-0.6, 0.2],
  },
  pucker: { emotion: "neutral", blendshapes: { mouthPucker: 1 }, va: [0.1, 0] },
  blink: { emotion: "neutral", blendshapes: both("eyeBlink", 1), va: [0.1, 0] },
  speech: { emotion: "neutral", blendshapes: { browInnerUp: 0.15 }, va: [0.2, 0.25], speaking: true },
};
const TOUR = ["neutral", "smile", "surprise", "sad", "angry", "fear", "disgust", "speech"];
/** What the server makes of a mouth while a person speaks: the shapes of a few visemes. */
const MOUTHS = /** @type {Record<string, Record<string, number>>} */ ({
  PP: both("mouthPress", 0.5),
  aa: { jawOpen: 0.7, ...both("mouthLowerDown", 0.3) },
  E: { jawOpen: 0.35, ...both("mouthStretch", 0.35) },
  oh: { jawOpen: 0.45, mouthFunnel: 0.55 },
  ou: { jawOpen: 0.2, mouthPucker: 0.75 },
});
const SPOKEN = ["PP", "aa", "nn", "E", "SS", "oh", "ou", "FF", "ih", "sil"];

/** @param {string} session @param {number} tick @param {number} nowMs */
export function messages(session, tick, nowMs) {
  const name = session in FACES ? session : (TOUR[Math.floor(tick / 75) % TOUR.length] ?? "neutral");
  const face = FACES[name] ?? { emotion: "neutral", blendshapes: {}, va: [0, 0] };
  const viseme = face.speaking ? (SPOKEN[Math.floor(tick / 4) % SPOKEN.length] ?? "sil") : "sil";
  const blinking = tick % 96 < 5 && name !== "blink" ? both("eyeBlink", 1) : {};
  const frame = {
    type: "avatar_frame",
    session_id: session,
    timestamp_ms: nowMs - 55,
    sequence: tick,
    payload: {
      blendshapes: { ...face.blendshapes, ...MOUTHS[viseme], ...blinking },
      bone_transforms: {
        head_yaw: 0,
        head_pitch: 0,
        head_roll: 0,
        neck_pitch: 0,
        body_lean: 0,
        body_slouch: 0,
        ...face.bones,
      },
      viseme,
      viseme_conf: face.speaking ? 0.9 : 0,
      visemes: { [viseme]: 0.9 },
      viseme_mouth: face.speaking === true,
      particles: { glow_intensity: face.glow ?? 0 },
      discontinuity: false,
    },
    hops_ms: {
      face: { captured: -6, received: 4, ingested: 5, consumed: 9, inferred: 21 },
      fused: 38,
      relayed: 52,
    },
  };
  const scores = Object.fromEntries(
    ["neutral", "happy", "sad", "angry", "surprise", "fear", "disgust"].map((emotion, i) => [
      emotion,
      emotion === face.emotion ? 0.74 : 0.26 / (2 + ((i * 5) % 7)) / 1.6,
    ]),
  );
  const update = {
    ...frame,
    type: "emotion_update",
    payload: {
      emotion: face.emotion,
      scores,
      valence: face.va[0] + 0.05 * Math.sin(tick / 9),
      arousal: face.va[1] + 0.05 * Math.cos(tick / 7),
      speaking_probability: face.speaking ? 0.93 : 0.04,
    },
  };
  return tick % 3 === 0 ? [frame, update] : [frame];
}

/** Who is on a wall, and what each plays: 16 that are live, and some of every other state. */
const ON_THE_WALL = [
  ...TOUR.map((face) => /** @type {const} */ ([face, "live"])),
  ...TOUR.map((face) => /** @type {const} */ ([face, "live"])),
  ...["silent", "silent", "starting", "ended", "ended", "ended", "ended", "ended"].map(
    (state) => /** @type {const} */ (["neutral", state]),
  ),
].map(([face, state], place) => ({
  face,
  state,
  id: createHash("sha256").update(`${place}`).digest("hex").slice(0, 24),
  // So that they do not all blink at once.
  ahead: place * 29,
}));

/** @param {string} token @param {number} nowMs what analytics says of the sessions of now */
function wallList(token, nowMs) {
  if (token !== "many") return [];
  return ON_THE_WALL.map(({ id, state }, place) => ({
    session_id: id,
    started_at_ms: nowMs - (state === "starting" ? 1_000 : (place + 1) * 47_000),
    ended_at_ms: state === "ended" ? nowMs - place * 9_000 : null,
    timeline: "live",
    audio_consented: true,
    video_consented: place % 5 !== 4,
    mapping: place % 3 === 0 ? "direct_au" : "blend",
    experiment: place % 2 === 0 ? "mapping-q4" : "",
    variant: place % 4 === 0 ? "treatment" : "control",
    end_reason: state === "ended" ? "client_closed" : "",
  }));
}

/** @param {import("ws").WebSocket} socket @param {string} token */
function wall(socket, token) {
  if (token !== "many" && token !== "nobody") {
    return socket.close(4403, "the token is for another session");
  }
  const started = performance.now();
  const sessions = token === "many" ? ON_THE_WALL : [];
  let picked = /** @type {string[]} */ ([]);
  const send = (/** @type {unknown} */ message) => socket.send(JSON.stringify(message));
  const presence = () => {
    const quiet = sessions.flatMap(({ id, state }) => (state === "live" ? [[id, 20]] : []));
    send({ type: "presence", server_us: Date.now() * 1_000, quiet_ms: Object.fromEntries(quiet) });
  };
  send({ type: "welcome", server_us: Date.now() * 1_000, format: "json" });
  presence();
  const telling = setInterval(presence, 1_000);
  const playing = setInterval(() => {
    const tick = Math.round((performance.now() - started) / (1_000 / 30));
    for (const { id, face, state, ahead } of sessions) {
      if (state !== "live" || !picked.includes(id)) continue;
      for (const message of messages(face, tick + ahead, Date.now())) send({ ...message, session_id: id });
    }
  }, 1_000 / 30);
  socket.on("message", (data) => {
    const message = JSON.parse(data.toString());
    if (message.type === "watch") picked = message.sessions;
  });
  socket.on("close", () => {
    clearInterval(telling);
    clearInterval(playing);
  });
}

/** Starts the server. @param {number} [port] 0: any free one */
export async function startFixture(port = 0) {
  const seen = {
    started: /** @type {unknown[]} */ ([]),
    ended: 0,
    audio: 0,
    video: 0,
    clocks: 0,
    acks: 0,
    ratings: 0,
    ends: 0,
  };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://fixture").pathname;
    /** @param {number} status @param {unknown} body */
    const json = (status, body) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (path === "/v1/client-config") {
      return json(200, { egress_url: "", analytics_url: `http://${request.headers.host}` });
    }
    if (path === "/v1/wall") {
      return json(200, wallList(request.headers.authorization?.replace("Bearer ", "") ?? "", Date.now()));
    }
    if (path.endsWith("/summary")) {
      const session = {
        mapping: "blend",
        smoothing: "one_euro",
        experiment: "mapping-q4",
        variant: "control",
      };
      return json(200, { session: { ...session, config_version: "1" } });
    }
    if (path === "/v1/sessions" && request.method === "POST") {
      let body = "";
      for await (const part of request) body += part;
      seen.started.push(JSON.parse(body));
      const id = `own-${seen.started.length}`;
      return json(201, {
        session_id: id,
        token: "token",
        expires_at_s: 0,
        media_url: `ws://${request.headers.host}/v1/sessions/${id}/media`,
        avatar_url: `ws://${request.headers.host}/v1/sessions/${id}/avatar`,
      });
    }
    if (request.method === "DELETE") {
      seen.ended += 1;
      return response.writeHead(204).end();
    }
    try {
      const file = normalize(join(DIST, path === "/" ? "index.html" : path === "/wall" ? "wall.html" : path));
      if (!file.startsWith(DIST)) throw new Error("outside");
      const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? "application/octet-stream";
      const content = await readFile(file);
      return response.writeHead(200, { "content-type": type }).end(content);
    } catch {
      return json(404, { detail: "not found" });
    }
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket, request) => {
    const [, , , session = "", what = ""] = new URL(request.url ?? "/", "http://fixture").pathname.split("/");
    if (session === "" && request.url === "/v1/wall") {
      wall(socket, (request.headers["sec-websocket-protocol"] ?? "").split("bearer.")[1]?.trim() ?? "");
    } else if (what === "media") media(socket, seen);
    else avatar(socket, session, seen);
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", () => done(undefined)));
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}`,
    seen,
    close: async () => {
      for (const client of sockets.clients) client.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

/** @param {import("ws").WebSocket} socket @param {any} seen */
function media(socket, seen) {
  const now = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
  socket.send(JSON.stringify({ type: "welcome", server_us: now() }));
  socket.send(JSON.stringify({ type: "clock_probe", server_us: now() }));
  socket.on("message", (data, binary) => {
    const bytes = /** @type {Buffer} */ (data);
    if (binary) seen[bytes[0] === 3 ? "video" : "audio"] += 1;
    else {
      const { type } = JSON.parse(bytes.toString());
      if (type === "clock") seen.clocks += 1;
      if (type === "end") {
        seen.ends += 1;
        socket.close(1000);
      }
    }
  });
}

/** @param {import("ws").WebSocket} socket @param {string} session @param {any} seen */
function avatar(socket, session, seen) {
  if (session === "refuse") return socket.close(4401, "the token has expired: ask for a new session");
  if (session === "foreign") return socket.close(4403, "the token is for another session");
  const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1_000);
  socket.send(JSON.stringify({ type: "welcome", session_id: session, server_us: nowUs(), format: "json" }));
  let tick = 0;
  const timer = setInterval(() => {
    if (session === "silent") return;
    if (session === "stall" && tick > 60) return;
    if (session === "end" && tick > 60) return socket.close(4410, "the session has ended");
    for (const message of messages(session, tick, Date.now())) socket.send(JSON.stringify(message));
    tick += 1;
  }, 1000 / 30);
  socket.on("message", (data) => {
    const { type, client_us } = JSON.parse(data.toString());
    if (type === "ping") socket.send(JSON.stringify({ type: "pong", client_us, server_us: nowUs() }));
    if (type === "ack") seen.acks += 1;
    if (type === "rating") seen.ratings += 1;
  });
  socket.on("close", () => clearInterval(timer));
}
