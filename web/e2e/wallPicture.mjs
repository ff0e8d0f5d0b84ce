/**
 * For docs/: see tests/support/page_pictures.py, which starts this.
 *
 * Takes the documentation's pictures of the wall of a running product, once sixteen sessions show what they feel.
 *
 *   node e2e/wallPicture.mjs 'http://…/wall#token=…' ../docs
 */

import { join } from "node:path";
import { hideRenderer, launch } from "./browser.mjs";

const [address = "", folder = "."] = process.argv.slice(2);
const DEADLINE_MS = 120_000;

const browser = await launch();
try {
  for (const [name, colorScheme] of /** @type {const} */ ([
    ["wall", "light"],
    ["wall-dark", "dark"],
  ])) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme });
    await page.addInitScript(hideRenderer);
    await page.goto(address);
    await page.locator(".segment", { hasText: "Live" }).click();
    await page.getByTestId("tile").locator("strong").nth(15).waitFor({ timeout: DEADLINE_MS });
    // The faces take a moment from rest to what they feel.
    await page.waitForTimeout(5_000);
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
}
