/**
 * For docs/: see tests/support/page_pictures.py, which starts this.
 *
 * Takes the documentation's pictures of the page from the running product, once the avatar smiles and the way of its
 * frames is measured hop by hop.
 *
 *   node e2e/picture.mjs 'http://…/#session=…&token=…' ../docs
 */

import { join } from "node:path";
import { hideRenderer, launch } from "./browser.mjs";

const [address = "", folder = "."] = process.argv.slice(2);
const DEADLINE_MS = 90_000;

/** Runs in the page: whether the sender has caught up with what starting a browser cost it. */
const promptly = () =>
  Number.parseInt(document.querySelector(".panel-figure")?.textContent ?? "9999", 10) < 700;

const browser = await launch();
try {
  for (const [name, colorScheme] of /** @type {const} */ ([
    ["page", "light"],
    ["page-dark", "dark"],
  ])) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme });
    await page.addInitScript(hideRenderer);
    await page.goto(address);
    await page.locator("[data-testid=link][data-state=live]").waitFor({ timeout: DEADLINE_MS });
    await page.locator(".legs li", { hasText: "shown" }).waitFor({ timeout: DEADLINE_MS });
    // The first frames after a start are slower than those of a session that runs.
    await page.waitForTimeout(8_000);
    await page.waitForFunction(promptly, undefined, { timeout: DEADLINE_MS });
    await page.locator(".bar.leads", { hasText: "Happy" }).waitFor({ timeout: DEADLINE_MS });
    await page.locator(".caption strong", { hasText: "Happy" }).waitFor({ timeout: DEADLINE_MS });
    await page.screenshot({ path: join(folder, `${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
}
