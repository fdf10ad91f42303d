// The first look: what happened, what was found, who behaved unlike before, who failed, which sources fell silent, and whether the
// evidence holds.

import { api, type FindingFields, type LogState } from "../api/client.ts";
import { Empty, Link, Loaded, number, partyName, sourceName, Time, useLoad } from "../parts/basics.tsx";
import { Histogram } from "../parts/histogram.tsx";
import { quoted } from "../parts/query_bar.tsx";
import { Score } from "../parts/score.tsx";
import { address, change, go, type Place } from "../router.ts";
import { userAddress } from "./users.tsx";

const SPANS: Record<string, [name: string, hours: number]> = { day: ["last day", 24], week: ["last 7 days", 168], month: ["last 30 days", 720] };
const VALUES = 8;
/** Sources that are watched for silence: the commonest ones. */
const SOURCES = 100;
/** Only findings of the server itself: a sender may send an event that calls itself one. */
const FINDINGS = 'action:detection.finding tag:"via:counterfoil"';

export function Overview({ org, place }: { org: string; place: Place }) {
  const chosen = place.params.get("span") ?? "month";
  const [, hours] = SPANS[chosen] ?? ["", 720];
  // To the minute, so that the same view asks for the same thing.
  const now = Math.ceil(Date.now() / 60e3) * 60e3;
  const from = new Date(now - hours * 3600e3).toISOString();
  const [load, again] = useLoad(`overview ${org} ${from}`, (signal) => api.summary(org, { from, buckets: 120 }, signal));
  return (
    <>
      <header class="view-head">
        <h1>Overview</h1>
        <div class="segmented" role="group" aria-label="Span of time">
          {Object.entries(SPANS).map(([key, [name]]) => (
            <button key={key} type="button" aria-pressed={key === chosen} onClick={() => change({ span: key })}>{name}</button>
          ))}
        </div>
      </header>
      <div class="cards small">
        <section class="card wide">
          <h2>Events over time</h2>
          <Loaded load={load} what="the summary" again={again}>
            {(summary) =>
              summary.total === 0 ? (
                <Empty title="Nothing happened in this time">Choose a longer span, or hand events in.</Empty>
              ) : (
                <>
                  <p class="big">{number(summary.total)} <span class="quiet">events, {number(summary.head.last_seq)} entries on record</span></p>
                  <Histogram
                    summary={summary}
                    height={150}
                    onChoose={(first, last) => go(address("/events", { from: first.toISOString(), to: last.toISOString() }))}
                  />
                </>
              )
            }
          </Loaded>
        </section>
        <Findings org={org} from={from} />
        <Riskiest org={org} />
        <Failures org={org} from={from} field="actor" title="Failures by account" />
        <Failures org={org} from={from} field="source" title="Failures by source" />
        <Silent org={org} from={from} now={now} />
        <EvidenceCard org={org} />
      </div>
    </>
  );
}

/** What the rules found, the newest first. */
function Findings({ org, from }: { org: string; from: string }) {
  const [load, again] = useLoad(`findings ${org} ${from}`, (signal) => api.events(org, { q: FINDINGS, from, limit: VALUES }, signal));
  return (
    <section class="card double">
      <h2>Findings</h2>
      <Loaded load={load} what="findings" again={again}>
        {({ events, next }) =>
          events.length === 0 ? (
            <Empty title="No findings">No rule found anything in this time. <Link to={address("/administration/rules")}>What the rules can see</Link></Empty>
          ) : (
            <>
              <ul class="bars">
                {events.map(({ seq, event, recorded_at, state }) => {
                  const { level, why } = (event?.attributes ?? {}) as FindingFields;
                  const of = [partyName(event?.actor), sourceName(event?.source)].filter(Boolean).join(", from ");
                  return (
                    <li key={seq}>
                      <Link to={address(`/events/${seq}`)} class="finding">
                        <span class="bar-name">{event?.message ?? state ?? "unreadable"}</span>
                        <span class={`level ${level === "high" || level === "critical" ? level : ""}`}>{level}</span>
                        <span class="quiet">{of}{of && ", "}<Time at={event?.occurred_at ?? recorded_at} />{why && `; ${why}`}</span>
                      </Link>
                    </li>
                  );
                })}
              </ul>
              {next !== null && <p><Link to={address("/events", { q: FINDINGS, from })}>All findings</Link></p>}
            </>
          )
        }
      </Loaded>
    </section>
  );
}

/** Whose sessions were least like before. */
function Riskiest({ org }: { org: string }) {
  const [load, again] = useLoad(`riskiest ${org}`, (signal) => api.users(org, "-score,-last_seen", VALUES, signal));
  return (
    <section class="card">
      <h2>Riskiest users</h2>
      <Loaded load={load} what="users" again={again}>
        {({ users, count }) => {
          const scored = users.filter(({ score }) => typeof score === "number");
          return (
            <>
              <p class="quiet">The highest score of a session of the last 90 days. <Link to={address("/users")}>All {number(count)} users</Link></p>
              {scored.length === 0 ? (
                <Empty title="Nobody has a score">{count === 0 ? "No user was seen in a recorded session." : "A user needs five recorded sessions before a build of the baselines, and one after it."}</Empty>
              ) : (
                <ul class="bars">
                  {scored.map(({ user, score }) => (
                    <li key={user}>
                      <Link to={userAddress(user)}>
                        <span class="bar-name">{user}</span>
                        <Score value={score} />
                      </Link>
                    </li>
                  ))}
                </ul>
              )}
            </>
          );
        }}
      </Loaded>
    </section>
  );
}

