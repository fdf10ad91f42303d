// Audited users: who behaved least like themselves, what is usual for one of them, and why each score is what it is.

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { api, ApiError, type AuditedUserDetail, type Me, type Recorded, type RecomputedScore } from "../api/client.ts";
import { Empty, Failed, Link, Loaded, number, present, stamp, Time, useLoad, Waiting } from "../parts/basics.tsx";
import { DAYS, historyOf, hourOf, type ScoredSession, scoredSessions, tally, week } from "../parts/habits.ts";
import { quoted } from "../parts/query_bar.tsx";
import { ALGORITHMS, Explanation, Score } from "../parts/score.tsx";
import { address, change, type Place } from "../router.ts";

const ORDERS: Record<string, [name: string, sort: string]> = {
  risk: ["by risk", "-score,-last_seen"], seen: ["last seen", "-last_seen,-score"], name: ["by name", "user"],
};
const USERS = [100, 1000, 10_000];
/** Scores of a user that are read at once, the newest first; more on demand. */
const SCORES_PAGE = 500;
const VALUES = 10;

/** Where a user is shown; with a session, why it has its score. */
export const userAddress = (user: string, session?: string): string =>
  address(`/users/${encodeURIComponent(user)}`, session ? { session } : {});

export function Users({ org, me, place }: { org: string; me: Me; place: Place }) {
  const user = place.path[1];
  const may = me.account.roles.includes("admin") && me.scopes.includes("admin");
  return user ? <OneUser key={`${org} ${user}`} org={org} user={user} may={may} place={place} /> : <UserList key={org} org={org} may={may} place={place} />;
}

/** Builds the baselines of everybody now instead of at midnight; for who may. */
function Build({ org, may, onBuilt }: { org: string; may: boolean; onBuilt: () => void }) {
  const [state, set] = useState<{ since: number } | { as_of: string; took: number } | Error | null>(null);
  const [, tick] = useState(0);
  const busy = state !== null && "since" in state;
  useEffect(() => {
    if (!busy) return;
    const timer = setInterval(() => tick((now) => now + 1), 1000);
    return () => clearInterval(timer);
  }, [busy]);
  const build = async () => {
    const since = Date.now();
    set({ since });
    try {
      const { as_of } = await api.buildBaselines(org);
      set({ as_of, took: Date.now() - since });
      onBuilt();
    } catch (failed) {
      set(failed instanceof Error ? failed : new Error(String(failed)));
    }
  };
  if (!may) return <p class="quiet">Baselines are built at midnight, UTC; an administrator can order it for now.</p>;
  return (
    <div class="toolbar">
      <button type="button" disabled={busy} onClick={() => void build()}>Build the baselines now</button>
      <span role="status" data-built={state !== null && "as_of" in state}>
        {state === null ? <span class="quiet">Otherwise it is done at midnight, UTC. Sessions that end afterwards are compared with all before.</span>
          : state instanceof Error ? null
          : "as_of" in state ? <>Built in {(state.took / 1000).toFixed(1)} s, of everything recorded before <Time at={state.as_of} />.</>
          : <><span class="spinner" aria-hidden="true" /> Scoring what is over, then building… {Math.floor((Date.now() - state.since) / 1000)} s</>}
      </span>
      {state instanceof Error && <span role="alert" class="bad-text">The baselines were not built: {state.message}</span>}
    </div>
  );
}

