/**
 * Visits the analyst page in a real browser and prints, as one line of JSON, what it saw. The test that starts it judges.
 *
 *   node e2e/analyst.mjs '{"url": "http://…/analytics#token=…", "session": "ID", "long": "ID", "experiment": "NAME", "shots": "DIR"}'
 *
 * `session` is one whose signals are kept, `long` one of many ticks, `experiment` one with results.
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { hindrances } from "./axe.mjs";
import { launch } from "./browser.mjs";

/** @typedef {{url: string, session: string, long: string, experiment?: string, shots?: string, deadlineMs?: number, sizes?: string[]}} Visit */
/** @typedef {import("playwright-core").Page} Page */

const visit = /** @type {Visit} */ (JSON.parse(process.argv[2] ?? "{}"));
const timeout = visit.deadlineMs ?? 60_000;
const place = visit.url.split("#")[0] ?? "";
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };
const THEMES = /** @type {const} */ ({ desktop: "light", phone: "dark" });

/** What is found in each state, by its name. @type {Record<string, {hindrances: string[], cutOff: boolean}>} */
const states = {};
const traffic = { origins: /** @type {string[]} */ ([]), errors: /** @type {string[]} */ ([]), tokens: 0 };

/** @param {Page} page @param {string} state */
async function look(page, state) {
  const name = `${state}-${(page.viewportSize()?.width ?? 0) < 600 ? "phone" : "desktop"}`;
  if (visit.shots) await page.screenshot({ path: join(visit.shots, `analyst-${name}.png`), fullPage: true });
  states[name] = {
    hindrances: await hindrances(page),
    cutOff: await page.evaluate(
      "document.documentElement.scrollWidth > document.documentElement.clientWidth",
    ),
  };
}

/** Runs in the page: every chart's title, how many points it has and what drawing them took. */
function readCharts() {
  return [...document.querySelectorAll("[data-testid=chart]")].map((chart) => ({
    title: chart.querySelector("h3")?.textContent ?? "",
    points: Number(chart.getAttribute("data-points")),
    drawnMs: Number(chart.querySelector(".chart-box")?.getAttribute("data-drawn-ms") ?? Number.NaN),
  }));
}

/** @param {Page} page @param {number} count Waits for so many charts to be drawn. */
async function charts(page, count) {
  await page.waitForFunction(
    `document.querySelectorAll(".chart-box[data-drawn-ms], .chart-none").length >= ${count}`,
    undefined,
    { timeout },
  );
  return page.evaluate(readCharts);
}

/** @param {Page} page @param {string} sequences Waits until the avatars show these ticks. */
const shown = (page, sequences) =>
  page.locator(`[data-testid=replay-stage][data-shown="${sequences}"]`).waitFor({ timeout });

/** @param {Page} page The picture of the avatars, as a hash: equal pictures have equal ones. */
async function picture(page) {
  await page.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))),
  );
  const png = await page.getByTestId("replay-stage").screenshot();
  return createHash("sha256").update(png).digest("hex");
}

/** @param {Page} page */
const tick = async (page) => Number(await page.getByTestId("transport").getAttribute("data-sequence"));

/** @param {Page} page What the panel says of the avatar's channels. @returns {Promise<Record<string, number>>} */
const channels = (page) =>
  page
    .locator("[data-channel]")
    .evaluateAll((rows) =>
      Object.fromEntries(
        rows.map((row) => [row.getAttribute("data-channel"), Number(row.getAttribute("data-value"))]),
      ),
    );

/** @param {Page} page */
async function explorer(page) {
  const row = page.getByTestId("session-row");
  await row.first().waitFor({ timeout });
  const address = page.url();
  const listed = await row.count();
  await look(page, "sessions");
  await page.getByRole("searchbox").fill(visit.session);
  await row.nth(1).waitFor({ state: "detached", timeout });
  const found = await row.allTextContents();
  await page.getByRole("searchbox").fill("no such session");
  await page.getByText("No session matches").waitFor({ timeout });
  await look(page, "none-match");
  await page.getByRole("button", { name: "Show all of the period" }).click();
  await row.nth(1).waitFor({ timeout });
  const lengths = async () => (await page.locator("tbody tr td:nth-child(3)").allTextContents()).map(String);
  await page.getByRole("button", { name: "Length" }).click();
  await page.locator("th[aria-sort=descending]", { hasText: "Length" }).waitFor();
  await page.locator("[data-testid=explorer][aria-busy=false]").waitFor({ timeout });
  const longestFirst = await lengths();
  await page.getByRole("button", { name: "Length" }).click();
  await page.locator("th[aria-sort=ascending]", { hasText: "Length" }).waitFor();
  await page.locator("[data-testid=explorer][aria-busy=false]").waitFor({ timeout });
  const shortestFirst = await lengths();
  await page.getByRole("searchbox").fill(visit.session);
  await page.getByRole("link", { name: visit.session }).click();
  return { address, listed, found, longestFirst, shortestFirst };
}

