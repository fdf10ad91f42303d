// The console in a real Chromium over a real trail. The order matters at the end: a byte of the trail's disk is flipped.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, statSync, writeFileSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";

import type { Browser } from "playwright-core";

import { habits } from "./habits.ts";
import { run } from "./running.ts";
import { accessible, done, launch, open, settled, signIn, visitor, type Watched } from "./page.ts";
import { ask, type Server, start } from "./server.ts";

const ROOT = resolve(import.meta.dirname, "../../../..");
/** Written only when asked for: a picture differs a little on every machine. */
const PICTURES = process.env.CONSOLE_PICTURES ? join(ROOT, "docs/console") : null;

let server: Server;
let browser: Browser;
const folder = mkdtempSync(join(tmpdir(), "counterfoil-browser-"));

before(async () => {
  [server, browser] = await Promise.all([start(3000), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const visit = (to: string, options?: Parameters<typeof open>[2]) => visitor(browser, server, to, options);

const total = ({ page }: Watched) => page.locator(".count[data-total]").getAttribute("data-total").then(Number);

interface Sessions { sessions: { id: string; recording: { title?: string } }[] }

test("every_view_shows_the_demo_breaks_no_rule_of_accessibility_and_looks_as_in_the_documentation", async () => {
  const { sessions } = await ask<Sessions>(server, "GET", "/sessions");
  const slow = sessions.find(({ recording }) => recording.title?.includes("Slow orders"));
  assert.ok(slow, "the demo has a session");
  const unlike = await habits(server, "mara.lind");
  const running = await run(server, "ines.costa", "web1.northwind.example");
  await running.add("$ tail -f /var/log/nginx/access.log\r\n", "10.20.4.8 \"GET /orders HTTP/2\" \u001b[32m200\u001b[0m\r\n", "10.20.4.9 \"POST /login HTTP/2\" \u001b[31m401\u001b[0m\r\n");
  const { events } = await ask<{ events: { seq: number }[] }>(server, "GET", "/events?q=action:login%20source:198.51.100.23%20outcome:success&limit=1");
  const views: Record<string, string> = {
    overview: "/",
    events: "/events?q=kind%3Aauthentication%20outcome%3Afailure",
    event: `/events/${events[0]?.seq}`,
    sessions: "/sessions",
    player: `/sessions/${slow.id}?at=28000000`,
    live: `/sessions/${running.id}`,
    content: "/sessions?content=transactionid",
    users: "/users",
    user: "/users/mara.lind",
    why: `/users/mara.lind?session=${unlike}`,
    evidence: "/evidence",
    organisations: "/administration/organisations",
    accounts: "/administration/accounts",
    tokens: "/administration/tokens",
    keys: "/administration/keys",
    rules: "/administration/rules",
    retention: "/administration/retention",
    server: "/administration/server",
    account: "/administration/own",
  };
  if (PICTURES) mkdirSync(PICTURES, { recursive: true });
  for (const dark of [false, true]) {
    const outside = await open(browser, server, { dark });
    await outside.page.goto(`${server.url}/sign-in`);
    await accessible(outside.page, `sign-in, ${dark ? "dark" : "light"}`);
    if (PICTURES) await outside.page.screenshot({ path: join(PICTURES, `sign-in-${dark ? "dark" : "light"}.png`) });
    await done(outside);
    const watched = await visit("/", { dark });
    const { page } = watched;
    for (const [name, address] of Object.entries(views)) {
      await page.goto(server.url + address);
      await settled(page);
      if (name === "event") {
        await page.getByRole("tab", { name: "Proof" }).click();
        await page.locator("[data-verdict=verified]").waitFor();
      }
      if (name === "player") await page.locator("[data-ready=true] .t-row").first().waitFor();
      if (name === "live") await page.waitForFunction(() => document.querySelector(".terminal")?.textContent?.includes("401"));
      if (name === "content") await page.waitForFunction(() => [...document.querySelectorAll<HTMLImageElement>(".hit img")].some((image) => image.naturalWidth > 0));
      if (name === "why") await page.locator("#explanation").evaluate((heading) => heading.scrollIntoView());
      const text = await page.locator("main").innerText();
      assert.ok(text.length > 60 && !text.includes("could not be loaded"), `${name}: ${text}`);
      await accessible(page, `${name}, ${dark ? "dark" : "light"}`);
      if (PICTURES) await page.screenshot({ path: join(PICTURES, `${name}-${dark ? "dark" : "light"}.png`), animations: "disabled" });
    }
    await done(watched);
  }
});

test("narrow_and_enlarged_pages_need_no_sideways_scrolling", async () => {
  const watched = await visit("/", { width: 400, height: 800 });
  const { page } = watched;
  for (const address of ["/", "/events", "/sessions", "/users", "/users/mara.lind", "/evidence", "/administration/tokens", "/administration/rules", "/administration/server"]) {
    await page.goto(server.url + address);
    await settled(page);
    const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(content <= window, `${address}: ${content} > ${window}`);
    await accessible(page, `${address}, narrow`);
  }
  await done(watched);
});

test("a_query_is_narrowed_by_facets_and_by_brushing_the_histogram_and_the_address_tells_it", async () => {
  const watched = await visit("/events");
  const { page } = watched;
  const all = await total(watched);
  assert.ok(all > 3000, String(all));
  await page.getByLabel("Query").fill("kind:authentication");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForFunction((before) => Number(document.querySelector(".count[data-total]")?.getAttribute("data-total")) < before, all);
  const logins = await total(watched);
  await page.locator(".facets").getByRole("button", { name: /^failure/ }).click();
  await page.waitForFunction((before) => Number(document.querySelector(".count[data-total]")?.getAttribute("data-total")) < before, logins);
  const failures = await total(watched);
  const { events } = await ask<{ events: unknown[] }>(server, "GET", "/events?q=kind:authentication%20outcome:failure&limit=1000");
  assert.equal(failures, events.length);
  const box = await page.locator(".histogram svg").boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 20, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => new URLSearchParams(location.search).has("from"));
  await page.waitForFunction((before) => Number(document.querySelector(".count[data-total]")?.getAttribute("data-total")) < before, failures);
  const brushed = await total(watched);
  const parameters = new URL(page.url()).searchParams;
  assert.equal(parameters.get("q"), "kind:authentication outcome:failure");
  // The same address shows the same thing; going back takes the brush away again.
  await page.reload();
  await settled(page);
  assert.equal(await total(watched), brushed);
  await page.goBack();
  await page.waitForFunction((before) => Number(document.querySelector(".count[data-total]")?.getAttribute("data-total")) === before, failures);
  await done(watched);
});

test("an_error_stands_under_the_character_that_is_wrong_and_values_are_completed", async () => {
  const watched = await visit("/events");
  const { page } = watched;
  const input = page.getByLabel("Query");
  await input.fill("kind:page (actor:ann");
  await page.getByRole("button", { name: "Search" }).click();
  const error = page.locator("#query-error");
  await error.waitFor();
  const place = (await error.locator("pre").textContent())?.indexOf("^");
  assert.ok(place !== undefined && place >= 10, `${place}: ${await error.textContent()}`);
  await input.fill("");
  await input.pressSequentially("out");
  await page.getByRole("option", { name: "outcome:" }).waitFor();
  await input.press("Tab");
  await page.getByRole("option", { name: /^outcome:failure/ }).waitFor();
  await input.pressSequentially("fai");
  await page.getByRole("option", { name: /^outcome:failure/ }).waitFor();
  await input.press("ArrowDown");
  await input.press("Enter");
  assert.equal((await input.inputValue()).trim(), "outcome:failure");
  await done(watched);
});

test("events_appear_while_they_arrive", async () => {
  const watched = await visit("/events?q=action%3Alive.tail&live=1");
  const { page } = watched;
  await page.waitForTimeout(300);
  for (const number of [1, 2, 3]) await ask(server, "POST", "/events", { action: "live.tail", actor: `visitor ${number}`, outcome: "success" });
  await page.locator(".event-row.fresh").nth(2).waitFor();
  const first = await page.locator(".event-row.fresh").first().innerText();
  assert.match(first, /visitor 3/);
  await done(watched);
});

test("everything_can_be_reached_and_done_by_keyboard", async () => {
  const watched = await visit("/");
  const { page } = watched;
  // To the events by the navigation, into the table, down, open, to the proof, close: not one click.
  const press = async (key: string, until: () => Promise<boolean>, most = 80) => {
    for (let at = 0; at < most; at += 1) {
      await page.keyboard.press(key);
      if (await until()) return;
    }
    assert.fail(`pressing ${key} ${most} times did not get there`);
  };
  const focused = (selector: string) => () => page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector);
  await press("Tab", focused("a[href^='/events']"));
  await page.keyboard.press("Enter");
  await settled(page);
  await press("Tab", focused(".histogram svg"));
  await press("Tab", focused(".event-table"), 120);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => /^\/events\/\d+$/.test(location.pathname));
  await press("Tab", focused("[role=tab]"));
  for (let at = 0; at < 3; at += 1) await page.keyboard.press("ArrowRight");
  await page.locator("[data-verdict=verified]").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => location.pathname === "/events");
  // A stretch of time by arrows and Enter.
  await page.locator(".histogram svg").focus();
  for (const key of ["ArrowRight", "ArrowRight", "Shift+ArrowRight", "Enter"]) await page.keyboard.press(key);
  await page.waitForFunction(() => new URLSearchParams(location.search).has("to"));
  await done(watched);
});

