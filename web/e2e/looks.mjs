/**
 * Every state of the pages at desktop and phone size, light and dark, by the fixture server: prints as one line of JSON
 * what axe finds in each, and whether something is cut off at the side.
 *
 *   node e2e/looks.mjs '{"folder": "DIR of screenshots", "only": "wall", "sizes": ["phone"], "themes": ["dark"]}'
 */

import { join } from "node:path";
import { hindrances } from "./axe.mjs";
import { launch } from "./browser.mjs";
import { startFixture } from "./fixtureServer.mjs";

/** @typedef {{folder?: string, only?: string, sizes?: string[], themes?: string[]}} Wish */

const wish = /** @type {Wish} */ (JSON.parse(process.argv[2] ?? "{}"));
const DEADLINE_MS = 60_000;
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };
const THEMES = /** @type {const} */ (["light", "dark"]);

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page @param {string} state */
const link = (page, state) =>
  page.locator(`[data-testid=link][data-state=${state}]`).waitFor({ timeout: DEADLINE_MS });

/** @param {Page} page */
const ask = async (page) => {
  await page.getByRole("button", { name: "Use my camera" }).click();
  await page.getByRole("dialog").waitFor();
};

/** @param {Page} page */
const own = async (page) => {
  await ask(page);
  await page.getByRole("checkbox", { name: "Camera" }).press("Space");
  await page.getByRole("checkbox", { name: "Microphone" }).press("Space");
  await page.getByRole("button", { name: "Agree and start" }).click();
  await page.getByTestId("recording").waitFor({ timeout: DEADLINE_MS });
  await page.locator(".legs li").first().waitFor({ timeout: DEADLINE_MS });
};

/** @param {number} tiles */
const wall = (tiles) => async (/** @type {Page} */ page) => {
  await page
    .getByTestId("tile")
    .nth(tiles - 1)
    .waitFor({ timeout: DEADLINE_MS });
};

