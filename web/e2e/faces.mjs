/**
 * Takes pictures of the default avatar's faces: for docs/avatar.png, and to look at after a change of the model.
 *
 *   node e2e/faces.mjs FOLDER [PIXELS]
 */

import { join } from "node:path";
import { launch } from "./browser.mjs";
import { serveSources } from "./sourceServer.mjs";

/** Weights by ARKit name, without a side for both, and bones in degrees. @type {Record<string, Record<string, number>>} */
const FACES = {
  neutral: {},
  smile: { mouthSmile: 0.9, cheekSquint: 0.55, eyeSquint: 0.15, head_yaw: -10, head_roll: -4 },
  laugh: { mouthSmile: 1, jawOpen: 0.35, mouthUpperUp: 0.3, cheekSquint: 0.7, eyeSquint: 0.4, head_yaw: 10 },
  surprise: { browInnerUp: 0.9, browOuterUp: 0.9, eyeWide: 0.9, jawOpen: 0.5 },
  sad: { browInnerUp: 0.9, mouthFrown: 0.85, mouthShrugLower: 0.4, eyeLookDown: 0.5, head_pitch: 7 },
  angry: { browDown: 0.95, noseSneer: 0.5, eyeSquint: 0.4, mouthPress: 0.6, mouthFrown: 0.35, head_pitch: 4 },
  afraid: { browInnerUp: 0.9, eyeWide: 0.8, mouthStretch: 0.7, jawOpen: 0.2, head_yaw: 8 },
  disgusted: { noseSneer: 0.9, browDown: 0.5, mouthUpperUp: 0.5, eyeSquint: 0.5, head_yaw: -12 },
  blink: { eyeBlink: 1 },
  oh: { jawOpen: 0.45, mouthFunnel: 0.55, browInnerUp: 0.3, head_yaw: -25 },
  kiss: { mouthPucker: 0.9, eyeLookOutLeft: 0.5, eyeLookInRight: 0.5, head_yaw: 25 },
  tongue: { tongueOut: 1, jawOpen: 0.35, eyeBlinkLeft: 1, mouthSmile: 0.4 },
};
/** Springs and bones have come to rest. */
const SETTLED_MS = 1_500;

const [folder = ".", pixels = "320"] = process.argv.slice(2);
const sources = await serveSources();
const browser = await launch();
try {
  const size = Number(pixels);
  const page = await browser.newPage({ viewport: { width: size, height: size }, deviceScaleFactor: 2 });
  await page.goto(`${sources.url}e2e/faces.html`);
  await page.waitForFunction("window.make !== undefined", null, { timeout: 60_000 });
  for (const [name, face] of Object.entries(FACES)) {
    await page.evaluate(`window.make(${JSON.stringify(face)})`);
    await page.waitForTimeout(SETTLED_MS);
    await page.screenshot({ path: join(folder, `${name}.png`), scale: "css" });
  }
} finally {
  await browser.close();
  await sources.close();
}
