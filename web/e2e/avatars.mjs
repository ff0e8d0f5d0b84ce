/**
 * Opens other avatars on the page, by the fixture server, and prints as one line of JSON what it shows and says.
 *
 *   node e2e/avatars.mjs FILE.glb [FOLDER of screenshots]
 *
 * The file is first dropped on the stage, then, after one that is no avatar, the default avatar is asked for again.
 */

import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { launch } from "./browser.mjs";
import { startFixture } from "./fixtureServer.mjs";

const DEADLINE_MS = 60_000;
const [model = "", folder] = process.argv.slice(2);

const fixture = await startFixture();
const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const origins = new Set();
  const errors = /** @type {string[]} */ ([]);
  page.on("request", (request) => origins.add(new URL(request.url()).origin));
  page.on("pageerror", (error) => errors.push(error.message));
  /** @param {string} name */
  const shown = (name) =>
    page.locator(`[data-avatar="${name}"]`).waitFor({ state: "attached", timeout: DEADLINE_MS });
  /** @param {string} name */
  const shot = async (name) => {
    if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
  };

  await page.goto(`${fixture.url}/#session=smile&token=any`);
  await shown("The default avatar");

  const dropped = await page.evaluateHandle(
    ({ bytes, name }) => {
      const transfer = new DataTransfer();
      const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([content], name));
      return transfer;
    },
    { bytes: (await readFile(model)).toString("base64"), name: basename(model) },
  );
  await page.dispatchEvent(".stage", "dragover", { dataTransfer: dropped });
  const invitation = await page.locator(".avatar-drop").textContent();
  await page.dispatchEvent(".stage", "drop", { dataTransfer: dropped });
  await shown(basename(model));
  await shot("other-avatar");

  const song = { name: "song.mp3", mimeType: "audio/mpeg", buffer: Buffer.from("this is no avatar at all") };
  await page.getByTestId("avatar-file").setInputFiles(song);
  const note = page.getByTestId("avatar-note");
  await note.waitFor({ timeout: DEADLINE_MS });
  const refusal = await note.textContent();
  await shot("refused-avatar");
  await shown(basename(model));

  await page.getByRole("button", { name: "Default avatar" }).click();
  await shown("The default avatar");
  await shot("default-avatar");
  const foreign = [...origins].filter(
    (origin) => origin !== new URL(fixture.url).origin && origin !== "null",
  );
  process.stdout.write(`${JSON.stringify({ invitation, refusal, foreign, errors })}\n`);
} finally {
  await browser.close();
  await fixture.close();
}