test("stored_script_is_shown_as_text_everywhere", async () => {
  const script = `<img src=x onerror="document.title='owned'">`;
  const target = { type: script, id: script, name: script };
  const { seq } = await ask<{ seq: number }>(server, "POST", "/events", {
    action: script, kind: "file", actor: { id: script, name: script }, indirect_actor: script, source: { host: script, application: script },
    targets: [target], session: "xss-1", correlation: script, message: script, attributes: { [script]: script, file: `${script}.txt` },
  });
  const started = await ask<{ id: string }>(server, "POST", "/sessions", {
    client_id: "xss", recording: { user: { name: script }, server: { name: script }, client: { name: script }, title: script, command: script, protocol: "ssh" },
  });
  const cast = `${JSON.stringify({ version: 2, width: 90, height: 10, title: script })}\n${JSON.stringify([0.1, "o", `\u001b]0;${script}\u0007${script}\r\n`])}\n`;
  await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${started.id}/recording?finish=true`, {
    method: "PUT", headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/octet-stream" }, body: cast,
  });
  const watched = await visit(`/events/${seq}`);
  const { page } = watched;
  const check = async (where: string) => {
    await settled(page);
    assert.equal(await page.locator("img").count(), 0, where);
    assert.ok((await page.locator("main").innerText()).includes("<img src=x"), where);
    assert.notEqual(await page.title(), "owned", where);
  };
  await check("fields");
  for (const tab of ["Raw", "As each API shows it"]) {
    await page.getByRole("tab", { name: tab }).click();
    await check(tab);
  }
  for (const address of ["/", `/events?q=session%3Axss-1`, "/sessions", `/sessions/${started.id}?at=200000`]) {
    await page.goto(server.url + address);
    if (address.includes("?at=")) await page.locator("[data-ready=true] .t-row").first().waitFor();
    await settled(page);
    assert.equal(await page.locator("img").count(), 0, address);
    if (address !== "/") await check(address);
  }
  assert.match(await page.locator(".terminal-title").innerText(), /<img/);
  assert.match(await page.locator(".terminal").innerText(), /<img/);
  await done(watched);
});

test("a_session_plays_seeks_and_shows_what_was_on_the_screen", async () => {
  const { sessions } = await ask<Sessions>(server, "GET", "/sessions");
  const slow = sessions.find(({ recording }) => recording.title?.includes("Slow orders"));
  const watched = await visit("/sessions");
  const { page } = watched;
  await page.getByRole("row", { name: /Slow orders/ }).getByRole("link").click();
  const terminal = page.locator("[data-ready=true] .terminal");
  await terminal.waitFor();
  assert.ok(page.url().includes(slow?.id ?? "no session"));
  const requests: string[] = [];
  page.on("request", (request) => request.url().includes("/playback") && requests.push(request.url()));
  const slider = page.getByLabel("Moment");
  await slider.focus();
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.querySelector(".terminal")?.textContent?.includes("logout"));
  assert.ok((await terminal.innerText()).includes("order-worker"));
  assert.ok(requests.length <= 1, `one seek asked ${requests.length} times`);
  await page.keyboard.press("Home");
  await page.waitForFunction(() => !document.querySelector(".terminal")?.textContent?.includes("uptime"));
  await page.getByLabel("Speed").selectOption("16");
  await page.getByRole("button", { name: "Play" }).click();
  await page.waitForFunction(() => document.querySelector(".terminal")?.textContent?.includes("stuck"), undefined, { timeout: 20_000 });
  await page.getByText("Who looked at it").waitFor();
  await done(watched);
});

test("a_content_hit_opens_at_its_moment_and_the_terminal_shows_the_server_s_screen", async (context) => {
  const described = await fetch(`${server.url}/v1/openapi.json`).then((reply) => reply.text());
  if (!described.includes("/v1/orgs/{org}/content")) {
    context.skip("the server does not search the screens of sessions");
    return;
  }
  const watched = await visit("/sessions");
  const { page } = watched;
  await page.getByLabel("What was on the screens").fill("transactionid");
  await page.getByRole("button", { name: "Search the screens" }).click();
  const hit = page.locator(".hit").first();
  await hit.waitFor();
  await page.waitForFunction(() => (document.querySelector<HTMLImageElement>(".hit img")?.naturalWidth ?? 0) > 0);
  assert.ok((await hit.locator("mark").first().innerText()).includes("transactionid"));
  await settled(page);
  await accessible(page, "content hits");
  await hit.click();
  await page.locator("[data-ready=true] .t-marked").first().waitFor();
  const at = Number(await page.locator(".player").getAttribute("data-at"));
  assert.equal(at, Number(new URL(page.url()).searchParams.get("at")));
  const id = new URL(page.url()).pathname.split("/")[2];
  const shown = await ask<{ text: string[] }>(server, "GET", `/sessions/${id}/screen?at_us=${at}`);
  const rows = await page.locator(".t-row").evaluateAll((found) => found.map((row) => (row.textContent ?? "").replace(/ +$/, "")));
  assert.deepEqual(rows, shown.text);
  assert.ok(rows.some((row) => row.includes("transactionid")));
  // The commands of the session are there to go to, too.
  await page.locator(".session-side .moments").first().waitFor();
  await done(watched);
});

test("administration_makes_an_organisation_an_account_and_a_token_that_is_shown_once", async () => {
  const watched = await visit("/administration/organisations");
  const { page } = watched;
  await page.getByLabel("New organisation").fill("Asia");
  await page.getByRole("button", { name: "Make it" }).click();
  await page.getByRole("rowheader", { name: "Asia" }).waitFor();
  await page.goto(`${server.url}/administration/accounts`);
  await page.getByLabel("Login name").fill("eve@northwind.example");
  await page.getByLabel("Password (empty: tokens only)").fill("short");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("alert").filter({ hasText: /password/i }).waitFor();
  await page.getByLabel("Password (empty: tokens only)").fill("a long enough one");
  await page.getByRole("button", { name: "Make the account" }).click();
  await page.getByRole("rowheader", { name: "eve@northwind.example" }).waitFor();
  await page.goto(`${server.url}/administration/tokens`);
  await page.getByLabel("What for").fill("a collector");
  await page.getByRole("button", { name: "Issue a token" }).click();
  const secret = await page.getByTestId("secret").innerText();
  const reply = await fetch(`${server.url}/v1/me`, { headers: { Authorization: `Bearer ${secret}` } });
  assert.equal(reply.status, 200);
  await page.reload();
  await page.getByRole("rowheader", { name: "a collector" }).waitFor();
  assert.ok(!(await page.content()).includes(secret));
  await done(watched);
});

test("an_account_without_rights_is_told_so_and_sees_nothing", async () => {
  await fetch(`${server.url}/v1/orgs/${server.org}/accounts`, {
    method: "POST", headers: { Authorization: `Bearer ${server.token}` },
    body: JSON.stringify({ login: "sam@northwind.example", display_name: "Sam", roles: ["sender"], password: "correct horse" }),
  });
  const watched = await open(browser, server);
  await signIn(watched, { ...server, login: "sam@northwind.example", password: "correct horse" }, "/");
  const { page } = watched;
  for (const address of ["/events", "/sessions", "/users", "/users/mara.lind", "/evidence", "/administration/accounts", "/administration/rules"]) {
    await page.goto(server.url + address);
    await page.getByText("Your account may not see this").first().waitFor();
    await accessible(page, `${address} without rights`);
  }
  await done(watched);
});

test("a_checkpoint_that_somebody_kept_is_compared_and_a_forged_one_refused", async () => {
  const log = await ask<{ checkpoint: string }>(server, "GET", "/log");
  const watched = await visit("/evidence");
  const { page } = watched;
  const [kept, forged] = [join(folder, "checkpoint"), join(folder, "forged")];
  writeFileSync(kept, log.checkpoint);
  writeFileSync(forged, log.checkpoint.replace(/\n(\d+)\n./, (_, size: string) => `\n${size}\nA`));
  const file = page.getByLabel("A checkpoint file");
  await file.setInputFiles(kept);
  await page.locator("[data-verdict=extends]").waitFor();
  await file.setInputFiles(forged);
  await page.locator("[data-verdict=refused]").waitFor();
  await done(watched);
});

test("a_bundle_opens_in_the_offline_viewer_without_network_and_is_refused_after_one_byte_changed", async () => {
  const watched = await visit("/evidence");
  const { page } = watched;
  await page.getByLabel("Events that match").fill("outcome:failure source:198.51.100.23");
  const [bundle] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Make a bundle" }).click()]);
  const zip = join(folder, "evidence.zip");
  await bundle.saveAs(zip);
  const [viewer] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "offline viewer" }).click()]);
  const html = join(folder, "viewer.html");
  await viewer.saveAs(html);
  const { vkey } = await ask<{ vkey: string }>(server, "GET", "/log");
  await done(watched);

  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(20_000);
  await context.setOffline(true);
  const offline = await context.newPage();
  const asked: string[] = [];
  const errors: string[] = [];
  offline.on("request", (request) => !request.url().startsWith("file:") && !request.url().startsWith("blob:") && asked.push(request.url()));
  offline.on("pageerror", (error) => errors.push(error.message));
  await offline.goto(`file://${html}`);
  await offline.getByLabel("The log's key").fill(vkey);
  const file = offline.getByLabel("An evidence bundle or a recording");
  await file.setInputFiles(zip);
  await offline.locator("[data-verdict=verified]").waitFor();
  assert.equal(await offline.locator("[data-verdict=unpinned]").count(), 0);
  await offline.locator("details").first().click();
  assert.match(await offline.locator("details pre").first().innerText(), /198\.51\.100\.23/);
  await accessible(offline, "offline viewer");
  for (const colorScheme of ["light", "dark"] as const) {
    await offline.emulateMedia({ colorScheme });
    await accessible(offline, `the offline viewer, ${colorScheme}`);
    if (PICTURES) await offline.screenshot({ path: join(PICTURES, `viewer-${colorScheme}.png`), animations: "disabled" });
  }
  // Another key is not the one that signed.
  await offline.getByLabel("The log's key").fill("audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs");
  await offline.locator("[data-verdict=tainted]").waitFor();
  await offline.getByLabel("The log's key").fill(vkey);
  await offline.locator("[data-verdict=verified]").waitFor();

  // One byte of a body, in the archive as it is: its checksum tells, so that is mended too, as a forger would.
  const bytes = readFileSync(zip);
  const at = bytes.indexOf("198.51.100.23");
  assert.ok(at > 0);
  bytes[at] = "2".charCodeAt(0);
  const damaged = join(folder, "damaged.zip");
  writeFileSync(damaged, bytes);
  await file.setInputFiles(damaged);
  await offline.locator("[data-verdict=refused]").waitFor();
  const { readZip, writeZip } = await import("../../src/proof/zip.ts");
  const files = await readZip(new Uint8Array(readFileSync(zip)));
  const [path, body] = [...files].find(([name]) => name.startsWith("bodies/")) ?? ["", new Uint8Array()];
  const changed = body.slice();
  changed[changed.length - 2] = (changed[changed.length - 2] ?? 0) ^ 1;
  files.set(path, changed);
  const forged = join(folder, "forged.zip");
  writeFileSync(forged, writeZip(files));
  await file.setInputFiles(forged);
  await offline.locator("[data-verdict=tainted]").waitFor();
  assert.match(await offline.locator("[data-verdict=tainted]").innerText(), new RegExp(`event ${Number(path.split("/")[1]) + 1}:`));
  assert.deepEqual([asked, errors], [[], []]);
  await context.close();
});

