import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  // Relative addresses: the edge may serve the page under any path.
  base: "./",
  build: {
    target: "es2022",
    // three.js alone is more than the default threshold; it is needed before anything can be shown.
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      input: ["index.html", "wall.html"],
      output: {
        codeSplitting: { groups: [{ name: "three", test: /node_modules[\\/]three/ }] },
      },
    },
  },
  server: { host: "127.0.0.1" },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
