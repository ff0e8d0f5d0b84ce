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

/** @param {{video?: string | undefined, audio?: string | undefined}} [files] a Y4M or MJPEG file, a WAV file */
export async function launch(files = {}) {
  const executablePath = executable();
  if (!executablePath) throw new Error("no Chromium: install Debian's package chromium, or set CHROMIUM");
  const capture = [
    ...(files.video ? [`--use-file-for-fake-video-capture=${files.video}`] : []),
    ...(files.audio ? [`--use-file-for-fake-audio-capture=${files.audio}`] : []),
  ];
  return chromium.launch({
    executablePath,
    headless: true,
    args: [...QUIET, ...DEVICES, ...GRAPHICS, ...capture],
    timeout: 60_000,
  });
}
