/**
 * `npm run model`: writes what the page's avatars need into public/: our models, made by the code of this folder, and
 * three.js's decoder of Draco meshes, so that other people's models need no outside server.
 * Models that are newer than everything they are made of stay as they are.
 */

import { copyFile, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const here = new URL("./", import.meta.url);
const models = new URL("../public/models/", here);
const changedAt = async (/** @type {URL} */ file) => (await stat(file).catch(() => null))?.mtimeMs ?? 0;

const sources = ["../package-lock.json", "../src/protocol/vocabulary.ts", ...(await readdir(here))];
const newest = Math.max(...(await Promise.all(sources.map((name) => changedAt(new URL(name, here))))));
const made = ["avatar.glb", "avatar-light.glb"].map((name) => changedAt(new URL(name, models)));
if (Math.min(...(await Promise.all(made))) < newest) {
  const { module } = await runnerImport(fileURLToPath(new URL("./files.ts", here)));
  await mkdir(models, { recursive: true });
  for (const [name, bytes] of Object.entries(await module.avatarFiles())) {
    await writeFile(new URL(name, models), bytes);
    process.stdout.write(`public/models/${name}: ${Math.round(bytes.byteLength / 1000)} kB\n`);
  }
}

const draco = new URL("../node_modules/three/examples/jsm/libs/draco/gltf/", here);
const decoder = new URL("../public/draco/", here);
await mkdir(decoder, { recursive: true });
for (const name of ["draco_decoder.js", "draco_decoder.wasm", "draco_wasm_wrapper.js"]) {
  await copyFile(new URL(name, draco), new URL(name, decoder));
}
