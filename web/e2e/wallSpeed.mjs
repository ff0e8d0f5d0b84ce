/**
 * How long a picture of sixteen heads in motion takes on the wall, 1280 x 800 pixels, with the machine's own graphics in
 * software: pictures one after the other, each waited for. Prints a line a round and leaves the last picture.
 *
 *   node e2e/wallSpeed.mjs [PNG]
 */

import { launch } from "./browser.mjs";
import { serveSources } from "./sourceServer.mjs";

const ROUNDS = 5;
const PICTURES = 100;

const [png] = process.argv.slice(2);
const sources = await serveSources();
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.on("pageerror", (error) => console.error(String(error)));
  await page.goto(`${sources.url}e2e/wallSpeed.html`);
  await page.waitForFunction("window.ready === true", null, { timeout: 60_000 });
  for (let round = 0; round < ROUNDS; round += 1) {
    const { drawn, ms } = await page.evaluate(`window.measure(${PICTURES})`);
    if (drawn !== 16) throw new Error(`${drawn} heads were drawn instead of 16`);
    console.log(`${ms.toFixed(1)} ms a picture, ${(1_000 / ms).toFixed(1)} a second`);
  }
  if (png !== undefined) await page.screenshot({ path: png });
} finally {
  await browser.close();
  await sources.close();
}