test("a_session_travels_with_its_proof_plays_offline_and_is_refused_after_one_byte_changed", async () => {
  const watched = await visit("/sessions");
  const { page } = watched;
  await page.getByRole("row", { name: /Night shift/ }).getByRole("link").click();
  await page.locator("[data-ready=true] .terminal").waitFor();
  const [bundle] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Evidence bundle" }).click()]);
  const zip = join(folder, "session.zip");
  await bundle.saveAs(zip);
  await done(watched);
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  await context.setOffline(true);
  const offline = await context.newPage();
  await offline.goto(`file://${join(ROOT, "console/dist/viewer.html")}`);
  const file = offline.getByLabel("An evidence bundle or a recording");
  await file.setInputFiles(zip);
  await offline.locator("[data-verdict=verified]").waitFor();
  await offline.getByRole("button", { name: "Play" }).click();
  await offline.locator("[data-ready=true] .terminal").waitFor();
  await offline.getByLabel("Moment").focus();
  await offline.keyboard.press("End");
  await offline.waitForFunction(() => document.querySelector(".terminal")?.textContent?.includes("shred -u"));
  const { readZip, writeZip } = await import("../../src/proof/zip.ts");
  const files = await readZip(new Uint8Array(readFileSync(zip)));
  const [path, bytes] = [...files].find(([name]) => name.startsWith("recordings/")) ?? ["", new Uint8Array()];
  const changed = bytes.slice();
  changed[1000] = (changed[1000] ?? 0) ^ 1;
  files.set(path, changed);
  const forged = join(folder, "session-forged.zip");
  writeFileSync(forged, writeZip(files));
  await file.setInputFiles(forged);
  await offline.locator("[data-verdict=tainted]").waitFor();
  assert.match(await offline.locator("[data-verdict=tainted]").innerText(), /piece 0 of the recording is not the one that was committed to/);
  await context.close();
});

