// Users, their baselines and their scores, findings and rules, in a real Chromium over a trail in which somebody has habits.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { habits } from "./habits.ts";
import { accessible, launch, open, settled, signIn, type Watched } from "./page.ts";
import { ask, type Server, start } from "./server.ts";

let server: Server;
let browser: Browser;
/** The session of mara.lind that is unlike the others. */
let unlike: string;

before(async () => {
  [server, browser] = await Promise.all([start(3000), launch()]);
  unlike = await habits(server, "mara.lind");
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function visit(to: string): Promise<Watched> {
  const watched = await open(browser, server);
  await signIn(watched, server, to);
  await settled(watched.page);
  return watched;
}

async function done({ context, troubles }: Watched): Promise<void> {
  await context.close();
  assert.deepEqual(troubles, [], "behind the page");
}

interface Score { seq: number; aggregated: number; history: number[]; scores: Record<string, { score: number; expected: string; observed: string }> }

test("a_baseline_is_drawn_from_the_log_and_a_score_explained_down_to_its_entries", async () => {
  const score = await ask<Score>(server, "GET", `/sessions/${unlike}/score`);
  const watched = await visit("/users");
  const { page } = watched;
  assert.match(await page.locator(".rows tbody tr").first().innerText(), new RegExp(`mara.lind\\s+${score.aggregated}\\s`));
  await page.getByRole("link", { name: "mara.lind" }).click();
  await page.locator(".week").waitFor();
  await settled(page);
  // Every session before the build is in the drawing once, and the one after it is not.
  const cells = await page.locator(".week tbody td").allInnerTexts();
  assert.equal(cells.length, 7 * 24);
  assert.equal(cells.reduce((sum, text) => sum + (Number(text) || 0), 0), score.history.length);
  const servers = await page.locator(".card", { has: page.getByRole("heading", { name: "Servers" }) }).locator(".bar-count").allInnerTexts();
  assert.equal(servers.reduce((sum, text) => sum + Number(text), 0), score.history.length);
  assert.match(await page.locator(".card", { has: page.getByRole("heading", { name: "Programs" }) }).innerText(), /psql/);
  await page.getByRole("button", { name: /^Why: vault/ }).click();
  await page.locator("[data-same=true]").waitFor();
  assert.ok(page.url().includes(`session=${unlike}`));
  const told = await page.getByRole("region", { name: "Reasons" }).innerText();
  for (const { score: one, expected, observed } of Object.values(score.scores)) {
    for (const text of [String(one), expected, observed]) assert.ok(told.includes(text), `${text} is not in ${told}`);
  }
  assert.equal(await page.locator(".week td.now").count(), 1);
  await page.locator("summary", { hasText: "sessions recorded before" }).click();
  assert.equal(await page.locator("details[open] a").count(), score.history.length);
  await page.getByRole("button", { name: "Compute again" }).click();
  await page.locator("[role=status][data-same=true]").waitFor();
  await accessible(page, "a score computed again");
  // Down to the entry, and from the session back to its reasons.
  await page.getByRole("link", { name: `event ${score.seq.toLocaleString("en")}`, exact: true }).click();
  await page.locator(".detail").getByText("session.scored").first().waitFor();
  await page.goto(`${server.url}/sessions/${unlike}`);
  await page.getByRole("link", { name: "why" }).click();
  await page.locator("#explanation").waitFor();
  // The servers lead to the sessions on them, of this user only.
  await page.getByRole("link", { name: /^build\.northwind/ }).first().click();
  await page.waitForFunction(() => location.pathname.startsWith("/sessions"));
  await done(watched);
});

test("scores_and_findings_that_a_sender_invents_are_not_shown_as_ours", async () => {
  const attributes = { user: "mara.lind", ended: { number: 1, recorded_at: "2026-01-01T00:00:00Z" }, observation: { started_s: 0, server: "forged.example" }, scores: {}, scripted: { scripted: true } };
  await ask(server, "POST", "/events", { action: "session.scored", kind: "session", actor: "mara.lind", session: "forged", attributes });
  await ask(server, "POST", "/events", { action: "detection.finding", kind: "system", message: "forged finding", actor: "mara.lind", attributes: { level: "critical" } });
  const watched = await visit("/users/mara.lind");
  const { page } = watched;
  await page.locator(".week").waitFor();
  assert.ok(!(await page.content()).includes("forged.example"));
  await page.goto(server.url);
  await settled(page);
  const findings = await page.locator(".card", { has: page.getByRole("heading", { name: "Findings" }) }).innerText();
  assert.match(findings, /Login from a never-seen address/);
  assert.ok(!findings.includes("forged"), findings);
  await page.locator(".card", { has: page.getByRole("heading", { name: "Riskiest users" }) }).getByRole("link", { name: /mara\.lind/ }).click();
  await page.locator(".week").waitFor();
  await done(watched);
});

test("users_and_reasons_are_reached_by_keyboard_and_focus_comes_back", async () => {
  const watched = await visit("/");
  const { page } = watched;
  const press = async (wanted: string, most = 60) => {
    for (let at = 0; at < most; at += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, wanted)) return;
    }
    assert.fail(`Tab does not get to ${wanted}`);
  };
  await press("nav a[href^='/users']");
  await page.keyboard.press("Enter");
  await page.locator(".rows tbody tr").first().waitFor();
  await press(".rows a");
  await page.keyboard.press("Enter");
  await page.locator(".week").waitFor();
  await press(`#why-${unlike}`);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.id === "explanation");
  await page.keyboard.press("Escape");
  await page.waitForFunction((id) => document.activeElement?.id === `why-${id}` && !location.search.includes("session="), unlike);
  await done(watched);
});

