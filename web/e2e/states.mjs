/**
 * Shows the page what goes wrong, by the fixture server, and prints as one line of JSON what it says each time.
 *
 *   node e2e/states.mjs [FOLDER of screenshots]
 */

import { join } from "node:path";
import { launch } from "./browser.mjs";
import { startFixture } from "./fixtureServer.mjs";

/** Session of the fixture server, and the state of the connection that it leads to. */
const CASES = [
  ["stall", "stalled"],
  ["end", "finished"],
  ["refuse", "refused"],
  ["foreign", "refused"],
  ["silent", "silent"],
];
const DEADLINE_MS = 60_000;

/**
 * What the page says once its connection is in a state: read at one instant, for a slow machine may see frames stop and
 * come again.
 *
 * @param {import("playwright-core").Page} page @param {string} state
 * @returns {Promise<{state: string | null, says: string | null}>}
 */
async function said(page, state) {
  const found = await page.waitForFunction(
    (wanted) => {
      const link = document.querySelector(`[data-testid=link][data-state=${wanted}]`);
      const note = document.querySelector(".caption-note");
      return link && note && { state: link.textContent, says: note.textContent };
    },
    state,
    { timeout: DEADLINE_MS },
  );
  return /** @type {{state: string | null, says: string | null}} */ (await found.jsonValue());
}

const fixture = await startFixture();
const browser = await launch();
try {
  /** @type {Record<string, {state: string | null, says: string | null}>} */
  const seen = {};
  const page = await browser.newPage({ permissions: ["camera", "microphone"] });
  const folder = process.argv[2];
  /** @param {string} name */
  const shot = async (name) => {
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
  };
  for (const [session = "", state = ""] of CASES) {
    await page.goto("about:blank");
    await page.goto(`${fixture.url}/#session=${session}&token=any`);
    seen[session] = await said(page, state);
    await shot(session);
  }

  /** @param {string} name what the page says after a start that failed */
  const failedStart = async (name) => {
    await page.locator(".caption-note.error").waitFor({ timeout: DEADLINE_MS });
    seen[name] = {
      state: await page.getByTestId("link").textContent(),
      says: await page.locator(".caption-note").textContent(),
    };
    await shot(name);
  };
  const agree = async () => {
    await page.getByRole("button", { name: "Use my camera" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("checkbox", { name: "Camera" }).press("Space");
    await dialog.getByRole("button", { name: "Agree and start" }).click();
  };
  /** @param {string} name of the error that the browser's getUserMedia throws */
  const refuseDevices = (name) =>
    page.evaluate((wanted) => {
      navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("refused by the test", wanted);
      };
    }, name);
  for (const [name, error] of [
    ["denied", "NotAllowedError"],
    ["missing", "NotFoundError"],
  ]) {
    await page.goto("about:blank");
    await page.goto(fixture.url);
    await refuseDevices(error ?? "");
    await agree();
    await failedStart(name ?? "");
  }
  await page.goto("about:blank");
  await page.goto(fixture.url);
  await page.getByRole("button", { name: "Use my camera" }).waitFor();
  await fixture.close();
  await agree();
  await failedStart("away");
  await page.goto("about:blank");
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await browser.close();
}