test("the_server_s_settings_are_told_with_their_origin_and_only_to_who_may", async () => {
  const watched = await visit("/administration/server");
  const { page } = watched;
  const row = (name: string) => page.getByRole("row", { name: new RegExp(`^${name.replace(".", "\\.")} `) });
  await row("listen").waitFor();
  assert.match(await row("listen").innerText(), /127\.0\.0\.1:0[\s\S]*command line[\s\S]*--listen/);
  assert.match(await row("connections_max").innerText(), /4,096 connections[\s\S]*built in/);
  assert.match(await row("detection.webhook").innerText(), /not set/);
  await page.getByLabel("only what was set").check();
  await page.getByText(/^[23] of \d\d settings$/).waitFor();
  await page.getByLabel("Narrow the settings").fill("zzz");
  await page.getByText("No setting matches").waitFor();
  await accessible(page, "no setting");
  const setting = (changed: Record<string, unknown>) => ({
    name: "x", value: null, is_secret: false, unit: null, origin: { kind: "default", name: null }, about: "What it does.", ...changed,
  });
  await page.route("**/v1/server/settings", (route) => route.fulfill({ json: { settings: [
    setting({ name: "detection.webhook", value: "set", is_secret: true, origin: { kind: "file", name: "/etc/counterfoil.toml" } }),
    setting({ name: "data", value: "/srv/<img src=x>", origin: { kind: "environment", name: "COUNTERFOIL_DATA" } }),
    setting({ name: "trusted_proxies", value: ["10.0.0.0/8", "192.0.2.1"] }),
    setting({ name: "witnesses.organisations", value: { eu: "/etc/eu.policy" } }),
  ] } }));
  await page.goto(`${server.url}/administration/server`);
  assert.match(await row("detection.webhook").innerText(), /a secret: never shown[\s\S]*file[\s\S]*\/etc\/counterfoil\.toml/);
  assert.match(await row("data").innerText(), /<img src=x>[\s\S]*variable[\s\S]*COUNTERFOIL_DATA/);
  assert.match(await row("witnesses.organisations").innerText(), /eu: \/etc\/eu\.policy/);
  await accessible(page, "settings from everywhere");
  await page.unroute("**/v1/server/settings");
  await page.route("**/v1/server/settings", (route) => route.fulfill({ status: 403, json: { type: "urn:counterfoil:problem:forbidden", detail: "not allowed to read the settings of the server" } }));
  await page.reload();
  await page.getByText("Your account may not see this").waitFor();
  await accessible(page, "settings that one may not see");
  await done(watched);
});

