// A session that is followed while it is recorded, in a real Chromium.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser, Page } from "playwright-core";

import { accessible, done, launch, visitor } from "./page.ts";
import { run } from "./running.ts";
import { type Server, start } from "./server.ts";

let server: Server;
let browser: Browser;

before(async () => {
  [server, browser] = await Promise.all([start(10), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const visit = (to: string) => visitor(browser, server, to);

const shows = (page: Page, text: string) =>
  page.waitForFunction((wanted) => document.querySelector(".terminal")?.textContent?.includes(wanted), text);
const showsNot = (page: Page, text: string) =>
  page.waitForFunction((wanted) => !document.querySelector(".terminal")?.textContent?.includes(wanted), text);

test("a_running_session_is_followed_until_the_visitor_seeks_and_again_by_a_button_and_then_it_is_over", async () => {
  const session = await run(server, "ines.costa", "web1");
  const watched = await visit("/sessions");
  const { page } = watched;
  const row = page.getByRole("row", { name: /ines\.costa on web1/ });
  assert.match(await row.innerText(), /recording/);
  await row.getByRole("link").click();
  await page.locator("[data-ready=true][data-following=true]").waitFor();
  await page.getByText("Nothing was on the screen yet.").waitFor();
  await accessible(page, "a running session of which nothing came yet");
  // Chunk by chunk, each while the page is open; one of them ends in the midst of a line.
  await session.add("first line\r\n");
  await shows(page, "first line");
  await session.add("second line\r\n", "third line\r\n");
  await shows(page, "third line");
  await session.send('[4.0, "o", "half ');
  await session.send('a line\\r\\n"]\n[5.0, "o", "\\u001b]2;a title\\u0007"]\n');
  await shows(page, "half a line");
  await page.waitForFunction(() => document.querySelector(".terminal-title")?.textContent === "a title");
  // Seeking lets go: what comes is not shown, but the timeline grows.
  const slider = page.getByLabel("Moment");
  await slider.focus();
  await page.keyboard.press("Home");
  await page.locator("[data-following=false]").waitFor();
  await showsNot(page, "first line");
  const before = Number(await slider.getAttribute("max"));
  await session.send('[9.0, "o", "behind the back\\r\\n"]\n');
  await page.waitForFunction((max) => Number(document.querySelector(".timeline input")?.getAttribute("max")) > max, before);
  assert.ok(!(await page.locator(".terminal").innerText()).includes("behind the back"));
  await page.getByText("Not at its end").waitFor();
  await accessible(page, "a running session, not at its end");
  const follow = page.getByRole("button", { name: "Follow" });
  assert.equal(await follow.getAttribute("aria-pressed"), "false");
  await follow.focus();
  await page.keyboard.press("Enter");
  await shows(page, "behind the back");
  await session.send('[10.0, "o", "the last line\\r\\n"]\n');
  await shows(page, "the last line");
  await session.finish();
  // What only sessions have that are over comes by itself; nobody reloads.
  await page.getByRole("button", { name: "Evidence bundle" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "Follow" }).count(), 0);
  assert.ok((await page.locator(".terminal").innerText()).includes("the last line"));
  await slider.focus();
  await page.keyboard.press("Home");
  await showsNot(page, "first line");
  await page.keyboard.press("End");
  await shows(page, "the last line");
  await done(watched);
});

test("a_session_that_is_not_heard_of_is_asked_for_again_and_what_was_seen_stays", async () => {
  const session = await run(server, "jun.eze", "web2");
  await session.add("still here\r\n");
  const watched = await visit(`/sessions/${session.id}`);
  const { page } = watched;
  await shows(page, "still here");
  const address = `**/v1/orgs/*/sessions/${session.id}`;
  await page.route(address, (route) => route.fulfill({ status: 503, json: { type: "urn:counterfoil:problem:unavailable", detail: "the disk is away" } }));
  await page.getByText("Not heard of it: the disk is away. It is asked again.").waitFor();
  assert.ok((await page.locator(".terminal").innerText()).includes("still here"));
  await accessible(page, "a running session that is not heard of");
  await page.unroute(address);
  await session.add("and back\r\n");
  await shows(page, "and back");
  watched.troubles = watched.troubles.filter((trouble) => !trouble.includes("503"));
  await done(watched);
});

test("a_running_session_of_several_files_says_that_it_plays_when_it_is_over", async () => {
  const session = await run(server, "kofi.abel", "web3");
  const watched = await visit("/sessions");
  const { page } = watched;
  const detail = "a recording of several files can be played when it is over";
  await page.route("**/playback?*", (route) => route.fulfill({ status: 409, json: { type: "urn:counterfoil:problem:conflict", detail } }));
  await page.goto(`${server.url}/sessions/${session.id}`);
  await page.getByText(detail).first().waitFor();
  await accessible(page, "a running session of several files");
  await done(watched);
});
