// A demo trail of its own for the tests: the real program, its real page, nothing in between.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../../../..");
const START_MS = 60_000;

export interface Server {
  url: string;
  data: string;
  login: string;
  password: string;
  token: string;
  /** The organisation, by name. */
  org: string;
  stop(): Promise<void>;
}

/** The program under test: `COUNTERFOIL_BIN`, else the one that the Rust tests were run with. */
export const PROGRAM = process.env.COUNTERFOIL_BIN ?? join(ROOT, "target/debug/counterfoil");

export async function start(events = 3000, patience = START_MS): Promise<Server> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: build it (cargo build), or name it in COUNTERFOIL_BIN`);
  const folder = mkdtempSync(join(tmpdir(), "counterfoil-console-"));
  const data = join(folder, "data");
  const child: ChildProcess = spawn(PROGRAM, ["demo", "--listen", "127.0.0.1:0", "--events", String(events), "--data", data], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let errors = "";
  child.stderr?.on("data", (piece: Buffer) => {
    errors = (errors + piece.toString()).slice(-5000);
  });
  const printed = await new Promise<string>((done, failed) => {
    const late = setTimeout(() => failed(new Error(`the server was not ready in ${patience} ms: ${errors}`)), patience);
    child.stdout?.on("data", (piece: Buffer) => {
      out += piece.toString();
      if (out.includes("Stop with Ctrl-C")) {
        clearTimeout(late);
        done(out);
      }
    });
    child.on("exit", (code) => failed(new Error(`the server ended with ${code}: ${errors}`)));
  });
  const find = (pattern: RegExp): string => {
    const found = pattern.exec(printed)?.[1];
    if (!found) throw new Error(`the demo did not print ${pattern}:\n${printed}`);
    return found;
  };
  return {
    url: find(/ready (http:\S+)/),
    data,
    login: find(/login +(\S+)/),
    password: find(/password +(\S+)/),
    token: find(/\n +token +(\S+)/),
    org: "Northwind",
    async stop() {
      if (child.exitCode === null) {
        const over = new Promise((done) => child.on("exit", done));
        child.kill("SIGTERM");
        const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
        await over;
        clearTimeout(late);
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Asks the native API with the demo's token. */
export async function ask<T>(server: Server, method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${server.url}/v1/orgs/${server.org}${path}`, {
    method,
    headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}