/** Every file under a folder. */
function files(under: string): string[] {
  return readdirSync(under, { recursive: true, encoding: "utf8" }).map((name) => join(under, name)).filter((path) => statSync(path).isFile());
}

test("a_byte_flipped_on_disk_is_found_in_the_browser_and_the_event_named", async () => {
  const marker = "counterfoil-marker-to-be-flipped";
  const { seq } = await ask<{ seq: number }>(server, "POST", "/events", { action: "doc.read", message: marker });
  const watched = await visit(`/events/${seq}`);
  const { page } = watched;
  await page.getByRole("tab", { name: "Proof" }).click();
  await page.locator("[data-verdict=verified]").waitFor();
  const path = files(join(server.data, "log")).find((name) => readFileSync(name).includes(marker));
  assert.ok(path, "the event's body is on disk");
  const place = readFileSync(path).indexOf(marker);
  const handle = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, place);
  writeSync(handle, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, place);
  closeSync(handle);
  await page.reload();
  await settled(page);
  const tainted = page.locator("[data-verdict=tainted]");
  const failed = page.locator(".state.bad");
  await page.getByRole("tab", { name: "Proof" }).click();
  await tainted.or(failed).first().waitFor();
  assert.match(await tainted.or(failed).first().innerText(), new RegExp(`${seq.toLocaleString("en")}|${seq}`));
  // The whole verification finds the same one among all others.
  await page.goto(`${server.url}/evidence`);
  await page.getByRole("button", { name: /^Verify [\d,]+ entries$/ }).click();
  await page.locator("[data-verdict=tainted]").waitFor({ timeout: 60_000 });
  const told = await page.locator("[data-verdict=tainted]").innerText();
  assert.match(told, /^1 finding; the first: event/);
  assert.ok(told.includes(seq.toLocaleString("en")), told);
  assert.match(await page.locator("progress").first().getAttribute("value") ?? "", /^[1-9]\d{3,}$/);
  await watched.context.close();
});
