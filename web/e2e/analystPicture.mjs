/**
 * For docs/: takes the documentation's picture of the analyst page, two variants of a session side by side.
 *
 *   node e2e/analystPicture.mjs 'http://…/analytics#token=…' SESSION TICK ../docs
 */

import { join } from "node:path";
import { hideRenderer, launch } from "./browser.mjs";

const DEADLINE_MS = 60_000;
const [url = "", session = "", tick = "0", folder = "."] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, colorScheme: "light" });
  await page.addInitScript(hideRenderer);
  await page.goto(url);
  await page.getByTestId("session-row").first().waitFor({ timeout: DEADLINE_MS });
  await page.goto(`${url.split("#")[0]}#/session/${encodeURIComponent(session)}/${tick}`);
  await page.getByRole("button", { name: "Compare two variants" }).click();
  await page.getByText("over the session").waitFor({ timeout: DEADLINE_MS });
  await page
    .locator(`[data-testid=replay-stage][data-shown="${tick} ${tick}"]`)
    .waitFor({ timeout: DEADLINE_MS });
  await page.screenshot({ path: join(folder, "analytics-page.png") });
} finally {
  await browser.close();
}
