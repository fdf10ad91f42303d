// Recorded sessions: the list, and one session with its player and who looked at it.

import type { ComponentType } from "preact";
import { useCallback, useEffect, useState } from "preact/hooks";

import { api, ApiError, type ContentHit, type Session } from "../api/client.ts";
import type { Mark } from "../player/player.tsx";
import { bytes, clock, download, Empty, Failed, Link, Loaded, number, partyName, present, Time, useLoad, Waiting } from "../parts/basics.tsx";
import { makeBundle } from "../parts/make_bundle.ts";
import { Score } from "../parts/score.tsx";
import { address, change, type Place } from "../router.ts";
import { userAddress } from "./users.tsx";

const PAGE = 100;

/** Who was where, in a few words. */
export function sessionName({ recording }: Session): string {
  const user = recording.user?.name ?? recording.user?.gateway_name ?? recording.user?.server_names?.[0] ?? "somebody";
  const server = recording.server?.name ?? recording.server?.address;
  return server ? `${user} on ${server}` : user;
}

export function Sessions({ org, place }: { org: string; place: Place }) {
  const id = place.path[1];
  const content = place.params.get("content");
  if (!id && content) return <Found org={org} content={content} />;
  return id ? <OneSession key={id} org={org} id={id} place={place} /> : <SessionList org={org} place={place} />;
}