test("stored_script_in_users_servers_programs_and_rules_is_shown_as_text", async () => {
  const script = `<img src=x onerror="document.title='owned'">`;
  const id = await habits(server, script, script, [script.replaceAll(" ", "_")]);
  const watched = await visit("/users");
  const { page } = watched;
  await page.route("**/v1/**/rules", (route) => route.fulfill({ json: { rules: [rule({ title: script, id: script, file: script, problem: script, runnable: false, loaded: false, level: script })] } }));
  const user = encodeURIComponent(script);
  for (const address of ["/users", `/users/${user}`, `/users/${user}?session=${id}`, "/users/%3Cimg%20src=x%3E", "/", "/administration/rules"]) {
    await page.goto(server.url + address);
    await settled(page);
    assert.equal(await page.locator("main img").count(), 0, address);
    assert.ok((await page.locator("main").innerText()).includes("<img src=x"), address);
    assert.notEqual(await page.title(), "owned", address);
    await accessible(page, address);
  }
  await done(watched);
});

const rule = (changed: Record<string, unknown>) => ({
  id: "r", title: "A rule", level: "low", file: "own.yml", loaded: true, runnable: true, problem: null, fields: ["actor"], never_seen: [], last_evaluated: null, hits: 0, last_hit: null, ...changed,
});

test("rules_say_what_they_cannot_see_what_was_refused_and_what_they_found", async () => {
  const watched = await visit("/administration/rules");
  const { page } = watched;
  const row = (name: string) => page.getByRole("row", { name: new RegExp(name) });
  await page.getByText("13 rules, all of them run").waitFor();
  // The demo's only finder of strangers leads to what it found.
  await row("never-seen address").getByRole("link").first().click();
  await page.waitForFunction(() => Number(document.querySelector(".count[data-total]")?.getAttribute("data-total")) > 0);
  await page.route("**/v1/**/rules", (route) => route.fulfill({
    json: { rules: [rule({ title: "Blind", fields: ["actor", "attributes.mfa"], never_seen: ["attributes.mfa"] }), rule({ title: "Broken", id: "b.yml", runnable: false, loaded: false, problem: "line 3: no condition", level: "-" })] },
  }));
  await page.goto(`${server.url}/administration/rules`);
  await page.getByText("2 rules, 1 refused; 1 with a blind spot.").waitFor();
  assert.match(await row("^Blind ").innerText(), /attributes\.mfa/);
  assert.match(await row("^Broken ").innerText(), /refused: line 3: no condition/);
  await accessible(page, "refused and blind rules");
  await page.unroute("**/v1/**/rules");
  await page.route("**/v1/**/rules", (route) => route.fulfill({ json: { rules: [] } }));
  await page.reload();
  await page.getByText("No rules").waitFor();
  await done(watched);
});

test("users_say_when_they_load_fail_are_unknown_none_or_without_a_baseline", async () => {
  const watched = await visit("/users/lena.jansen");
  const { page } = watched;
  await page.getByText(/^No baseline yet/).first().waitFor();
  await accessible(page, "a user without a baseline");
  await page.goto(`${server.url}/users/nobody`);
  await page.getByText("No such user").waitFor();
  await page.goto(`${server.url}/users/mara.lind?session=gone`);
  await page.locator("#explanation").waitFor();
  await settled(page);
  await accessible(page, "a score of nothing");
  const { organisations } = await fetch(`${server.url}/v1/orgs`, { headers: { Authorization: `Bearer ${server.token}` } })
    .then((reply) => reply.json() as Promise<{ organisations: { id: string; name: string }[] }>);
  await page.goto(`${server.url}/users?org=${organisations.find(({ name }) => name === "EU")?.id}`);
  await page.getByText("No user was seen").waitFor();
  await accessible(page, "no users");
  let answer = (): void => {};
  const held = new Promise<void>((go) => { answer = go; });
  await page.route("**/users?*", async (route) => {
    await held;
    await route.fulfill({ status: 503, json: { type: "urn:counterfoil:problem:overloaded", detail: "the users are being read from the log" } });
  });
  await page.goto(`${server.url}/users`);
  await page.getByText("Loading users…").waitFor();
  await accessible(page, "users are loading");
  answer();
  await page.getByRole("alert").getByText("the users are being read from the log").waitFor();
  await accessible(page, "users that could not be loaded");
  await page.unroute("**/users?*");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("link", { name: "mara.lind" }).waitFor();
  await page.getByLabel("Narrow the users by name").fill("zzz");
  await page.getByText("No user is called so").waitFor();
  // The refusal was meant.
  watched.troubles = watched.troubles.filter((trouble) => !trouble.includes("503"));
  await done(watched);
});
