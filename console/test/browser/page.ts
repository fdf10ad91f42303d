// A real Chromium, signed in, that watches what a visitor would not see: errors, refused loads, requests to elsewhere.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

import type { Server } from "./server.ts";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PLACES = [process.env.CHROMIUM ?? "", "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export async function launch(): Promise<Browser> {
  const executablePath = PLACES.find((path) => path && existsSync(path));
  if (!executablePath) throw new Error("no Chromium: apt-get install chromium, or name it in CHROMIUM");
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

export interface Watched {
  page: Page;
  context: BrowserContext;
  /** What went wrong behind the page; must be empty at the end of a test. */
  troubles: string[];
}

export async function open(browser: Browser, server: Server, options: { dark?: boolean; width?: number; height?: number } = {}): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.dark ? "dark" : "light",
    reducedMotion: "reduce",
    timezoneId: "Europe/Berlin",
    acceptDownloads: true,
  });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const troubles: string[] = [];
  page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of 4\d\d|status of 500/.test(message.text())) troubles.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== server.url && protocol !== "blob:") troubles.push(`request to ${request.url()}`);
  });
  return { page, context, troubles };
}

/** Signs in through the page, as a person does. */
export async function signIn({ page }: Watched, server: Server, to = "/"): Promise<void> {
  await page.goto(server.url + to);
  await page.getByLabel("Login name").fill(server.login);
  await page.getByLabel("Password").fill(server.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Views" }).waitFor();
}

/** Waits until nothing says that it is loading. */
export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelectorAll(".spinner").length === 0 && document.querySelector("main h1, main .state-title, main h2") !== null);
  await page.waitForLoadState("networkidle").catch(() => {});
}

/** A signed-in visitor at an address, once all of it is there. */
export async function visitor(browser: Browser, server: Server, to: string, options: Parameters<typeof open>[2] = {}): Promise<Watched> {
  const watched = await open(browser, server, options);
  await signIn(watched, server, to);
  await settled(watched.page);
  return watched;
}

/** The visitor leaves; nothing may have gone wrong behind the page. */
export async function done({ context, troubles }: Watched): Promise<void> {
  await context.close();
  assert.deepEqual(troubles, [], "behind the page");
}

interface AxeResult {
  violations: { id: string; help: string; nodes: { html: string; failureSummary?: string }[] }[];
}

/** Fails with what the accessibility rules found. */
export async function accessible(page: Page, where: string): Promise<void> {
  await page.evaluate(AXE);
  const found = await page.evaluate<AxeResult>("axe.run(document, { resultTypes: ['violations'] })");
  const told = found.violations.map(({ id, help, nodes }) => `${id}: ${help}\n    ${nodes.slice(0, 4).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary ?? ""}`).join("\n    ")}`);
  assert.deepEqual(told, [], `${where}: ${told.join("\n")}`);
}