function SessionList({ org, place }: { org: string; place: Place }) {
  const parameter = (name: string) => place.params.get(name) ?? "";
  const query = { q: parameter("q"), protocol: parameter("protocol"), active: parameter("active"), limit: PAGE };
  const key = JSON.stringify([org, query]);
  const [load, again] = useLoad(key, () => api.sessions(org, query));
  const [more, setMore] = useState<{ sessions: Session[]; next: string | null } | null>(null);
  useEffect(() => setMore(null), [key]);
  const first = present(load);
  const sessions = [...(first?.sessions ?? []), ...(more?.sessions ?? [])];
  const next = more ? more.next : (first?.next ?? null);
  const [text, setText] = useState(query.q);
  useEffect(() => setText(query.q), [query.q]);
  return (
    <>
      <header class="view-head"><h1>Sessions</h1></header>
      <ContentForm value="" />
      <form class="toolbar" role="search" aria-label="Sessions" onSubmit={(event) => { event.preventDefault(); change({ q: text.trim() }); }}>
        <input type="text" class="grow" value={text} spellcheck={false} aria-label="Find sessions by user, host, command or title" placeholder="User, host, command, title; or actor:ann target:db1" onInput={(event) => setText(event.currentTarget.value)} />
        <select aria-label="Which" value={query.active} onChange={(event) => change({ active: event.currentTarget.value })}>
          <option value="">All</option>
          <option value="true">Being recorded</option>
          <option value="false">Over</option>
        </select>
        <button type="submit">Search</button>
      </form>
      {load.state === "failed" && <Failed error={load.error} again={again} />}
      {load.state === "loading" && !first && <Waiting what="sessions" />}
      {first && sessions.length === 0 && (
        <Empty title={query.q || query.active ? "No session matches" : "No session was recorded"}>
          <code>counterfoil record -- CMD</code> records a terminal; <code>counterfoil upload FILE</code> takes recordings of other recorders.
        </Empty>
      )}
      {sessions.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Sessions">
          <table class="rows">
            <thead>
              <tr>{["Started", "Session", "Protocol", "From", "Command or title", "Length", "Size", "State"].map((name) => <th key={name} scope="col">{name}</th>)}</tr>
            </thead>
            <tbody>
              {sessions.map((session) => (
                <tr key={session.id}>
                  <td><Time at={session.started_at} /></td>
                  <th scope="row"><Link to={address(`/sessions/${session.id}`, { q: undefined })}>{sessionName(session)}</Link></th>
                  <td>{session.recording.protocol ?? "–"}</td>
                  <td>{session.recording.client?.address ?? session.recording.client?.name ?? "–"}</td>
                  <td class="text">{session.recording.command ?? session.recording.title ?? "–"}</td>
                  <td>{session.ended ? clock((Date.parse(session.ended.at) - Date.parse(session.started_at)) * 1000) : "–"}</td>
                  <td>{bytes(session.bytes)}</td>
                  <td>{session.active ? <span class="tag first live">recording</span> : (session.ended?.reason ?? "over")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next && (
        <p class="toolbar">
          <button type="button" onClick={() => void api.sessions(org, { ...query, after: next }).then((page) => setMore({ sessions: [...(more?.sessions ?? []), ...page.sessions], next: page.next }))}>
            More sessions
          </button>
        </p>
      )}
    </>
  );
}

/** Asks what was on the screens. */
function ContentForm({ value }: { value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form class="toolbar" role="search" aria-label="Screens" onSubmit={(event) => { event.preventDefault(); change({ content: text.trim(), q: undefined }); }}>
      <input type="text" class="grow" value={text} spellcheck={false} aria-label="What was on the screens" placeholder='On the screens: "permission denied", command:sudo, err?r' onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit">Search the screens</button>
    </form>
  );
}

/** A text with the parts that were asked for marked. */
function Marked({ hit }: { hit: ContentHit }) {
  const characters = [...hit.text];
  const parts: (string | { mark: string })[] = [];
  let at = 0;
  for (const [from, to] of hit.matches) {
    parts.push(characters.slice(at, from).join(""), { mark: characters.slice(from, to).join("") });
    at = to;
  }
  parts.push(characters.slice(at).join(""));
  return <code class="hit-text">{parts.map((part) => (typeof part === "string" ? part : <mark>{part.mark}</mark>))}</code>;
}

function Found({ org, content }: { org: string; content: string }) {
  const [load, again] = useLoad(`content ${org} ${content}`, () => api.contents(org, content));
  return (
    <>
      <header class="view-head">
        <h1>On the screens</h1>
        <Link to={address("/sessions")}>All sessions</Link>
      </header>
      <ContentForm value={content} />
      <Loaded load={load} what="what was on the screens" again={again}>
        {({ sessions, unsearched, looked_into, next }) => (
          <>
            <p class="quiet" role="status">
              {number(sessions.length)} of {number(looked_into)} sessions show it{next ? ", and there are more sessions: narrow the query" : ""}.
              {unsearched.length > 0 && ` ${unsearched.length} could not be looked into: ${[...new Set(unsearched.map(({ reason }) => (reason === "recording" ? "still being recorded" : reason)))].join(", ")}.`}
            </p>
            {sessions.length === 0 && <Empty title="No screen showed this">Words are those that were on the terminal; <code>command:</code> and <code>title:</code> look into commands and window titles.</Empty>}
            {sessions.map(({ session, total, hits }) => (
              <section key={session.id} class="card found">
                <h2><Link to={address(`/sessions/${session.id}`, { find: content })}>{sessionName(session)}</Link> <span class="quiet"><Time at={session.started_at} />, {number(total)} hit{total === 1 ? "" : "s"}</span></h2>
                <ul class="hits">
                  {hits.map((hit) => (
                    <li key={`${hit.kind} ${hit.appeared_us} ${hit.row}`}>
                      <Link to={address(`/sessions/${session.id}`, { at: String(hit.appeared_us), find: content })} class="hit">
                        <img src={api.pictureAddress(org, session.id, hit.appeared_us)} alt={`The screen at ${clock(hit.appeared_us)}`} loading="lazy" width={260} />
                        <span>
                          <Marked hit={hit} />
                          <span class="quiet">{hit.kind}, from {clock(hit.appeared_us)} to {clock(hit.disappeared_us)}</span>
                        </span>
                      </Link>
                    </li>
                  ))}
                </ul>
              </section>
            ))}
          </>
        )}
      </Loaded>
    </>
  );
}

type PlayerModule = typeof import("../player/player.tsx");

/** The player is fetched when one is opened. */
function usePlayer(): ComponentType<Parameters<PlayerModule["Player"]>[0]> | null {
  const [player, set] = useState<{ Player: PlayerModule["Player"] } | null>(null);
  useEffect(() => {
    void import("../player/player.tsx").then(set);
  }, []);
  return player?.Player ?? null;
}

function OneSession({ org, id, place }: { org: string; id: string; place: Place }) {
  const [load, again] = useLoad(`session ${org} ${id}`, () => api.session(org, id));
  const Player = usePlayer();
  const fetch = useCallback((at: number) => api.playback(org, id, at), [org, id]);
  const standing = useCallback(() => api.session(org, id), [org, id]);
  const find = place.params.get("find") ?? "";
  const now = present(load);
  // Texts and commands are found in what is over; until then nobody is asked.
  const isOver = now !== undefined && !now.active;
  const [commands] = useLoad(`commands ${org} ${id} ${isOver}`, async () => (isOver ? (await api.commands(org, id)).commands : []));
  const [hits, searchAgain] = useLoad(`hits ${org} ${id} ${find} ${isOver}`, async () => (find && isOver ? (await api.content(org, id, find)).hits : []));
  const marks: Mark[] = [
    ...(present(commands) ?? []).map((hit) => ({ at: hit.appeared_us, text: hit.text, kind: hit.kind === "title" ? ("title" as const) : ("command" as const) })),
    ...(present(hits) ?? []).map((hit) => ({ at: hit.appeared_us, text: hit.text, kind: "hit" as const })),
  ];
  const marked = present(hits)?.map(({ text }) => text) ?? [];
  const start = Number(place.params.get("at") ?? 0) || 0;
  return (
    <Loaded load={load} what="the session" again={again}>
      {(session) => (
        <>
          <header class="view-head">
            <h1>{sessionName(session)}</h1>
            <Link to={address("/sessions")}>All sessions</Link>
          </header>
          <div class="session">
            <div>
              {Player ? (
                <>
                  <div class="toolbar">
                    {session.active ? <span class="quiet grow">Its texts and commands can be searched when it is over.</span> : <FindForm value={find} />}
                    <a class="button" href={api.recordingAddress(org, id)} download={`${id}.recording`}>{session.active ? "Download so far" : "Download"}</a>
                    {!session.active && <SessionBundle org={org} session={session} />}
                  </div>
                  <Player
                    fetch={fetch}
                    start={start}
                    marks={marks}
                    marked={marked}
                    onMoment={(at) => change({ at: at > 0 ? String(Math.floor(at)) : undefined }, true)}
                    live={session.active ? standing : undefined}
                    onOver={again}
                  />
                </>
              ) : (
                <Waiting what="the player" />
              )}
            </div>
            <aside class="session-side">
              {find && isOver && (
                <section>
                  <h2>Hits</h2>
                  <Loaded load={hits} what="hits" again={searchAgain}>
                    {(found) => (found.length === 0 ? <p class="quiet">No screen of this session showed this.</p> : <Moments moments={found} />)}
                  </Loaded>
                </section>
              )}
              {(present(commands)?.some(({ kind }) => kind === "command") ?? false) && (
                <section>
                  <h2>Commands</h2>
                  <Moments moments={(present(commands) ?? []).filter(({ kind }) => kind === "command")} />
                </section>
              )}
              {!session.active && <Scored org={org} id={id} />}
              <About session={session} />
              <Looks org={org} id={id} />
            </aside>
          </div>
        </>
      )}
    </Loaded>
  );
}

/** Largest recording that is put into a bundle here. */
const BUNDLE_BYTES_MAX = 64 << 20;
const PIECES = "action:session.started OR action:session.chunk OR action:session.finished";

function SessionBundle({ org, session }: { org: string; session: Session }) {
  const [doing, set] = useState("");
  const [error, setError] = useState("");
  const make = async () => {
    setError("");
    set("looking…");
    try {
      if (session.bytes > BUNDLE_BYTES_MAX) throw new Error(`recordings over ${bytes(BUNDLE_BYTES_MAX)} are proven with counterfoil prove log`);
      const page = await api.events(org, { q: `session:${session.id} (${PIECES})`, limit: 2000 });
      if (page.next !== null) throw new Error("the session has too many pieces for a bundle made here");
      download(`session-${session.id}.zip`, await makeBundle(org, page.events.map(({ seq }) => seq), set, [session.id]), "application/zip");
    } catch (failed) {
      setError(failed instanceof Error ? failed.message : String(failed));
    }
    set("");
  };
  return (
    <>
      <button type="button" disabled={doing !== ""} onClick={() => void make()}>{doing || "Evidence bundle"}</button>
      {error && <span role="alert" class="bad-text">{error}</span>}
    </>
  );
}

function FindForm({ value }: { value: string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  return (
    <form class="toolbar grow" role="search" onSubmit={(event) => { event.preventDefault(); change({ find: text.trim() }); }}>
      <input type="text" class="grow" value={text} spellcheck={false} aria-label="Find on the screens of this session" placeholder="Find on the screens" onInput={(event) => setText(event.currentTarget.value)} />
      <button type="submit">Find</button>
    </form>
  );
}

/** Moments to go to. */
function Moments({ moments }: { moments: ContentHit[] }) {
  return (
    <ol class="moments">
      {moments.map((hit) => (
        <li key={`${hit.appeared_us} ${hit.row} ${hit.text}`}>
          <button type="button" class="facet" onClick={() => change({ at: String(hit.appeared_us) })}>
            <span class="facet-value"><Marked hit={hit} /></span>
            <span class="facet-count">{clock(hit.appeared_us)}</span>
          </button>
        </li>
      ))}
    </ol>
  );
}

/** How unlike its user the session is. */
function Scored({ org, id }: { org: string; id: string }) {
  const [load, again] = useLoad(`score ${org} ${id}`, () =>
    api.score(org, id).catch((error: Error) => {
      if (error instanceof ApiError && error.kind === "not_found") return null;
      throw error;
    }));
  return (
    <section>
      <h2>Score</h2>
      <Loaded load={load} what="the score" again={again}>
        {(score) => {
          if (!score) return <p class="quiet">Not scored yet.</p>;
          return (
            <p>
              <Score value={score.aggregated ?? null} />{" "}
              {score.scripted.scripted && <span class="tag live">scripted</span>}{" "}
              {score.user && <Link to={userAddress(score.user, id)}>why</Link>}
            </p>
          );
        }}
      </Loaded>
    </section>
  );
}

function About({ session }: { session: Session }) {
  const { recording } = session;
  const rows: [string, string | undefined][] = [
    ["Protocol", recording.protocol],
    ["From", recording.client?.address ?? recording.client?.name],
    ["Server", recording.server?.name ?? recording.server?.address],
    ["Command", recording.command],
    ["Title", recording.title],
    ["Format", recording.format],
    ["Terminal", recording.size ? `${recording.size.columns} × ${recording.size.rows}` : undefined],
    ["Size", `${bytes(session.bytes)} in ${number(session.chunks)} chunk${session.chunks === 1 ? "" : "s"}`],
    ["Recorder's id", session.client_id ?? undefined],
  ];
  return (
    <section>
      <h2>About</h2>
      <dl class="fields">
        <dt>Started</dt><dd><Time at={session.started_at} /></dd>
        {session.ended && (<><dt>Ended</dt><dd><Time at={session.ended.at} /> ({session.ended.reason})</dd></>)}
        {rows.map(([name, value]) => value && (<><dt>{name}</dt><dd class="text">{value}</dd></>))}
        <dt>In the log</dt>
        <dd>
          <Link to={address(`/events/${session.seq}`, { at: undefined })}>event {number(session.seq)}</Link>
          {session.ended && (<>, closed by <Link to={address(`/events/${session.ended.seq}`, { at: undefined })}>{number(session.ended.seq)}</Link></>)}
        </dd>
      </dl>
    </section>
  );
}

const LOOKS = "action:session.viewed OR action:session.downloaded OR action:session.screenshot";

function Looks({ org, id }: { org: string; id: string }) {
  const [load, again] = useLoad(`looks ${id}`, () => api.events(org, { q: `session:${id} (${LOOKS})`, limit: 20 }));
  // Opening this page is a look itself; it is on record a moment later.
  useEffect(() => {
    const later = setTimeout(again, 2500);
    return () => clearTimeout(later);
  }, [again]);
  return (
    <section>
      <h2>Who looked at it</h2>
      <Loaded load={load} what="who looked" again={again}>
        {({ events }) =>
          events.length === 0 ? (
            <p class="quiet">Nobody yet. Looking is recorded from the first moment on.</p>
          ) : (
            <ul class="looks">
              {events.map((recorded) => (
                <li key={recorded.seq}>
                  <Link to={address(`/events/${recorded.seq}`, { at: undefined })}>{partyName(recorded.event?.actor) || "somebody"}</Link>{" "}
                  {(recorded.event?.action ?? "").replace("session.", "")} <Time at={recorded.recorded_at} short />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  );
}
