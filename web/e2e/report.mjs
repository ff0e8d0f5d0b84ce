/**
 * For docs/ and tests: see tests/support/report_pictures.py, which starts this.
 *
 * Opens an experiment's report (a file) light, dark and on a small screen, and takes pictures of it. Prints one JSON
 * object: what it asked of the network, what went wrong, and where it is wider than the screen.
 *
 *   node e2e/report.mjs file:///…/report.html FOLDER
 */

import { join } from "node:path";
import { launch } from "./browser.mjs";

const [address = "", folder = "."] = process.argv.slice(2);
const WIDTH = 1120;

const told = {
  requests: /** @type {string[]} */ ([]),
  errors: /** @type {string[]} */ ([]),
  wide: /** @type {string[]} */ ([]),
};
const browser = await launch();
try {
  for (const [name, colorScheme, width, from] of /** @type {const} */ ([
    ["report", "light", WIDTH, "header"],
    ["report-dark", "dark", WIDTH, "section:has(h2:text-matches('same sessions'))"],
    ["report-small", "light", 390, "header"],
  ])) {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    page.on("request", (request) => request.url() !== address && told.requests.push(request.url()));
    page.on("console", (message) => message.type() === "error" && told.errors.push(message.text()));
    page.on("pageerror", (error) => told.errors.push(error.message));
    await page.goto(address);
    const top = (await page.locator(from).first().boundingBox())?.y ?? 0;
    const full = await page.evaluate(() => document.documentElement.scrollHeight);
    if (await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth))
      told.wide.push(name);
    const clip = {
      x: 0,
      y: Math.max(0, top - 16),
      width,
      height: Math.min(1_560, full - Math.max(0, top - 16)),
    };
    await page.screenshot({ path: join(folder, `${name}.png`), clip, fullPage: true });
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(told));
