// Two emulators: for every real recording, xterm fed from a key frame shows the text of the server's own screen at 20 random moments.
//
// Method: each recording is uploaded, moments are drawn from a seeded generator, the page's driver seeks there, and its rows are compared
// with what the server says was on the screen. Differences that were understood are listed below, each with its cause; a new one fails.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { after, before, test } from "node:test";
import { execFileSync } from "node:child_process";
import { gunzipSync } from "node:zlib";

import xterm from "@xterm/headless";

import { Driver, rowsOf, type Stretch } from "../../src/player/driver.ts";
import { ask, type Server, start } from "./server.ts";

const RECORDINGS = process.env.COUNTERFOIL_RECORDINGS ?? resolve(import.meta.dirname, "../../../../../shared/data/sessions");
const MOMENTS = 20;
const SEED = 20261121;

let server: Server;
before(async () => {
  server = await start(10);
});
after(() => server?.stop());

/** Numbers that always fall the same way. */
function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Recordings of one file each, by a name that lasts; packed ones are unpacked. */
function recordings(): [name: string, bytes: Buffer][] {
  const files = readdirSync(RECORDINGS, { recursive: true, encoding: "utf8" }).map((name) => join(RECORDINGS, name));
  const wanted = files.filter((path) => statSync(path).isFile() && /\.(?:cast|ttyrec)(?:\.gz|\.bz2)?$|-v1\.json$|journal-.*\.txt$/.test(path));
  return wanted.sort().map((path) => [relative(RECORDINGS, path), unpacked(path)]);
}

function unpacked(path: string): Buffer {
  const bytes = readFileSync(path);
  if (path.endsWith(".gz")) return gunzipSync(bytes);
  if (path.endsWith(".bz2")) return execFileSync("python3", ["-c", "import bz2,sys; sys.stdout.buffer.write(bz2.decompress(sys.stdin.buffer.read()))"], { input: bytes, maxBuffer: 1 << 30 });
  return bytes;
}

interface Difference {
  recording: string;
  at: number;
  row: number;
  server: string;
  xterm: string;
}

test("xterm_shows_what_the_server_s_screen_shows_at_random_moments", async (context) => {
  if (!existsSync(RECORDINGS)) {
    assert.ok(!process.env.COUNTERFOIL_REQUIRE_TOOLS, `${RECORDINGS} is not there`);
    context.skip(`${RECORDINGS} is not there`);
    return;
  }
  const route = await fetch(`${server.url}/v1/openapi.json`).then((reply) => reply.text());
  if (!route.includes("/sessions/{session}/screen")) {
    context.skip("the server has no route that tells the text of a screen");
    return;
  }
  const next = dice(SEED);
  const differences: Difference[] = [];
  const unplayed: string[] = [];
  let compared = 0;
  const all = recordings();
  for (const [name, bytes] of all) {
    const { id } = await ask<{ id: string }>(server, "POST", "/sessions", { client_id: name, recording: { title: basename(name) } });
    const sent = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/recording?finish=true`, {
      method: "PUT",
      headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/octet-stream" },
      body: new Uint8Array(bytes),
      signal: AbortSignal.timeout(60_000),
    });
    assert.equal(sent.status, 200, `${name}: ${await sent.text()}`);
    const fetchStretch = (at: number) => ask<Stretch>(server, "GET", `/sessions/${id}/playback?at=${Math.floor(at)}`);
    let first: Stretch;
    try {
      first = await fetchStretch(0);
    } catch (error) {
      unplayed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      continue;
    }
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      const at = Math.floor(next() * (first.duration_us + 1));
      const driver = new Driver(fetchStretch, (columns, rows) => new xterm.Terminal({ cols: columns, rows, allowProposedApi: true }));
      await driver.seek(at);
      const shown = await ask<{ text: string[] }>(server, "GET", `/sessions/${id}/screen?at_us=${at}`);
      const ours = driver.terminal ? rowsOf(driver.terminal) : [];
      compared += 1;
      const row = shown.text.findIndex((text, place) => alike(text) !== alike(ours[place] ?? ""));
      if (row >= 0 || ours.length !== shown.text.length) differences.push({ recording: name, at, row, server: shown.text[row] ?? "", xterm: ours[row] ?? "" });
      driver.terminal?.dispose();
    }
  }
  const by = new Map<string, Difference[]>();
  for (const difference of differences) by.set(difference.recording, [...(by.get(difference.recording) ?? []), difference]);
  context.diagnostic(`${compared} moments of ${all.length} recordings compared, ${differences.length} differ in ${by.size} recordings, ${unplayed.length} recordings do not play`);
  for (const line of unplayed) context.diagnostic(`not played: ${line}`);
  for (const [name, some] of by) {
    const [one] = some;
    context.diagnostic(`${name}: ${some.length} of ${MOMENTS}; at ${one?.at} row ${one?.row}\n  server ${JSON.stringify(one?.server)}\n  xterm  ${JSON.stringify(one?.xterm)}`);
  }
  const unexplained = [...by.keys()].filter((name) => !EXPLAINED.some(([pattern]) => pattern.test(name)));
  assert.deepEqual(unexplained, []);
  assert.ok(compared > 100, `only ${compared} moments were compared`);
});

/**
 * What is drawn differently, and why.
 *
 * The bullet of the DEC line-drawing set (0x7e; the floor in nethack): the server's emulator shows U+22C5, xterm U+00B7. Both are meant to look
 * like the VT100's; nothing says which of the two it is.
 */
const alike = (text: string): string => text.replaceAll("\u22c5", "\u00b7");

/** Recordings in which the two differ otherwise, and why. */
const EXPLAINED: [recording: RegExp, cause: string][] = [];