function UserList({ org, may, place }: { org: string; may: boolean; place: Place }) {
  const chosen = place.params.get("sort") ?? "risk";
  const [, sort] = ORDERS[chosen] ?? ["", "-score,-last_seen"];
  const [step, setStep] = useState(0);
  const limit = USERS[step] ?? 100;
  const [load, again] = useLoad(`users ${org} ${sort} ${limit}`, (signal) => api.users(org, sort, limit, signal));
  const [text, setText] = useState("");
  return (
    <>
      <header class="view-head">
        <h1>Users</h1>
        <div class="segmented" role="group" aria-label="Order">
          {Object.entries(ORDERS).map(([key, [name]]) => (
            <button key={key} type="button" aria-pressed={key === chosen} onClick={() => change({ sort: key }, true)}>{name}</button>
          ))}
        </div>
      </header>
      <p class="quiet">The score is the highest of the sessions of the last 90 days, 0 (as always) to 100. It says “unlike before”, never “malicious”.</p>
      <Build org={org} may={may} onBuilt={again} />
      <Loaded load={load} what="users" again={again}>
        {({ users, count }) => {
          if (users.length === 0) return <Empty title="No user was seen">Users are those of recorded sessions. <Link to={address("/sessions")}>To the sessions</Link></Empty>;
          const shown = users.filter(({ user }) => user.toLowerCase().includes(text.trim().toLowerCase()));
          return (
            <>
              <div class="toolbar">
                <input type="text" class="grow" value={text} spellcheck={false} aria-label="Narrow the users by name" placeholder="Part of a name" onInput={(event) => setText(event.currentTarget.value)} />
                <span class="count" role="status">{number(shown.length)} of {number(count)} users</span>
              </div>
              {shown.length === 0 ? <Empty title="No user is called so">Of the {number(users.length)} that are shown.</Empty> : (
                <div class="table-scroll" tabIndex={0} role="region" aria-label="Users">
                  <table class="rows">
                    <thead><tr>{["User", "Score", "Last seen", "Last scored"].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
                    <tbody>
                      {shown.map(({ user, score, last_seen, scored_at }) => (
                        <tr key={user}>
                          <th scope="row"><Link to={userAddress(user)}>{user}</Link></th>
                          <td><Score value={score} /></td>
                          <td><Time at={last_seen} /></td>
                          <td><Time at={scored_at} /></td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
              )}
              {count > users.length && USERS[step + 1] && <p class="toolbar"><button type="button" onClick={() => setStep(step + 1)}>More users</button></p>}
            </>
          );
        }}
      </Loaded>
    </>
  );
}

/** Why nothing is here, if nobody of this name was seen. */
function Missing({ error, user, again }: { error: Error; user: string; again: () => void }) {
  if (!(error instanceof ApiError) || error.kind !== "not_found") return <Failed error={error} again={again} />;
  return <Empty title="No such user">Nobody called {user} was seen in a recorded session. <Link to={address("/users")}>All users</Link></Empty>;
}

/** Scores of one user, the newest first, as far back as was asked for. */
function useScores(org: string, user: string) {
  const q = `action:session.scored tag:"via:counterfoil" actor:${quoted(user)}`;
  const page = (after?: number, signal?: AbortSignal) => api.events(org, { q, limit: SCORES_PAGE, ...(after === undefined ? {} : { after }) }, signal);
  const [load, again] = useLoad(`scores ${org} ${user}`, async (signal) => {
    const first = await page(undefined, signal);
    const total = first.next === null ? first.events.length : (await api.summary(org, { q, buckets: 1 }, signal)).total;
    return { ...first, total };
  });
  const [older, setOlder] = useState<{ events: Recorded[]; next: number | null } | null>(null);
  const [state, setState] = useState<"" | "busy" | Error>("");
  const first = present(load);
  useEffect(() => setOlder(null), [first]);
  const events = useMemo(() => [...(first?.events ?? []), ...(older?.events ?? [])], [first, older]);
  const sessions = useMemo(() => scoredSessions(events, user), [events, user]);
  const next = older ? older.next : (first?.next ?? null);
  const more = async (all: boolean) => {
    setState("busy");
    try {
      let found = older?.events ?? [];
      for (let after = next; after !== null; ) {
        const one = await page(after);
        found = [...found, ...one.events];
        after = one.next;
        setOlder({ events: found, next: after });
        if (!all) break;
      }
      setState("");
    } catch (failed) {
      setState(failed instanceof Error ? failed : new Error(String(failed)));
    }
  };
  return { load, again, sessions, read: events.length, total: Math.max(first?.total ?? 0, events.length), isCut: next !== null, more, state };
}

type Scores = ReturnType<typeof useScores>;

function OneUser({ org, user, may, place }: { org: string; user: string; may: boolean; place: Place }) {
  const [load, again] = useLoad(`user ${org} ${user}`, () => api.user(org, user));
  const scores = useScores(org, user);
  const built = () => {
    again();
    scores.again();
  };
  const chosen = place.params.get("session");
  const detail = present(load);
  const close = () => {
    change({ session: undefined });
    document.getElementById(`why-${chosen}`)?.focus();
  };
  return (
    <>
      <header class="view-head">
        <h1 class="breakable">{user}</h1>
        <Link to={address("/users")}>All users</Link>
      </header>
      {load.state === "failed" ? <Missing error={load.error} user={user} again={again} /> : !detail ? <Waiting what="the user" /> : (
        <div class="stack">
          <div class="cards">
            <Standing org={org} detail={detail} may={may} onBuilt={built} />
            <Recomputed org={org} user={user} />
          </div>
          {chosen && <Explanation key={chosen} org={org} session={chosen} title={sessionTitle(scores.sessions, chosen)} onClose={close}>
            <p><Link to={address(`/sessions/${chosen}`)}>Watch the session</Link></p>
          </Explanation>}
          <Loaded load={scores.load} what="what was seen" again={scores.again}>
            {() => <Habits detail={detail} scores={scores} chosen={chosen} />}
          </Loaded>
        </div>
      )}
    </>
  );
}

function sessionTitle(sessions: ScoredSession[], id: string): string {
  const one = sessions.find(({ session }) => session === id)?.said.observation;
  return one ? `${one.server ?? "a session"}, ${stamp(one.started_s * 1000)}` : `session ${id}`;
}

function Standing({ org, detail, may, onBuilt }: { org: string; detail: AuditedUserDetail; may: boolean; onBuilt: () => void }) {
  return (
    <section class="card">
      <h2>Score</h2>
      <p class="big"><Score value={detail.score} /></p>
      <p class="quiet">Last seen <Time at={detail.last_seen} />, last scored <Time at={detail.scored_at} />.</p>
      <h3>Baselines</h3>
      {Object.keys(detail.baselines).length === 0 ? <p class="quiet">None was tried yet: a session has to be over first.</p> : (
        <dl class="fields stacked">
          {Object.entries(detail.baselines).map(([name, { last_success, last_failure }]) => (
            <>
              <dt key={name}>{ALGORITHMS[name] ?? name}</dt>
              <dd>
                {last_success && <>built of what came before <Time at={last_success.at} />, <code title={last_success.id}>{last_success.id.slice(0, 12)}</code> </>}
                {last_failure && <span class="quiet">{last_success ? "since then not built" : "not built"}: {last_failure.reason} (<Time at={last_failure.at} />)</span>}
              </dd>
            </>
          ))}
        </dl>
      )}
      <Build org={org} may={may} onBuilt={onBuilt} />
    </section>
  );
}

/** The score at a past time, out of the entries of the log. */
function Recomputed({ org, user }: { org: string; user: string }) {
  const [as_of, set] = useState("");
  const [found, setFound] = useState<RecomputedScore | Error | null>(null);
  const [busy, setBusy] = useState(false);
  const ask = async () => {
    setBusy(true);
    try {
      setFound(await api.recomputed(org, user, as_of ? new Date(as_of).toISOString() : undefined));
    } catch (failed) {
      setFound(failed instanceof Error ? failed : new Error(String(failed)));
    }
    setBusy(false);
  };
  return (
    <section class="card">
      <h2>Computed again from the log</h2>
      <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void ask(); }}>
        <label>As of (empty: now) <input type="datetime-local" value={as_of} onInput={(event) => set(event.currentTarget.value)} /></label>
        <button type="submit" disabled={busy}>{busy ? "Computing…" : "Compute again"}</button>
      </form>
      {found === null ? <p class="quiet">What was said of this user at a past time, computed again from what the log held then.</p>
        : found instanceof Error ? <p role="alert" class="bad-text">{found.message}</p> : (
          <div class={`verdict ${found.is_same ? "good" : "bad"}`} role="status" data-same={found.is_same}>
            <strong>{found.is_same ? "The same" : "NOT the same"}</strong>
            <p>
              As of <Time at={found.as_of} /> the score was {found.score ?? "not there yet"}, of {number(found.sessions.length)} session{found.sessions.length === 1 ? "" : "s"}.
            </p>
            {found.sessions.some(({ is_same }) => !is_same) && (
              <ul>
                {found.sessions.filter(({ is_same }) => !is_same).map(({ session, seq, aggregated, recomputed }) => (
                  <li key={session}><Link to={address(`/events/${seq}`)}>Event {number(seq)}</Link> says {aggregated ?? "no score"}; it comes to {recomputed ?? "no score"}.</li>
                ))}
              </ul>
            )}
          </div>
        )}
    </section>
  );
}

/** A baseline as it is now: the sessions that it consists of, or why there is none. */
function Habits({ detail, scores, chosen }: { detail: AuditedUserDetail; scores: Scores; chosen: string | null }) {
  const { sessions, isCut, read, total } = scores;
  const of = (algorithm: string) => {
    const standing = detail.baselines[algorithm];
    const at = standing?.last_success?.at;
    const why = standing?.last_failure?.reason ?? "it is built at midnight, UTC, or by order";
    const used = at ? historyOf(sessions, Date.parse(at)) : sessions;
    const cut = isCut ? ` (of the newest ${number(read)} scores only)` : "";
    const note: ComponentChildren = at
      ? <>The baseline as of <Time at={at} />: {number(used.length)} sessions{cut}.</>
      : <>No baseline yet: {why}. What was seen so far: {number(used.length)} session{used.length === 1 ? "" : "s"}{cut}.</>;
    return { used, note };
  };
  const [time, host, command, title, together] = [of("logintime"), of("hostlogin"), of("command"), of("windowtitle"), of("fis")];
  const mine = `tag:${quoted(`user:${detail.user}`)}`;
  const titles = tally(title.used, ({ observation }) => Object.keys(observation.measures?.titles ?? {}));
  if (sessions.length === 0) {
    return <section class="card"><Empty title="Nothing was scored yet">A session is scored when it is over and its recording was looked into. A baseline needs five.</Empty></section>;
  }
  return (
    <>
      {(isCut || scores.state !== "") && (
        <section class="card" aria-label="What is not drawn">
          <p role="status">
            Drawn are the newest {number(read)} of {number(total)} scores; {number(total - read)} older ones are not in the drawings and lists below.
          </p>
          <p class="toolbar">
            <button type="button" disabled={scores.state === "busy"} onClick={() => void scores.more(false)}>{scores.state === "busy" ? "Reading…" : `${number(Math.min(SCORES_PAGE, total - read))} more`}</button>
            <button type="button" disabled={scores.state === "busy"} onClick={() => void scores.more(true)}>All of them</button>
            {scores.state instanceof Error && <span role="alert" class="bad-text">{scores.state.message}</span>}
          </p>
        </section>
      )}
      <section class="card">
        <h2>Hours of the week</h2>
        <p class="quiet">{time.note}</p>
        <Hours used={time.used} now={sessions.find(({ session }) => session === chosen)?.said.observation.started_s} />
      </section>
      <div class="cards small">
        <Tally title="Servers" note={host.note} values={tally(host.used, ({ observation }) => [observation.server])}
          link={(value) => address("/sessions", { q: `${mine} target:${quoted(value)}` })} />
        <Tally title="Programs" note={command.note} values={tally(command.used, ({ observation }) => Object.keys(observation.measures?.commands ?? {}))} />
        <Tally title="Clients" note={together.note} values={tally(together.used, ({ observation }) => [observation.client])}
          link={(value) => address("/sessions", { q: `${mine} source:${quoted(value)}` })} />
        {titles.length > 0 && <Tally title="Window titles" note={title.note} values={titles} />}
      </div>
      <Scored sessions={sessions} user={detail.user} left={isCut ? total - read : 0} chosen={chosen} />
    </>
  );
}

const SHADES = 5;

function Hours({ used, now }: { used: ScoredSession[]; now: number | undefined }) {
  const { counts, usual } = week(used.map(({ said }) => said.observation.started_s));
  const flat = usual.flat();
  const least = Math.min(...flat);
  const shade = (value: number) => (used.length === 0 || least >= 1 ? 0 : Math.round(((value - least) / (1 - least)) * SHADES));
  const here = now === undefined ? null : hourOf(now);
  const two = (value: number) => String(value).padStart(2, "0");
  return (
    <>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Hours of the week">
        <table class="week">
          <caption class="visually-hidden">Sessions that began in each hour of the week, UTC</caption>
          <thead><tr><td></td>{Array.from({ length: 24 }, (_, hour) => <th key={hour} scope="col">{two(hour)}</th>)}</tr></thead>
          <tbody>
            {DAYS.map((day, row) => (
              <tr key={day}>
                <th scope="row"><abbr title={day}>{day.slice(0, 3)}</abbr></th>
                {counts[row]?.map((count, hour) => {
                  const isNow = here?.[0] === row && here[1] === hour;
                  return (
                    <td key={hour} class={`shade-${shade(usual[row]?.[hour] ?? 0)}${isNow ? " now" : ""}`} title={`${day} ${two(hour)}:00 UTC: ${count} sessions began`}>
                      {count > 0 ? number(count) : ""}
                      {isNow && <span class="visually-hidden"> the session explained above</span>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="quiet week-legend">
        Number: sessions that began in the hour, UTC. Shade: how usual the baseline takes it to be,{" "}
        <span aria-hidden="true">{Array.from({ length: SHADES + 1 }, (_, at) => <span key={at} class={`shade-${at} swatch`} />)}</span>{" "}
        from least to most; a start reaches two hours around it.{here && " Framed: the session explained above."}
      </p>
    </>
  );
}

function Tally({ title, note, values, link }: {
  title: string;
  note: ComponentChildren;
  values: { value: string; count: number }[];
  link?: (value: string) => string;
}) {
  const most = values[0]?.count ?? 1;
  return (
    <section class="card">
      <h2>{title}</h2>
      <p class="quiet">{note}</p>
      {values.length === 0 ? <Empty title="None">No session said or showed any.</Empty> : (
        <ul class="bars">
          {values.slice(0, VALUES).map(({ value, count }) => {
            const inner = (
              <>
                <span class="bar-name">{value}</span>
                <span class="bar-count">{number(count)}</span>
                <progress aria-hidden="true" max={most} value={count} />
              </>
            );
            return <li key={value}>{link ? <Link to={link(value)} title={value}>{inner}</Link> : <span class="bar-plain" title={value}>{inner}</span>}</li>;
          })}
        </ul>
      )}
      {values.length > VALUES && (
        <details>
          <summary>{number(values.length - VALUES)} rarer ones</summary>
          <p class="breakable">{values.slice(VALUES).map(({ value, count }) => `${value} (${number(count)})`).join(", ")}</p>
        </details>
      )}
    </section>
  );
}

function Scored({ sessions, user, left, chosen }: { sessions: ScoredSession[]; user: string; left: number; chosen: string | null }) {
  const [all, setAll] = useState(false);
  useEffect(() => setAll(false), [sessions]);
  const shown = all ? sessions : sessions.slice(0, 50);
  return (
    <section class="card">
      <h2>Scored sessions</h2>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Scored sessions">
        <table class="rows">
          <thead><tr>{["Started", "Server", "Score", "Highest of its parts", "Machine", "Event", "Why"].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
          <tbody>
            {shown.map(({ seq, session, said }) => {
              const { observation, scores = {}, aggregated, scripted } = said;
              const [highest] = Object.entries(scores).sort(([, a], [, b]) => b - a);
              const started = new Date(observation.started_s * 1000).toISOString();
              return (
                <tr key={session} class={session === chosen ? "selected" : ""}>
                  <td><Time at={started} /></td>
                  <th scope="row"><Link to={address(`/sessions/${session}`)}>{observation.server ?? "no server"}</Link></th>
                  <td><Score value={aggregated ?? null} /></td>
                  <td>{highest ? `${ALGORITHMS[highest[0]] ?? highest[0]} ${highest[1]}` : "–"}</td>
                  <td>{scripted.scripted ? <span class="tag live">scripted</span> : "–"}</td>
                  <td><Link to={address(`/events/${seq}`)}>{number(seq)}</Link></td>
                  <td>
                    <button type="button" id={`why-${session}`} aria-pressed={session === chosen} aria-label={`Why: ${observation.server ?? "session"} at ${stamp(observation.started_s * 1000)}`}
                      onClick={() => change({ session: session === chosen ? undefined : session })}>Why</button>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {shown.length < sessions.length && <p class="toolbar"><button type="button" onClick={() => setAll(true)}>All {number(sessions.length)}</button></p>}
      {left > 0 && <p class="quiet">{number(left)} older ones are not listed; <Link to={address("/events", { q: `action:session.scored actor:${quoted(user)}` })}>all are events</Link>.</p>}
    </section>
  );
}
