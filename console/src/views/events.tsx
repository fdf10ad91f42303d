// Events: query, time, facets, table, live tail, export, saved searches. Everything that is chosen stands in the address.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, type EventFilter, type EventSummary, type Recorded } from "../api/client.ts";
import { download, Empty, Failed, Link, number, present, useLoad, Waiting } from "../parts/basics.tsx";
import { EventTable, ROWS_MAX } from "../parts/event_table.tsx";
import { Histogram } from "../parts/histogram.tsx";
import { QueryBar, quoted } from "../parts/query_bar.tsx";
import { makeBundle } from "../parts/make_bundle.ts";
import { address, change, type Place } from "../router.ts";
import { EventDetail } from "./event.tsx";

const FACETS = ["outcome", "kind", "action", "actor", "source"];
const FRESH_MAX = 500;
const EXPORT_MAX = 50_000;
const EXPORT_PAGE = 1000;
/** Events of one evidence bundle made here; more are made by the command line. */
const BUNDLE_MAX = 2000;

export function Events({ org, place }: { org: string; place: Place }) {
  const parameter = (name: string) => place.params.get(name) ?? "";
  const filter: EventFilter = { q: parameter("q"), from: parameter("from"), to: parameter("to") };
  const isLive = parameter("live") === "1";
  const selected = Number(place.path[1]) || null;
  const key = JSON.stringify([org, filter]);
  const [summary, again] = useLoad(key, (signal) => api.summary(org, { ...filter, buckets: 90, field: FACETS, values: 8 }, signal));
  const [fresh, setFresh] = useState<Recorded[]>([]);
  const [lost, setLost] = useState(false);
  const shown = present(summary);
  const head = shown?.head.last_seq ?? null;
  const from = useRef(0);
  if (head !== null && fresh.length === 0) from.current = head;

  useEffect(() => setFresh([]), [key]);
  useEffect(() => {
    if (!isLive || head === null) return;
    const stream = api.follow(org, { ...filter, after: from.current });
    stream.onopen = () => setLost(false);
    stream.onerror = () => setLost(true);
    stream.onmessage = (message) => {
      const recorded = JSON.parse(message.data as string) as Recorded;
      setFresh((before) => [recorded, ...before].slice(0, FRESH_MAX));
    };
    return () => stream.close();
  }, [isLive, key, head]);

  const error = summary.state === "failed" ? summary.error : null;
  const isQueryError = error?.message.startsWith("parameter q:") ?? false;
  const add = (field: string, value: string) => {
    const term = `${field}:${quoted(value)}`;
    const terms = filter.q ?? "";
    change({ q: terms.includes(term) ? terms : `${terms} ${term}`.trim() });
  };
  return (
    <div class={selected ? "events with-detail" : "events"}>
      <section class="events-main" aria-label="Events">
        <h1 class="visually-hidden">Events</h1>
        <QueryBar org={org} value={filter.q ?? ""} error={isQueryError ? error : null} onQuery={(q) => change({ q })} />
        <div class="toolbar">
          <TimeRange filter={filter} />
          <button type="button" aria-pressed={isLive} onClick={() => change({ live: isLive ? undefined : "1" })}>
            {isLive ? "Stop following" : "Follow live"}
          </button>
          <Saved query={filter.q ?? ""} />
          <Export org={org} filter={filter} total={shown?.total ?? 0} />
          <span class="count" role="status" data-total={shown?.total ?? ""}>
            {shown ? `${number(shown.total)} event${shown.total === 1 ? "" : "s"}` : ""}
            {isLive && fresh.length > 0 && `, ${number(fresh.length)} new`}
            {isLive && lost && ", connection lost, trying again"}
          </span>
        </div>
        {error && !isQueryError && <Failed error={error} again={again} />}
        {!shown && !error && <Waiting what="events" />}
        {shown && !isQueryError && (
          <>
            <Histogram summary={shown} onChoose={(first, last) => change({ from: first.toISOString(), to: last.toISOString() })} />
            <div class="events-body">
              <Facets summary={shown} query={filter.q ?? ""} onAdd={add} />
              <div class="events-list">
                {shown.total > ROWS_MAX && <p class="quiet">The newest {number(ROWS_MAX)} can be scrolled to; narrow the query for older ones.</p>}
                {shown.total === 0 && fresh.length === 0 ? (
                  <Empty title="No event matches">
                    {filter.q || filter.from || filter.to ? (
                      <>Take something out of the query, or <Link to={address("/events", { q: undefined })}>look at all events</Link>.</>
                    ) : (
                      <>Nothing was handed in yet. <code>counterfoil import</code> reads log files; <code>POST /v1/orgs/…/events</code> takes JSON.</>
                    )}
                  </Empty>
                ) : (
                  <EventTable
                    org={org}
                    filter={filter}
                    total={shown.total}
                    head={shown.head.last_seq}
                    fresh={isLive ? fresh : []}
                    selected={selected}
                    onSelect={(seq) => go(seq)}
                  />
                )}
              </div>
            </div>
          </>
        )}
      </section>
      {selected && <EventDetail org={org} seq={selected} onClose={() => go(null)} onAdd={add} />}
    </div>
  );
}

