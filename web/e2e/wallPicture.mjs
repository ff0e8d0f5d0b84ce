/**
 * For docs/: takes the documentation's pictures of the wall, with sixteen scripted sessions.
 *
 *   node e2e/wallPicture.mjs ../docs
 */

import { join } from "node:path";
import { hideRenderer, launch } from "./browser.mjs";
import { startFixture } from "./fixtureServer.mjs";

const DEADLINE_MS = 60_000;
const folder = process.argv[2] ?? ".";
const fixture = await startFixture();
const browser = await launch();
try {
  for (const [name, colorScheme] of /** @type {const} */ ([
    ["wall", "light"],
    ["wall-dark", "dark"],
  ])) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme });
    await page.addInitScript(hideRenderer);
    await page.goto(`${fixture.url}/wall#token=many`);
    await page.locator(".segment", { hasText: "Live" }).click();
    await page.getByTestId("tile").locator("strong").nth(15).waitFor({ timeout: DEADLINE_MS });
    // The faces take a moment from rest to what they feel.
    await page.waitForTimeout(5_000);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
  await fixture.close();
}
