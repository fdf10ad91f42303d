// How much script a visitor fetches before a player is opened: the built files, compressed as a server compresses them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const DIST = resolve(import.meta.dirname, "../../../dist");
const BYTES_MAX = 250_000;

/** A script and all that it imports before it runs; what it fetches later, by `import(…)`, is not counted. */
function withImports(path: string, found: Set<string>): Set<string> {
  if (found.has(path)) return found;
  found.add(path);
  const text = readFileSync(join(DIST, path), "utf8");
  for (const [, name] of text.matchAll(/(?:^|[;}\s])(?:import|export)\s*(?:[\w$*{}\s,]*?from\s*)?["'](\.[^"']+\.js)["']/g)) {
    withImports(join(path, "..", name ?? ""), found);
  }
  return found;
}

test("the_script_before_a_player_is_opened_is_small_and_has_no_player_in_it", () => {
  const page = readFileSync(join(DIST, "index.html"), "utf8");
  const scripts = new Set<string>();
  for (const [, source] of page.matchAll(/(?:src|href)="\/?(assets\/[^"]+\.js)"/g)) withImports(source ?? "", scripts);
  assert.ok(scripts.size > 0, "the page has a script");
  assert.ok(![...scripts].some((name) => name.includes("player")), [...scripts].join(", "));
  const bytes = [...scripts].reduce((sum, name) => sum + gzipSync(readFileSync(join(DIST, name))).length, 0);
  assert.ok(bytes < BYTES_MAX, `${bytes} bytes of ${BYTES_MAX}`);
  // Were the splitting undone, the player would be in there: it holds an emulator.
  assert.ok(bytes > 10_000, `${bytes} bytes cannot be all`);
});
