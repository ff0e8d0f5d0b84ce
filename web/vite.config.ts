import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Our models under names that hold their content's hash, so that a page never meets an older build's in a cache. */
function namedModels(): Plugin {
  const named = new Map<string, { readonly fileName: string; readonly source: Uint8Array }>();
  return {
    name: "named-models",
    apply: "build",
    config() {
      for (const name of ["avatar", "avatar-light"]) {
        const source = readFileSync(new URL(`public/models/${name}.glb`, import.meta.url));
        const hash = createHash("sha256").update(source).digest("hex").slice(0, 10);
        named.set(name, { fileName: `assets/${name}-${hash}.glb`, source });
      }
      return {
        define: {
          __OWN_URL__: JSON.stringify(named.get("avatar")?.fileName),
          __OWN_LIGHT_URL__: JSON.stringify(named.get("avatar-light")?.fileName),
        },
      };
    },
    generateBundle() {
      for (const file of named.values()) this.emitFile({ type: "asset", ...file });
    },
  };
}

export default defineConfig({
  plugins: [react(), namedModels()],
  // Relative addresses: the edge may serve the page under any path.
  base: "./",
  build: {
    target: "es2022",
    // three.js alone is more than the default threshold; it is needed before anything can be shown.
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      input: ["index.html", "wall.html", "analytics.html"],
      output: {
        codeSplitting: { groups: [{ name: "three", test: /node_modules[\\/]three/ }] },
      },
    },
  },
  server: { host: "127.0.0.1" },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
