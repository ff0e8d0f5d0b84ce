import { defineConfig } from "vite";

/** `npm run example`: the example with the models that `npm run model` makes. */
export default defineConfig({ base: "./", publicDir: "../public", server: { host: "127.0.0.1" } });
