// How fast the console is, measured in a real Chromium over the real program, and printed. Nothing here is asserted: clocks belong to
// benchmarks, not to tests. `scripts/bench-console.sh` runs it; docs/console.md has what it printed.
//
//   EVENTS        events of the trail that is scrolled through (1,000,000)
//   SESSION_MIB   size of the session that is seeked in (2048)
//   WITHOUT_PAGE  only the seeks, by the page's driver and emulator under Node: for a program without the page in it

import { cpus, loadavg } from "node:os";

import type { Browser, BrowserContext, Page } from "playwright-core";

import xterm from "@xterm/headless";

import { Driver, type Stretch } from "../../src/player/driver.ts";
import { launch } from "../browser/page.ts";
import { ask, PROGRAM, type Server, start } from "../browser/server.ts";

const EVENTS = Number(process.env.EVENTS ?? 1_000_000);
const SESSION_MIB = Number(process.env.SESSION_MIB ?? 2048);
const RUNS = 10;
const SEEKS = 20;

const rows: [what: string, measured: string, target: string][] = [];
const say = (what: string, measured: string, target: string) => {
  rows.push([what, measured, target]);
  console.error(`${what}: ${measured} (${target})`);
};
const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
const median = (values: number[]) => sorted(values)[Math.floor(values.length / 2)] ?? NaN;
const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

/** A browser that is signed in and has nothing of the page in its cache. */
async function fresh(browser: Browser, server: Server): Promise<{ context: BrowserContext; page: Page }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(300_000);
  const signed = await context.request.post(`${server.url}/sign-in`, {
    form: { login: server.login, password: server.password, to: "/" }, headers: { Origin: server.url }, maxRedirects: 0,
  });
  if (signed.status() !== 303) throw new Error(`signing in: ${signed.status()}`);
  return { context, page: await context.newPage() };
}

/** Waits until the search index holds all that was recorded: what it lacks is looked at one by one, and that is not measured here. */
async function indexed(server: Server): Promise<void> {
  for (;;) {
    const metrics = await fetch(`${server.url}/metrics`).then((reply) => reply.text());
    const lag = /^\S*index_lag_entries(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1];
    if (lag === undefined || Number(lag) === 0) return;
    await new Promise((later) => setTimeout(later, 1000));
  }
}