function Failures({ org, from, field, title }: { org: string; from: string; field: string; title: string }) {
  const [load, again] = useLoad(`failures ${org} ${from} ${field}`, (signal) =>
    api.summary(org, { q: "outcome:failure", from, field: [field], values: VALUES, buckets: 1 }, signal));
  return (
    <section class="card">
      <h2>{title}</h2>
      <Loaded load={load} what="failures" again={again}>
        {(summary) => {
          const values = summary.fields[0]?.values ?? [];
          const most = values[0]?.count ?? 1;
          if (values.length === 0) return <Empty title="No failures">Nothing failed in this time.</Empty>;
          return (
            <ul class="bars">
              {values.map(({ value, count }) => (
                <li key={value}>
                  <Link to={address("/events", { q: `outcome:failure ${field}:${quoted(value)}`, from })}>
                    <span class="bar-name">{value}</span>
                    <span class="bar-count">{number(count)}</span>
                    <progress class="failure" aria-hidden="true" max={most} value={count} />
                  </Link>
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </section>
  );
}

/** Sources that reported before the last day and not in it. */
function Silent({ org, from, now }: { org: string; from: string; now: number }) {
  const day = new Date(now - 86400e3).toISOString();
  const [load, again] = useLoad(`silent ${org} ${from}`, async (signal) => {
    const ask = (span: { from: string; to?: string }) => api.summary(org, { ...span, field: ["source"], values: SOURCES, buckets: 1 }, signal);
    const [before, since] = await Promise.all([ask({ from: from < day ? from : new Date(now - 30 * 86400e3).toISOString(), to: day }), ask({ from: day })]);
    const heard = new Set((since.fields[0]?.values ?? []).map(({ value }) => value));
    const known = before.fields[0];
    const candidates = (known?.values ?? []).filter(({ value }) => !heard.has(value));
    // A source beyond the commonest of today may still have spoken: ask for it by name.
    const silent: { value: string; count: number }[] = [];
    for (const one of candidates.slice(0, VALUES * 3)) {
      if (silent.length === VALUES) break;
      const spoke = (since.fields[0]?.distinct ?? 0) > SOURCES &&
        (await api.summary(org, { q: `source:${quoted(one.value)}`, from: day, buckets: 1 }, signal)).total > 0;
      if (!spoke) silent.push(one);
    }
    return { silent, watched: known?.values.length ?? 0, distinct: known?.distinct ?? 0 };
  });
  return (
    <section class="card">
      <h2>Silent sources</h2>
      <Loaded load={load} what="sources" again={again}>
        {({ silent, watched, distinct }) => (
          <>
            <p class="quiet">Heard before, not in the last day. {distinct > watched ? `The ${watched} commonest of ${number(distinct)} are watched.` : ""}</p>
            {silent.length === 0 ? (
              <Empty title="None">{watched === 0 ? "No source reported before the last day." : `All ${number(watched)} were heard in the last day.`}</Empty>
            ) : (
              <ul class="bars">
                {silent.map(({ value, count }) => (
                  <li key={value}>
                    <Link to={address("/events", { q: `source:${quoted(value)}` })}>
                      <span class="bar-name">{value}</span>
                      <span class="bar-count">{number(count)}</span>
                    </Link>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
    </section>
  );
}

function EvidenceCard({ org }: { org: string }) {
  const [load, again] = useLoad(`evidence ${org}`, async () => {
    const log = await api.log(org);
    return { log, state: await api.logJson<LogState>(log.path, "state") };
  });
  return (
    <section class="card">
      <h2>State of the evidence</h2>
      <Loaded load={load} what="the state of the log" again={again}>
        {({ state }) => {
          const last = state.last_verification;
          const bad = state.reasons.length > 0 || Boolean(state.alarm) || last?.verdict === "tainted";
          return (
            <dl class="fields stacked">
              <dt>Log</dt>
              <dd>{bad ? <strong class="bad-text">tainted: {[...state.reasons, state.alarm?.reason].filter(Boolean).join(", ") || last?.reasons.join(", ")}</strong> : state.state.replace("_", " ")}</dd>
              <dt>Signed</dt>
              <dd>{number(state.signed_size)} entries, the last <Time at={state.last_recorded_at ?? null} /></dd>
              <dt>Last verified by the server</dt>
              <dd>{last ? <>{last.verdict}, {number(last.entries_read)} of {number(last.entries_expected)} entries, <Time at={last.at} /></> : "not yet as a whole"}</dd>
              <dt>Witnesses</dt>
              <dd>{state.witnessed_size ? <>cosigned up to {number(state.witnessed_size)}, <Time at={state.witnessed_at ?? null} /></> : (state.outside ?? "none")}</dd>
              <dt></dt>
              <dd><Link to={address("/evidence")}>Check it in this browser</Link></dd>
            </dl>
          );
        }}
      </Loaded>
    </section>
  );
}