/** @param {Page} page The session is open. */
async function replay(page) {
  const drawn = await charts(page, 4);
  await page.getByRole("button", { name: /^All \d+$/ }).click();
  const slider = page.getByRole("slider", { name: "Tick" });
  /** @param {number} sequence */
  const scrub = async (sequence) => {
    await slider.fill(String(sequence));
    await shown(page, String(sequence));
    return { sequence, channels: await channels(page), picture: await picture(page) };
  };
  const scrubbed = [await scrub(20), await scrub(75), await scrub(20)];
  await page.getByRole("button", { name: "A tick on" }).click();
  await shown(page, "21");
  const stepped = [await tick(page)];
  await page.getByRole("button", { name: "A tick back" }).click();
  await shown(page, "20");
  stepped.push(await tick(page));
  await page.getByTestId("transport").locator("strong").click();
  await page.keyboard.press("ArrowRight");
  await shown(page, "21");
  stepped.push(await tick(page));
  await page.keyboard.press("Shift+ArrowRight");
  await shown(page, "51");
  stepped.push(await tick(page));
  await page.getByRole("button", { name: "Play" }).click();
  await page.waitForFunction(
    "Number(document.querySelector('[data-testid=transport]').dataset.sequence) > 70",
    undefined,
    { timeout },
  );
  await page.getByRole("button", { name: "Pause" }).click();
  const played = await tick(page);
  const over = page.locator(".u-over").first();
  const { width, height } = (await over.boundingBox()) ?? { width: 0, height: 0 };
  await over.click({ position: { x: width / 2, y: height / 2 } });
  const picked = await tick(page);
  await page.waitForFunction(`location.hash.endsWith("/${picked}")`, undefined, { timeout });
  await look(page, "session");
  return { drawn, scrubbed, stepped, played, picked, last: Number(await slider.getAttribute("max")) };
}

/** @param {Page} page The session is open. */
async function compare(page) {
  await page.getByRole("slider", { name: "Tick" }).fill("75");
  await page.getByRole("button", { name: "Compare two variants" }).click();
  await shown(page, "75 75");
  await page.getByText("over the session").waitFor({ timeout });
  /** Mean difference over the session, as the page says it. */
  const difference = async () =>
    Number(
      /over the session ([\d.]+)/.exec((await page.locator("figcaption").first().textContent()) ?? "")?.[1],
    );
  const other = await difference();
  await look(page, "compare");
  const right = page.getByRole("group", { name: "Right" });
  await right.getByRole("textbox", { name: "Parameters" }).fill("au12_gain=99");
  await right.getByRole("textbox", { name: "Parameters" }).press("Enter");
  await page.locator(".replay-note", { hasText: "au12_gain" }).waitFor({ timeout });
  const refused = await page.locator(".replay-note").textContent();
  await look(page, "compare-refused");
  // Fused again with its own smoothing named: what comes out must be what was recorded, tick by tick.
  await right.getByRole("textbox", { name: "Parameters" }).fill("");
  await right.getByRole("textbox", { name: "Parameters" }).press("Enter");
  await right.getByRole("combobox", { name: "Mapping" }).selectOption("");
  await right.getByRole("combobox", { name: "Smoothing" }).selectOption("spring");
  await shown(page, "75 75");
  await page.getByText("over the session 0.0000").waitFor({ timeout });
  const same = await difference();
  await page.getByRole("button", { name: "Stop comparing" }).click();
  await shown(page, "75");
  return { other, same, refused };
}

/** @param {Page} page */
async function manyTicks(page) {
  const began = Date.now();
  await page.goto(`${place}#/session/${visit.long}`);
  const drawn = await charts(page, 4);
  const openedMs = Date.now() - began;
  const slider = page.getByRole("slider", { name: "Tick" });
  const last = Number(await slider.getAttribute("max"));
  // Far from what is loaded: the page of ticks has to come first.
  await slider.fill(String(Math.floor(last / 2)));
  await shown(page, String(Math.floor(last / 2)));
  await look(page, "long");
  return { drawn, openedMs, last, loadedMs: Date.now() - began };
}