function go(seq: number | null): void {
  const parameters = Object.fromEntries(new URLSearchParams(location.search));
  history.pushState(null, "", address(seq ? `/events/${seq}` : "/events", parameters));
  dispatchEvent(new Event("counterfoil:place"));
}

const SPANS: [string, number][] = [["Last hour", 3600e3], ["Last day", 86400e3], ["Last 7 days", 7 * 86400e3], ["Last 30 days", 30 * 86400e3]];

function TimeRange({ filter }: { filter: EventFilter }) {
  const local = (text: string | undefined) => {
    if (!text) return "";
    const date = new Date(text);
    return Number.isNaN(date.getTime()) ? "" : new Date(date.getTime() - date.getTimezoneOffset() * 60e3).toISOString().slice(0, 16);
  };
  const set = (name: "from" | "to") => (event: { currentTarget: HTMLInputElement }) => {
    const { value } = event.currentTarget;
    change({ [name]: value ? new Date(value).toISOString() : undefined });
  };
  return (
    <fieldset class="time-range">
      <legend class="visually-hidden">Time</legend>
      <label>
        From <input type="datetime-local" value={local(filter.from)} onChange={set("from")} />
      </label>
      <label>
        to <input type="datetime-local" value={local(filter.to)} onChange={set("to")} />
      </label>
      <select
        aria-label="Common spans of time"
        value=""
        onChange={(event) => {
          const span = SPANS[Number(event.currentTarget.value)];
          if (event.currentTarget.value === "all") change({ from: undefined, to: undefined });
          else if (span) change({ from: new Date(Date.now() - span[1]).toISOString(), to: undefined });
        }}
      >
        <option value="" disabled>Span…</option>
        {SPANS.map(([name], at) => <option key={name} value={at}>{name}</option>)}
        <option value="all">All time</option>
      </select>
    </fieldset>
  );
}

function Facets({ summary, query, onAdd }: { summary: EventSummary; query: string; onAdd: (field: string, value: string) => void }) {
  return (
    <aside class="facets" aria-label="Facets">
      {summary.fields.map(({ field, values, distinct, complete }) => (
        <section key={field}>
          <h2>{field}</h2>
          {values.length === 0 && <p class="quiet">none</p>}
          <ul>
            {values.map(({ value, count }) => (
              <li key={value}>
                <button type="button" class="facet" aria-pressed={query.includes(`${field}:${quoted(value)}`)} onClick={() => onAdd(field, value)} title={`Only ${field} ${value}`}>
                  <span class="facet-value">{value}</span>
                  <span class="facet-count">{number(count)}</span>
                  <progress aria-hidden="true" max={summary.total || 1} value={count} />
                </button>
              </li>
            ))}
          </ul>
          {(distinct > values.length || !complete) && <p class="quiet">{complete ? `${number(distinct - values.length)} more` : "not all were counted"}</p>}
        </section>
      ))}
    </aside>
  );
}

