// Signing in and out as a browser without script does it: forms, cookies, forged requests, lockout.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { type Server, start } from "./server.ts";

let server: Server;
before(async () => {
  server = await start(50);
});
after(() => server?.stop());

const form = (fields: Record<string, string>, headers: Record<string, string> = {}, path = "/sign-in") =>
  fetch(server.url + path, { method: "POST", body: new URLSearchParams(fields), redirect: "manual", headers, signal: AbortSignal.timeout(30_000) });

/** Cookies of an answer, as a browser sends them back. */
const cookies = (response: Response): Record<string, string> =>
  Object.fromEntries(response.headers.getSetCookie().map((line) => (line.split(";")[0] ?? "").split("=") as [string, string]));

async function signedIn(): Promise<{ cookie: string; csrf: string; lines: string[] }> {
  const response = await form({ login: server.login, password: server.password, to: "/events?q=a" });
  assert.equal(response.status, 303);
  assert.equal(response.headers.get("location"), "/events?q=a");
  const { counterfoil_session, counterfoil_csrf } = cookies(response);
  return { cookie: `counterfoil_session=${counterfoil_session}`, csrf: counterfoil_csrf ?? "", lines: response.headers.getSetCookie() };
}

const me = (cookie: string) => fetch(`${server.url}/v1/me`, { headers: { cookie }, signal: AbortSignal.timeout(30_000) });

test("the_form_works_without_script_and_its_policy_has_no_exception", async () => {
  const page = await fetch(`${server.url}/sign-in?to=%2Fevents`);
  assert.equal(page.status, 200);
  const policy = page.headers.get("content-security-policy") ?? "";
  assert.ok(policy.startsWith("default-src 'self';") && !policy.includes("unsafe"), policy);
  const html = await page.text();
  assert.ok(html.includes('name="to" value="/events"') && !html.includes("<script"), html);
});

test("a_session_is_a_cookie_that_scripts_cannot_read_and_ends_when_signed_out", async () => {
  const { cookie, lines } = await signedIn();
  const [session = ""] = lines.filter((line) => line.startsWith("counterfoil_session"));
  assert.match(session, /HttpOnly; SameSite=Strict/);
  assert.equal((await me(cookie)).status, 200);
  const out = await form({}, { cookie }, "/sign-out");
  assert.equal(out.headers.get("location"), "/sign-in?signed-out=here");
  assert.equal((await me(cookie)).status, 401);
});

test("signing_out_everywhere_ends_every_session_but_no_other_token", async () => {
  const [one, two] = [await signedIn(), await signedIn()];
  const out = await form({}, { cookie: one.cookie }, "/sign-out-everywhere");
  assert.equal(out.headers.get("location"), "/sign-in?signed-out=everywhere");
  assert.deepEqual([(await me(one.cookie)).status, (await me(two.cookie)).status], [401, 401]);
  const token = await fetch(`${server.url}/v1/me`, { headers: { Authorization: `Bearer ${server.token}` } });
  assert.equal(token.status, 200);
});

test("a_request_that_changes_something_has_to_show_that_it_comes_from_the_page", async () => {
  const { cookie, csrf } = await signedIn();
  const send = (headers: Record<string, string>) =>
    fetch(`${server.url}/v1/orgs/${server.org}/events`, { method: "POST", headers: { cookie, ...headers }, body: '{"action":"tried"}' });
  const refused = await send({});
  assert.equal(refused.status, 403);
  assert.match(((await refused.json()) as { detail: string }).detail, /x-csrf-token/);
  assert.equal((await send({ "x-csrf-token": "0".repeat(64) })).status, 403);
  assert.equal((await send({ "x-csrf-token": csrf })).status, 201);
});

test("forms_of_other_sites_are_not_looked_at_and_nobody_is_led_away", async () => {
  const fields = { login: server.login, password: server.password };
  assert.equal((await form(fields, { origin: "https://evil.example" })).status, 403);
  assert.equal((await form(fields, { "sec-fetch-site": "cross-site" })).status, 403);
  for (const to of ["//evil.example", "https://evil.example", "/\\evil.example"]) {
    assert.equal((await form({ ...fields, to })).headers.get("location"), "/", to);
  }
});

test("wrong_passwords_are_told_and_too_many_lock", async () => {
  let locked: Response | null = null;
  for (let attempt = 0; attempt < 50 && !locked; attempt += 1) {
    const answer = await form({ login: server.login, password: `wrong ${attempt}` });
    if (answer.status === 429) locked = answer;
    else {
      assert.equal(answer.status, 401);
      assert.match(await answer.text(), /role="alert"[^>]*>Unknown login name or wrong password/);
    }
  }
  assert.ok(locked, "fifty wrong passwords did not lock");
  assert.ok(Number(locked.headers.get("retry-after")) > 0);
  assert.match(await locked.text(), /Too many failed tries: locked/);
  // The right one is refused, too.
  assert.equal((await form({ login: server.login, password: server.password })).status, 429);
});
