/** Serves web/ itself, as Vite compiles it, for pages that try a part of it alone. */

import { fileURLToPath } from "node:url";
import { createServer } from "vite";

/** @returns {Promise<{url: string, close: () => Promise<void>}>} `url` ends with a slash */
export async function serveSources() {
  const server = await createServer({
    root: fileURLToPath(new URL("../", import.meta.url)),
    configFile: false,
    logLevel: "error",
    server: { host: "127.0.0.1", port: 0, hmr: false },
  });
  await server.listen();
  return { url: server.resolvedUrls?.local[0] ?? "", close: () => server.close() };
}
