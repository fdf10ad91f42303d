// The offline viewer: script and style go into the one HTML file.

import { defineConfig, type Plugin } from "vite";

/** Puts every made file into the page that names it. */
function inlined(): Plugin {
  return {
    name: "counterfoil-one-file",
    enforce: "post",
    generateBundle(_, bundle) {
      const page = Object.values(bundle).find((file) => file.fileName === "viewer.html");
      if (page?.type !== "asset") throw new Error("viewer.html was not made");
      let html = String(page.source);
      for (const file of Object.values(bundle)) {
        if (file === page) continue;
        const content = file.type === "chunk" ? file.code : String(file.source);
        if (file.fileName.endsWith(".js")) {
          const tag = new RegExp(`<script[^>]*src="[^"]*${file.fileName.replaceAll(".", "\\.")}"[^>]*></script>`);
          if (!tag.test(html)) throw new Error(`${file.fileName} is not named by the page: the viewer has to be one chunk`);
          // After the content, because nothing defers an inline script; a module would not run from a disk in every browser.
          html = html.replace(tag, "").replace("</body>", () => `<script>${content.replaceAll("</script", "<\\/script")}</script></body>`);
        } else if (file.fileName.endsWith(".css")) {
          const tag = new RegExp(`<link[^>]*href="[^"]*${file.fileName.replaceAll(".", "\\.")}"[^>]*>`);
          html = html.replace(tag, () => `<style>${content}</style>`);
        }
        delete bundle[file.fileName];
      }
      page.source = html;
    },
  };
}

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [inlined()],
  publicDir: false,
  build: {
    target: "es2022",
    emptyOutDir: false,
    modulePreload: false,
    cssCodeSplit: false,
    rollupOptions: { input: "viewer.html", output: { format: "iife", codeSplitting: false } as never },
  },
});