const SAVED = "counterfoil:searches";

function Saved({ query }: { query: string }) {
  const [saved, set] = useState<string[]>(() => {
    try {
      return JSON.parse(localStorage.getItem(SAVED) ?? "[]") as string[];
    } catch {
      return [];
    }
  });
  const keep = (list: string[]) => {
    set(list);
    localStorage.setItem(SAVED, JSON.stringify(list));
  };
  return (
    <span class="saved">
      <select aria-label="Saved searches (kept in this browser)" value="" onChange={(event) => event.currentTarget.value && change({ q: event.currentTarget.value })}>
        <option value="">Saved searches…</option>
        {saved.map((one) => <option key={one} value={one}>{one}</option>)}
      </select>
      {saved.includes(query) ? (
        <button type="button" onClick={() => keep(saved.filter((one) => one !== query))}>Forget</button>
      ) : (
        <button type="button" disabled={!query} onClick={() => keep([...saved, query].slice(-50))}>Save</button>
      )}
    </span>
  );
}

const CSV = ["seq", "recorded_at", "occurred_at", "kind", "action", "outcome", "actor", "source", "message"] as const;

function csvRow(recorded: Recorded): string {
  const fields = recorded.event;
  const text = (value: unknown) => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));
  const cells = [
    String(recorded.seq), recorded.recorded_at, text(fields?.occurred_at), text(fields?.kind), text(fields?.action), text(fields?.outcome),
    text(fields?.actor), text(fields?.source), text(fields?.message),
  ];
  // A cell that a spreadsheet would take for a formula is kept from being one.
  return cells.map((cell) => `"${(/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(",");
}

function Export({ org, filter, total }: { org: string; filter: EventFilter; total: number }) {
  const [doing, set] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const pages = async (most: number): Promise<Recorded[]> => {
    const all: Recorded[] = [];
    for (let after: number | undefined; all.length < most; ) {
      const page = await api.events(org, { ...filter, limit: Math.min(EXPORT_PAGE, most - all.length), ...(after === undefined ? {} : { after }) });
      all.push(...page.events);
      set(`${number(all.length)} events…`);
      if (page.next === null) break;
      after = page.next;
    }
    return all;
  };
  const make = async (form: string) => {
    setError(null);
    try {
      if (form === "bundle") {
        const events = await pages(BUNDLE_MAX);
        const zip = await makeBundle(org, events.map(({ seq }) => seq), set);
        download("evidence.zip", zip, "application/zip");
      } else {
        const events = await pages(EXPORT_MAX);
        if (form === "csv") download("events.csv", `${[CSV.join(","), ...events.map(csvRow)].join("\r\n")}\r\n`, "text/csv");
        else download("events.json", JSON.stringify(events, null, 1), "application/json");
      }
    } catch (failed) {
      setError(failed instanceof Error ? failed : new Error(String(failed)));
    }
    set("");
  };
  const most = (form: number) => (total > form ? `, the newest ${number(form)}` : "");
  return (
    <span class="export">
      <select aria-label="Export" disabled={doing !== "" || total === 0} value="" onChange={(event) => void make(event.currentTarget.value)}>
        <option value="" disabled>{doing || "Export…"}</option>
        <option value="csv">CSV{most(EXPORT_MAX)}</option>
        <option value="json">JSON{most(EXPORT_MAX)}</option>
        <option value="bundle">Evidence bundle{most(BUNDLE_MAX)}</option>
      </select>
      {error && <span role="alert" class="bad-text">{error.message}</span>}
    </span>
  );
}