/** @param {Page} page */
async function figures(page) {
  await page.goto(`${place}#/trends`);
  const drawn = await charts(page, 9);
  const text = (/** @type {string} */ id) => page.getByTestId(id).textContent();
  const trends = {
    drawn,
    figures: await text("trend-figures"),
    drops: await text("drops"),
    hops: await page.getByTestId("hops").locator("tbody tr").count(),
  };
  await look(page, "trends");
  await page.goto(`${place}#/drift`);
  await page.getByTestId("drift").waitFor({ timeout });
  await charts(page, 1);
  const drift = await page.locator("[data-testid=drift] tbody tr").count();
  await look(page, "drift");
  await page.goto(`${place}#/experiments`);
  if (visit.experiment === undefined) {
    await page.getByText("There is no experiment").waitFor({ timeout });
    await look(page, "experiments");
    return { trends, drift };
  }
  await page.getByRole("link", { name: visit.experiment }).click();
  await page.getByTestId("experiment").waitFor({ timeout });
  const metrics = await page.getByTestId("metric").count();
  const fairness = await text("fairness");
  await look(page, "experiment");
  return { trends, drift, metrics, fairness };
}

/** @param {Page} page What is said where nothing can be shown. */
async function troubles(page) {
  await page.goto(`${place}#/session/nobody`);
  await page.getByText("There is no such session").waitFor({ timeout });
  await look(page, "no-session");
  await page.route(/\/v1\/trends/, (route) => route.abort());
  await page.goto(`${place}#/trends`);
  await page.getByText("Analytics cannot be reached").waitFor({ timeout });
  await look(page, "unreachable");
  await page.unroute(/\/v1\/trends/);
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByTestId("trend-figures").waitFor({ timeout });
  /** @type {() => void} */
  let release = () => undefined;
  const held = new Promise((done) => {
    release = () => done(null);
  });
  await page.route(/\/v1\/explorer/, async (route) => {
    await held;
    await route.continue().catch(() => undefined);
  });
  await page.goto(`${place}#/sessions`);
  await page.locator(".skeleton").first().waitFor({ timeout });
  await look(page, "loading");
  release();
  await page.getByTestId("session-row").first().waitFor({ timeout });
  const kept = await page.evaluate(() => sessionStorage.length);
  await page.evaluate(() => sessionStorage.clear());
  await page.goto(`${place}#token=foreign`);
  await page.reload();
  await page.getByText("does not open any more").waitFor({ timeout });
  await look(page, "refused");
  await page.evaluate(() => sessionStorage.clear());
  await page.goto(`${place}#/trends`);
  await page.reload();
  await page.getByText("needs its own address").waitFor({ timeout });
  await look(page, "no-token");
  return { kept };
}

/** @param {Page} page The same pages on a phone. */
async function briefly(page) {
  await page.getByTestId("session-row").first().waitFor({ timeout });
  await look(page, "sessions");
  await page.goto(`${place}#/session/${visit.session}/75`);
  await charts(page, 4);
  await shown(page, "75");
  await look(page, "session");
  await page.getByRole("button", { name: "Compare two variants" }).click();
  await page.getByText("over the session").waitFor({ timeout });
  await look(page, "compare");
  return figures(page);
}

const browser = await launch();
try {
  /** @type {Record<string, object>} */
  const seen = {};
  for (const [size, viewport] of Object.entries(SIZES)) {
    if (!(visit.sizes ?? Object.keys(SIZES)).includes(size)) continue;
    const colorScheme = THEMES[/** @type {keyof typeof THEMES} */ (size)];
    const context = await browser.newContext({ viewport, colorScheme });
    const page = await context.newPage();
    page.setDefaultTimeout(timeout);
    page.on("pageerror", (error) => traffic.errors.push(error.message));
    page.on("request", (request) => {
      const { origin, protocol, href } = new URL(request.url());
      if (protocol !== "data:" && protocol !== "blob:" && !traffic.origins.includes(origin))
        traffic.origins.push(origin);
      if (href.includes("token")) traffic.tokens += 1;
    });
    await page.goto(visit.url);
    try {
      seen[size] =
        size === "desktop"
          ? {
              explorer: await explorer(page),
              replay: await replay(page),
              compare: await compare(page),
              long: await manyTicks(page),
              figures: await figures(page),
              troubles: await troubles(page),
            }
          : { figures: await briefly(page) };
    } catch (error) {
      // What was awaited is not there: what is?
      process.stderr.write(`${page.url()}\n${await page.locator("main").innerText()}\n`);
      throw error;
    }
    await context.close();
  }
  process.stdout.write(`${JSON.stringify({ ...seen, states, traffic })}\n`);
} finally {
  await browser.close();
}
