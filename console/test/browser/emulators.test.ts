// Two emulators: for every real recording, xterm fed from a key frame shows the text of the server's own screen at 20 random moments.
//
// Method: each recording is uploaded, moments are drawn from a seeded generator, the page's driver seeks there, and its rows are compared
// with what the server says was on the screen. Differences that were understood are listed below, each with its cause; a new one fails.
// The same list is in docs/console.md.
//
// What the collection has only in part is completed, and the name says so: raw captures of a terminal have no times, so each goes as a
// typescript with a timing file that cuts it into pieces; sudo's timing files come without the streams they tell of, so those are filled
// with the bytes of a real capture.

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

interface Recording {
  name: string;
  bytes: Buffer;
  /** What the recorder would tell of it. */
  said?: Record<string, unknown>;
}

/** Every recording, by a name that lasts. */
function recordings(): Recording[] {
  return [...ofOneFile(), ...captures(), ...sudoLogs()];
}

/** An uncompressed tar, as `counterfoil upload` makes of a folder. */
function tar(files: [name: string, content: Buffer][]): Buffer {
  const parts = files.flatMap(([name, content]) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("0", 156);
    header.write("ustar\0" + "00", 257, "latin1");
    header.fill(" ", 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, content, Buffer.alloc((512 - (content.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** Pieces that a capture without times is cut into. */
const PIECES = 200;
const PIECE_SECONDS = 0.05;

/** What was captured between a program and a terminal, without times, and the size of the terminal. */
function captures(): Recording[] {
  const folder = join(RECORDINGS, "raw-pty");
  return readdirSync(folder).sort().map((name) => {
    const bytes = readFileSync(join(folder, name, "alacritty.recording"));
    const size = JSON.parse(readFileSync(join(folder, name, "size.json"), "utf8")) as { columns: number; screen_lines: number };
    const step = Math.max(1, Math.ceil(bytes.length / PIECES));
    const lengths = Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) => Math.min(step, bytes.length - at * step));
    const timing = Buffer.from(lengths.map((length) => `${PIECE_SECONDS} ${length}\n`).join(""));
    // A typescript begins with a line of its own.
    const typescript = Buffer.concat([Buffer.from("Script started on 2026-01-01 00:00:00+00:00\n"), bytes]);
    return {
      name: `raw-pty/${name} (with made-up times)`,
      bytes: tar([["timing", timing], ["typescript", typescript]]),
      said: { format: "script", size: { columns: size.columns, rows: size.screen_lines } },
    };
  });
}

const STREAMS = ["stdin", "stdout", "stderr", "ttyin", "ttyout"];

/** Folders of sudo's I/O log: its real timing files and descriptions, and streams of the lengths they tell of. */
function sudoLogs(): Recording[] {
  const folder = join(RECORDINGS, "sudo-iolog");
  const names = readdirSync(folder).sort();
  const logs = names.filter((name) => /\.(?:log|json)$/.test(name));
  const filling = readFileSync(join(RECORDINGS, "raw-pty/vim_24bitcolors_bce/alacritty.recording"));
  return names.filter((name) => name.startsWith("timing.")).map((name, at) => {
    const timing = readFileSync(join(folder, name));
    const lengths = new Map<number, number>();
    for (const line of timing.toString().split("\n")) {
      const [kind = 9, , count = 0] = line.split(" ").map(Number);
      if (kind < STREAMS.length) lengths.set(kind, (lengths.get(kind) ?? 0) + count);
    }
    const streams = [...lengths].map(([kind, length]): [string, Buffer] => [STREAMS[kind] ?? "", Buffer.alloc(length, filling)]);
    const log = logs[at % logs.length] ?? "";
    const described: [string, Buffer] = [log.endsWith(".json") ? "log.json" : "log", readFileSync(join(folder, log))];
    return { name: `sudo-iolog/${name}, ${log} (with made-up streams)`, bytes: tar([described, ["timing", timing], ...streams]) };
  });
}

/** Recordings of one file each; packed ones are unpacked. */
function ofOneFile(): Recording[] {
  const files = readdirSync(RECORDINGS, { recursive: true, encoding: "utf8" }).map((name) => join(RECORDINGS, name));
  const wanted = files.filter((path) => statSync(path).isFile() && /\.(?:cast|ttyrec)(?:\.gz|\.bz2)?$|-v1\.json$|asciicast-conformance\/v1\/.*\.json$|journal-.*\.txt$/.test(path));
  return wanted.sort().map((path) => ({ name: relative(RECORDINGS, path), bytes: unpacked(path) }));
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
  /** Moments that are alike but for the bullet, see `alike`. */
  const bullets = new Map<string, number>();
  let compared = 0;
  const all = recordings();
  for (const { name, bytes, said } of all) {
    const { id } = await ask<{ id: string }>(server, "POST", "/sessions", { client_id: name, recording: { title: basename(name), ...said } });
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
    // What was completed must not have come to nothing.
    if (name.includes("(with made-up")) assert.ok(first.events.length > 0 && first.duration_us > 0, `${name}: ${first.events.length} events in ${first.duration_us} µs`);
    for (let moment = 0; moment < MOMENTS; moment += 1) {
      const at = Math.floor(next() * (first.duration_us + 1));
      const driver = new Driver(fetchStretch, (columns, rows) => new xterm.Terminal({ cols: columns, rows, allowProposedApi: true }));
      await driver.seek(at);
      const shown = await ask<{ text: string[] }>(server, "GET", `/sessions/${id}/screen?at_us=${at}`);
      const ours = driver.terminal ? rowsOf(driver.terminal) : [];
      compared += 1;
      if (shown.text.some((text, place) => text !== (ours[place] ?? ""))) bullets.set(name, (bullets.get(name) ?? 0) + 1);
      const row = shown.text.findIndex((text, place) => alike(text) !== alike(ours[place] ?? ""));
      if (row >= 0 || ours.length !== shown.text.length) differences.push({ recording: name, at, row, server: shown.text[row] ?? "", xterm: ours[row] ?? "" });
      driver.terminal?.dispose();
    }
  }
  const by = new Map<string, Difference[]>();
  for (const difference of differences) by.set(difference.recording, [...(by.get(difference.recording) ?? []), difference]);
  context.diagnostic(`${compared} moments of ${all.length} recordings compared, ${differences.length} differ in ${by.size} recordings, ${unplayed.length} recordings do not play`);
  for (const [name, count] of bullets) context.diagnostic(`with another bullet, or another difference: ${name}, ${count} moments`);
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