/** From the start of the navigation until the overview stands: nothing loads any more, the histogram and the cards are drawn. */
async function firstView(browser: Browser, server: Server): Promise<void> {
  const shown: number[] = [];
  const whole: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { context, page } = await fresh(browser, server);
    // By each frame the page looks at itself, and keeps the time of the first at which it was so.
    await page.addInitScript(() => {
      const look = () => {
        const main = document.querySelector("main");
        const marks = window as unknown as { shown?: number; whole?: number };
        if (main?.querySelector("h1")) marks.shown ??= performance.now();
        if (main?.querySelector(".histogram svg .bar") && !document.querySelector(".spinner")) marks.whole ??= performance.now();
        if (marks.whole === undefined) requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    await page.goto(server.url);
    await page.waitForFunction(() => (window as unknown as { whole?: number }).whole !== undefined);
    const marks = await page.evaluate(() => {
      const { shown, whole } = window as unknown as { shown: number; whole: number };
      return { shown, whole };
    });
    shown.push(marks.shown);
    whole.push(marks.whole);
    await context.close();
  }
  say("first view usable: navigation and heading drawn, cold cache", `${ms(median(shown))} median of ${RUNS}, ${ms(Math.max(...shown))} worst`, "< 1 s");
  say(`the same with every card of the overview, over ${EVENTS.toLocaleString("en")} events`, `${ms(median(whole))} median, ${ms(Math.max(...whole))} worst`, "–");
}

interface TraceEvent { name: string; ts: number; args?: { hasPartialUpdate?: boolean } }

/** Scrolls for some seconds by the browser's own gesture, and counts what its compositor drew meanwhile. */
async function scrolling(browser: Browser, server: Server): Promise<void> {
  const { context, page } = await fresh(browser, server);
  await page.goto(`${server.url}/events`);
  const table = page.locator(".event-table");
  await table.locator(".event-row").first().waitFor();
  const box = await table.boundingBox();
  if (!box) throw new Error("the table is not there");
  const client = await context.newCDPSession(page);
  const trace = async (work: () => Promise<void>): Promise<TraceEvent[]> => {
    const events: TraceEvent[] = [];
    const take = ({ value }: { value: object[] }) => events.push(...(value as TraceEvent[]));
    client.on("Tracing.dataCollected", take);
    await client.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["devtools.timeline", "disabled-by-default-devtools.timeline.frame", "devtools.timeline.frame", "cc"] } });
    await work();
    const over = new Promise((done) => client.once("Tracing.tracingComplete", done));
    await client.send("Tracing.end");
    await over;
    client.off("Tracing.dataCollected", take);
    return events;
  };
  const at = { x: Math.round(box.x + box.width / 2), y: Math.round(box.y + box.height / 2) };
  const measure = async (name: string, work: () => Promise<void>) => {
    const events = await trace(work);
    const drawn = events.filter((event) => event.name === "DrawFrame").map(({ ts }) => ts / 1000).sort((a, b) => a - b);
    // Of a frame with a partial update the compositor drew its part in time: it scrolled, but rows came a frame later.
    const missed = events.filter((event) => event.name === "DroppedFrame");
    const dropped = missed.filter(({ args }) => !args?.hasPartialUpdate).length;
    const gaps = drawn.slice(1).map((time, index) => time - (drawn[index] ?? time));
    const seconds = ((drawn.at(-1) ?? 0) - (drawn[0] ?? 0)) / 1000;
    const late = gaps.filter((gap) => gap > 25).length;
    say(name, `${((drawn.length - 1) / seconds).toFixed(1)} frames/s over ${seconds.toFixed(1)} s; between frames ${ms(median(gaps))} median, ${ms(sorted(gaps)[Math.floor(gaps.length * 0.99)] ?? NaN)} p99; ${late} of ${drawn.length} later than 25 ms, ${dropped} dropped, ${missed.length - dropped} with rows a frame later`, "60 frames/s");
  };
  const total = await page.locator(".count[data-total]").getAttribute("data-total");
  await measure(`scrolling ${Number(total).toLocaleString("en")} events, by gesture, 4,000 px/s`, async () => {
    await client.send("Input.synthesizeScrollGesture", { ...at, yDistance: -20_000, speed: 4000, gestureSourceType: "mouse", preventFling: true });
  });
  await measure("the same at 20,000 px/s, far faster than rows can be read", async () => {
    await client.send("Input.synthesizeScrollGesture", { ...at, yDistance: -100_000, speed: 20_000, gestureSourceType: "mouse", preventFling: true });
  });
  await context.close();
}

