/**
 * Shows the page what goes wrong, by the fixture server, and prints as one line of JSON what it says each time.
 *
 *   node e2e/states.mjs
 */

import { launch } from "./browser.mjs";
import { startFixture } from "./fixtureServer.mjs";

/** Session of the fixture server, and the state of the connection that it leads to. */
const CASES = [
  ["stall", "stalled"],
  ["end", "finished"],
  ["refuse", "refused"],
];
const DEADLINE_MS = 60_000;

const fixture = await startFixture();
const browser = await launch();
try {
  /** @type {Record<string, {state: string | null, says: string | null}>} */
  const seen = {};
  const page = await browser.newPage();
  for (const [session = "", state = ""] of CASES) {
    await page.goto("about:blank");
    await page.goto(`${fixture.url}/#session=${session}&token=any`);
    await page.locator(`[data-testid=link][data-state=${state}]`).waitFor({ timeout: DEADLINE_MS });
    seen[session] = {
      state: await page.getByTestId("link").textContent(),
      says: await page.locator(".caption-note").textContent(),
    };
  }
  await fixture.close();
  await page.goto("about:blank");
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await browser.close();
}