/** Each state: the address after the server's, and how it is reached. @type {Record<string, [address: string, reach: (page: Page) => Promise<unknown>]>} */
const STATES = {
  empty: ["/", (page) => page.getByRole("button", { name: "Use my camera" }).waitFor()],
  consent: ["/", ask],
  "consent-device": [
    "/",
    async (page) => {
      await ask(page);
      await page.getByRole("checkbox", { name: "Camera" }).press("Space");
      await page.getByRole("radio", { name: "On this device" }).press("Space");
      await page.getByText("What is worked out").click();
    },
  ],
  loading: [
    "/",
    async (page) => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () => new Promise(() => undefined);
      });
      await ask(page);
      await page.getByRole("checkbox", { name: "Camera" }).press("Space");
      await page.getByRole("button", { name: "Agree and start" }).click();
      await page.getByRole("button", { name: "Cancel" }).waitFor();
    },
  ],
  denied: [
    "/",
    async (page) => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = () =>
          Promise.reject(new DOMException("refused by the test", "NotAllowedError"));
      });
      await ask(page);
      await page.getByRole("checkbox", { name: "Camera" }).press("Space");
      await page.getByRole("button", { name: "Agree and start" }).click();
      await page.locator(".caption-note.error").waitFor({ timeout: DEADLINE_MS });
    },
  ],
  own: ["/", own],
  feeling: [
    "/",
    async (page) => {
      await own(page);
      await page.getByRole("button", { name: "4 of 5: well" }).click();
      await page.getByRole("button", { name: "Not now" }).waitFor();
    },
  ],
  devices: [
    "/",
    async (page) => {
      await own(page);
      await page.getByRole("button", { name: "Choose camera and microphone" }).click();
      const microphone = page.getByRole("combobox", { name: "Microphone" });
      await microphone.locator("option", { hasText: "Fake Audio Input 2" }).waitFor({ state: "attached" });
      await microphone.selectOption({ label: "Fake Audio Input 2" });
    },
  ],
  stopped: [
    "/",
    async (page) => {
      await own(page);
      await page.getByRole("button", { name: "Stop" }).click();
      await link(page, "idle");
    },
  ],
  watch: [
    "/?developer#session=smile&token=any",
    async (page) => {
      await page.locator(".legs li", { hasText: "shown" }).waitFor({ timeout: DEADLINE_MS });
      await page.getByTestId("developer").getByText("blend").waitFor({ timeout: DEADLINE_MS });
    },
  ],
  rated: [
    "/#session=smile&token=any",
    async (page) => {
      await link(page, "live");
      await page.getByRole("button", { name: "4 of 5: well" }).click();
      await page.getByText("Thank you").waitFor();
    },
  ],
  silent: ["/#session=silent&token=any", (page) => link(page, "silent")],
  stalled: ["/#session=stall&token=any", (page) => link(page, "stalled")],
  ended: ["/#session=end&token=any", (page) => link(page, "finished")],
  refused: ["/#session=refuse&token=any", (page) => link(page, "refused")],
  wall: ["/wall#token=many", wall(16)],
  "wall-live": [
    "/wall#token=many",
    async (page) => {
      await page.getByRole("radio", { name: "Live" }).press("Space");
      await wall(16)(page);
      await page.getByTestId("tile").locator("strong").nth(15).waitFor({ timeout: DEADLINE_MS });
    },
  ],
  "wall-details": [
    "/wall#token=many",
    async (page) => {
      await wall(16)(page);
      await page.getByTestId("tile").nth(1).getByRole("button").click();
      await page.getByTestId("details").waitFor();
      await page.getByTestId("details").locator(".bar.leads").waitFor({ timeout: DEADLINE_MS });
    },
  ],
  "wall-ended": [
    "/wall#token=many",
    async (page) => {
      await wall(16)(page);
      await page.getByRole("radio", { name: "Ended" }).press("Space");
      await page.getByTestId("tile").nth(5).waitFor({ state: "detached" });
    },
  ],
  "wall-nobody": ["/wall#token=nobody", (page) => page.getByText("Nobody is on").waitFor()],
  "wall-none-match": [
    "/wall#token=many",
    async (page) => {
      await wall(16)(page);
      await page.getByRole("searchbox").fill("no such session");
      await page.getByText("No session matches").waitFor();
    },
  ],
  "wall-refused": ["/wall#token=foreign", (page) => page.getByText("does not open").waitFor()],
  "wall-no-token": ["/wall", (page) => page.getByText("needs its own address").waitFor()],
};

const fixture = await startFixture();
const browser = await launch();
try {
  /** @type {Record<string, {hindrances: string[], cutOff: boolean, errors: string[]}>} */
  const seen = {};
  for (const [size, viewport] of Object.entries(SIZES)) {
    if (wish.sizes && !wish.sizes.includes(size)) continue;
    for (const colorScheme of THEMES) {
      if (wish.themes && !wish.themes.includes(colorScheme)) continue;
      for (const [state, [address, reach]] of Object.entries(STATES)) {
        if (wish.only && !state.startsWith(wish.only)) continue;
        const context = await browser.newContext({
          viewport,
          colorScheme,
          permissions: ["camera", "microphone"],
        });
        const page = await context.newPage();
        const errors = /** @type {string[]} */ ([]);
        page.on("pageerror", (error) => errors.push(error.message));
        await page.goto(`${fixture.url}${address}`);
        await reach(page);
        const name = [state, size, colorScheme].join("-");
        if (wish.folder) {
          await page.screenshot({
            path: join(wish.folder, `${name}.png`),
            animations: "disabled", // bars that are on their way to nothing look as if they stayed
            fullPage: !/^(consent|wall)/.test(state),
          });
        }
        seen[name] = {
          hindrances: await hindrances(page),
          cutOff: await page.evaluate(
            () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
          ),
          errors,
        };
        await context.close();
      }
    }
  }
  process.stdout.write(`${JSON.stringify(seen)}\n`);
} finally {
  await browser.close();
  await fixture.close();
}