/** Uploads a session of so many MiB: a shell's output with colours, a line every few milliseconds. */
async function generated(server: Server, mib: number): Promise<{ id: string; seconds: number }> {
  const { id } = await ask<{ id: string }>(server, "POST", "/sessions", { recording: { title: "Generated", user: { name: "bench" }, server: { name: "big" } } });
  let dice = 20261121;
  const word = () => {
    dice = (Math.imul(dice, 1664525) + 1013904223) >>> 0;
    return (dice >>> 8).toString(36);
  };
  let at = 0;
  let sent = 0;
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    pull(control) {
      if (sent >= mib * 1_048_576) return control.close();
      let text = sent === 0 ? `${JSON.stringify({ version: 2, width: 120, height: 40 })}\n` : "";
      // A few hundred kilobytes at once: a screenful in each event, as programs write it.
      while (text.length < 512 << 10) {
        at += 0.004;
        let lines = "";
        for (let line = 0; line < 24; line += 1) lines += `\u001b[3${line % 8}m${word()} ${word()}\u001b[0m ${word()} the same words in every line of the recording ${line}\r\n`;
        text += `${JSON.stringify([Number(at.toFixed(6)), "o", lines])}\n`;
      }
      const bytes = encoder.encode(text);
      sent += bytes.length;
      control.enqueue(bytes);
    },
  });
  const reply = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/recording?finish=true`, {
    method: "PUT", headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/octet-stream" }, body: stream, duplex: "half",
  } as RequestInit);
  if (!reply.ok) throw new Error(`the generated session: ${reply.status} ${await reply.text()}`);
  // The first look waits until it was made ready; a request is given up before that, so it is asked for until it answers.
  const since = Date.now();
  for (;;) {
    const found = await fetch(`${server.url}/v1/orgs/${server.org}/sessions/${id}/playback`, { headers: { Authorization: `Bearer ${server.token}` } });
    if (found.ok) return { id, seconds: (Date.now() - since) / 1000 };
    if (found.status !== 503) throw new Error(`the generated session: ${found.status} ${await found.text()}`);
    await new Promise((later) => setTimeout(later, 1000));
  }
}

/** Places far from each other, so that none is in what was kept. */
const place = (seek: number, max: number) => Math.floor((((seek + 1) * 48611) % 104729) / 104729 * max / 1000) * 1000;

/** What a seek costs without drawing: the request, and the emulator that plays what came. */
async function seekingUnderNode(server: Server): Promise<void> {
  const { id, seconds } = await generated(server, SESSION_MIB);
  console.error(`the generated session was made ready in ${seconds.toFixed(0)} s`);
  let requests = 0;
  const waits: number[] = [];
  const driver = new Driver(async (at) => {
    requests += 1;
    const since = performance.now();
    const stretch = await ask<Stretch>(server, "GET", `/sessions/${id}/playback?at=${Math.floor(at)}`);
    waits.push(performance.now() - since);
    return stretch;
  }, (columns, rows) => new xterm.Terminal({ cols: columns, rows, scrollback: 5000, allowProposedApi: true }));
  await driver.seek(0);
  const max = driver.stretch?.duration_us ?? 0;
  waits.length = 0;
  const times: number[] = [];
  const asked: number[] = [];
  for (let seek = 0; seek < SEEKS; seek += 1) {
    requests = 0;
    const since = performance.now();
    await driver.seek(place(seek, max));
    times.push(performance.now() - since);
    asked.push(requests);
  }
  say(`seek in a session of ${SESSION_MIB} MiB, under Node: request and emulator, not drawn`, `${ms(median(times))} median of ${SEEKS}, ${ms(Math.max(...times))} worst; ${Math.max(...asked)} request at most`, "one request, < 200 ms");
  say("of that, the request", `${ms(median(waits))} median, ${ms(Math.max(...waits))} worst`, "–");
}

async function seeking(browser: Browser, server: Server): Promise<void> {
  const { id, seconds } = await generated(server, SESSION_MIB);
  console.error(`the generated session was made ready in ${seconds.toFixed(0)} s`);
  const { context, page } = await fresh(browser, server);
  await page.goto(`${server.url}/sessions/${id}`);
  await page.locator("[data-ready=true]").waitFor();
  const max = Number(await page.getByLabel("Moment").getAttribute("max"));
  const times: number[] = [];
  const waits: number[] = [];
  const asked: number[] = [];
  let requests = 0;
  page.on("request", (request) => {
    if (request.url().includes("/playback")) requests += 1;
  });
  page.on("requestfinished", (request) => {
    if (request.url().includes("/playback")) waits.push(request.timing().responseEnd);
  });
  for (let seek = 0; seek < SEEKS; seek += 1) {
    const to = place(seek, max);
    requests = 0;
    const took = await page.evaluate(async (wanted) => {
      const slider = document.querySelector<HTMLInputElement>(".timeline input");
      const terminal = document.querySelector(".terminal");
      if (!slider || !terminal) throw new Error("there is no player");
      const drawn = new Promise<number>((done) => {
        const watch = new MutationObserver(() => requestAnimationFrame(() => {
          watch.disconnect();
          done(performance.now());
        }));
        watch.observe(terminal, { childList: true, subtree: true, characterData: true });
      });
      const since = performance.now();
      slider.value = String(wanted);
      slider.dispatchEvent(new Event("input", { bubbles: true }));
      return (await drawn) - since;
    }, to);
    times.push(took);
    asked.push(requests);
  }
  say(`seek in a session of ${SESSION_MIB} MiB, from the slider to the drawn screen`, `${ms(median(times))} median of ${SEEKS}, ${ms(Math.max(...times))} worst; ${Math.max(...asked)} request at most`, "one request, < 200 ms");
  say("of that, the request", `${ms(median(waits))} median, ${ms(Math.max(...waits))} worst`, "–");
  await context.close();
}

const server = await start(EVENTS, 600_000);
const browser = process.env.WITHOUT_PAGE ? null : await launch();
try {
  console.error(`${PROGRAM}; ${cpus()[0]?.model}, ${cpus().length} cores; Chromium ${browser?.version() ?? "not used"}; load ${loadavg().map((one) => one.toFixed(2)).join(" ")}`);
  if (browser) {
    await indexed(server);
    await firstView(browser, server);
    await scrolling(browser, server);
    if (SESSION_MIB > 0) await seeking(browser, server);
  } else {
    await seekingUnderNode(server);
  }
} finally {
  await browser?.close();
  await server.stop();
}
console.log("| what | measured | target |\n|---|---|---|");
for (const row of rows) console.log(`| ${row.join(" | ")} |`);
