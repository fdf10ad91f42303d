// The console. In development, `npm run dev` shows it over a server at COUNTERFOIL_SERVER (default http://127.0.0.1:8080).

import { defineConfig } from "vite";

const server = process.env.COUNTERFOIL_SERVER ?? "http://127.0.0.1:8080";
const proxied = ["/v1", "/l", "/sign-in", "/sign-in.css", "/sign-out", "/sign-out-everywhere"];

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 250 },
  server: { proxy: Object.fromEntries(proxied.map((path) => [path, server])) },
});
