import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** `npm run build:lib`: the library in dist-lib/, with the models and the decoder that it loads beside it. */
export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    outDir: "dist-lib",
    lib: {
      entry: { index: "src/index.ts", react: "src/react.ts" },
      formats: ["es"],
      cssFileName: "affectstream",
    },
    rollupOptions: {
      external: [/^react(-dom)?(\/|$)/, /^three(\/|$)/, "@react-three/fiber", "@pixiv/three-vrm"],
    },
  },
});
