/** Test support: the machine's Chromium, headless, with a fake camera and microphone and software graphics. */

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const QUIET = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const DEVICES = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"];
const GRAPHICS = [
  "--use-gl=angle",
  "--use-angle=gl-egl",
  "--ignore-gpu-blocklist",
  "--disable-gpu-compositing",
];

/** Where Chromium usually is; CHROMIUM names another place. */
export const executable = () =>
  [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
    (path) => path && existsSync(path),
  );

/** A network on which only web traffic comes through: WebRTC finds no way out. */
const NO_UDP = ["--webrtc-ip-handling-policy=disable_non_proxied_udp"];

/**
 * @param {{video?: string | undefined, audio?: string | undefined}} [files] a Y4M or MJPEG file, a WAV file
 * @param {{udp?: boolean | undefined, trusted?: string | undefined}} [network] `trusted`: the public key's hash of a
 *   certificate that is believed though no known CA signed it
 */
export async function launch(files = {}, { udp = true, trusted } = {}) {
  const executablePath = executable();
  if (!executablePath) throw new Error("no Chromium: install Debian's package chromium, or set CHROMIUM");
  const capture = [
    ...(files.video ? [`--use-file-for-fake-video-capture=${files.video}`] : []),
    ...(files.audio ? [`--use-file-for-fake-audio-capture=${files.audio}`] : []),
  ];
  const trust = trusted ? [`--ignore-certificate-errors-spki-list=${trusted}`] : [];
  return chromium.launch({
    executablePath,
    headless: true,
    args: [...QUIET, ...DEVICES, ...GRAPHICS, ...(udp ? [] : NO_UDP), ...trust, ...capture],
    timeout: 60_000,
  });
}

/** An init script for pictures: without the name of a renderer the page takes the browser's graphics for hardware, and
 * draws smooth edges; but only a few of them a second, so that the product beside it gets on. */
export function hideRenderer() {
  const onFrame = window.requestAnimationFrame.bind(window);
  let drawn = 0;
  window.requestAnimationFrame = (callback) =>
    onFrame(function wait(now) {
      if (now !== drawn && now - drawn < 80) {
        onFrame(wait);
        return;
      }
      drawn = now;
      callback(now);
    });
  const prototype = WebGL2RenderingContext.prototype;
  const ask = /** @type {(name: string) => unknown} */ (prototype.getExtension);
  Object.assign(prototype, {
    /** @param {string} name */
    getExtension(name) {
      return name === "WEBGL_debug_renderer_info" ? null : ask.call(this, name);
    },
  });
}
