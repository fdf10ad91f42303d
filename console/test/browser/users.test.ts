// Users, their baselines and their scores, findings and rules, in a real Chromium over a trail in which somebody has habits.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { habits, newcomer } from "./habits.ts";
import { accessible, done, launch, settled, visitor } from "./page.ts";
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

const visit = (to: string) => visitor(browser, server, to);

interface Score { seq: number; aggregated: number; history: number[]; scores: Record<string, { score: number; expected: string; observed: string }> }

test("a_baseline_is_drawn_from_the_log_and_a_score_explained_down_to_its_entries", async () => {
  const score = await ask<Score>(server, "GET", `/sessions/${unlike}/score`);
  const watched = await visit("/users");
  const { page } = watched;
  const scores = (await page.locator(".rows tbody tr .score").allInnerTexts()).map((text) => parseInt(text, 10)).filter((value) => !Number.isNaN(value));
  assert.deepEqual(scores, [...scores].sort((a, b) => b - a), "the riskiest first");
  assert.match(await page.getByRole("row", { name: /mara\.lind/ }).innerText(), new RegExp(`mara.lind\\s+${score.aggregated}\\s`));
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

test("the_demo_has_somebody_with_habits_who_behaved_unlike_themselves", async () => {
  const watched = await visit("/");
  const { page } = watched;
  const riskiest = page.locator(".card", { has: page.getByRole("heading", { name: "Riskiest users" }) });
  await riskiest.getByRole("link", { name: /hugo\.dahl/ }).click();
  await page.locator(".week").waitFor();
  await page.getByRole("button", { name: /^Why: files1/ }).first().click();
  await page.locator("[data-same=true]").waitFor();
  const score = async (user: string) => (await ask<{ score: number | null }>(server, "GET", `/users/${user}`)).score ?? 0;
  const [hugo, lena, kofi] = await Promise.all(["hugo.dahl", "lena.jansen", "kofi.garcia"].map(score));
  assert.ok(hugo !== undefined && lena !== undefined && kofi !== undefined && hugo >= 30 && hugo > 2 * Math.max(lena, kofi), `${hugo} against ${lena} and ${kofi}`);
  await done(watched);
});

test("baselines_are_built_by_a_button_with_its_outcome_and_only_by_who_may", async () => {
  const watched = await visit("/users");
  const { page } = watched;
  const button = page.getByRole("button", { name: "Build the baselines now" });
  let go = (): void => {};
  const held = new Promise<void>((free) => { go = free; });
  await page.route("**/baselines", async (route) => {
    await held;
    await route.continue();
  });
  await button.click();
  await page.getByText("Scoring what is over, then building…").waitFor();
  assert.ok(await button.isDisabled());
  await accessible(page, "baselines are being built");
  go();
  await page.locator("[data-built=true]").waitFor();
  await accessible(page, "baselines were built");
  await page.unroute("**/baselines");
  await page.route("**/baselines", (route) => route.fulfill({ status: 503, json: { type: "urn:counterfoil:problem:overloaded", detail: "the catalogue is being made" } }));
  await button.click();
  await page.getByRole("alert").getByText("The baselines were not built: the catalogue is being made").waitFor();
  await accessible(page, "baselines that were not built");
  // On one user's page it stands with the baselines; the new one is shown at once.
  await page.unroute("**/baselines");
  await page.goto(`${server.url}/users/lena.jansen`);
  await page.locator(".week").waitFor();
  const before = await page.getByText(/^The baseline as of/).first().innerText();
  await page.getByRole("button", { name: "Build the baselines now" }).click();
  await page.locator("[data-built=true]").waitFor();
  await page.waitForFunction((old) => [...document.querySelectorAll("p")].some((one) => one.textContent?.startsWith("The baseline as of") && one.textContent !== old), before);
  // An auditor reads all of this and builds nothing.
  await page.route("**/v1/me", async (route) => {
    const reply = await route.fetch();
    const me = (await reply.json()) as { account: { roles: string[] }; scopes: string[] };
    await route.fulfill({ json: { ...me, account: { ...me.account, roles: ["auditor"] }, scopes: ["read", "proofs"] } });
  });
  await page.goto(`${server.url}/users`);
  await page.getByText("an administrator can order it for now").waitFor();
  assert.equal(await page.getByRole("button", { name: "Build the baselines now" }).count(), 0);
  watched.troubles = watched.troubles.filter((trouble) => !trouble.includes("503"));
  await done(watched);
});

test("scores_beyond_the_newest_page_are_counted_and_read_on_demand", async () => {
  const watched = await visit("/users");
  const { page } = watched;
  // Pages of five instead of five hundred: what the server gives is real.
  await page.route("**/events?*session.scored*", async (route) => {
    const url = new URL(route.request().url());
    if (url.searchParams.get("limit") === "500") url.searchParams.set("limit", "5");
    await route.continue({ url: url.href });
  });
  await page.goto(`${server.url}/users/mara.lind`);
  const { events } = await ask<{ events: unknown[] }>(server, "GET", `/events?limit=1000&q=${encodeURIComponent('action:session.scored tag:"via:counterfoil" actor:mara.lind')}`);
  const left = page.getByRole("region", { name: "What is not drawn" });
  await left.getByText(`Drawn are the newest 5 of ${events.length} scores; ${events.length - 5} older ones are not in the drawings and lists below.`).waitFor();
  const rows = page.getByRole("region", { name: "Scored sessions" }).locator("tbody tr");
  assert.equal(await rows.count(), 5);
  await accessible(page, "scores that are not all drawn");
  await left.getByRole("button", { name: /more$/ }).click();
  await page.waitForFunction(() => document.querySelectorAll("[aria-label='Scored sessions'] tbody tr").length === 10);
  await left.getByRole("button", { name: "All of them" }).click();
  await left.waitFor({ state: "detached" });
  assert.equal(await rows.count(), events.length);
  await done(watched);
});

test("users_say_when_they_load_fail_are_unknown_none_or_without_a_baseline", async () => {
  await newcomer(server, "noor.fresh");
  const watched = await visit("/users/noor.fresh");
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
