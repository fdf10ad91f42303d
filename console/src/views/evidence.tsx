// Evidence: the log's state and keys, a whole verification in this browser, comparison with a checkpoint that somebody kept, bundles,
// and the viewer that works without this server.

import { useRef, useState } from "preact/hooks";

import { api, ApiError, type Log, type LogState } from "../api/client.ts";
import { download, Failed, Link, Loaded, number, Time, useLoad } from "../parts/basics.tsx";
import { makeBundle } from "../parts/make_bundle.ts";
import { trustedKeys } from "../parts/trusted_keys.ts";
import { toBase64 } from "../proof/bytes.ts";
import { recall, remember } from "../proof/memory.ts";
import { openCheckpoint, parseHead, parseKey } from "../proof/note.ts";
import { parseExtends } from "../proof/tlog_proof.ts";
import { verifyConsistency } from "../proof/tree.ts";
import { type Progress, verifyWhole } from "../proof/whole.ts";
import { address } from "../router.ts";

interface Loaded_ {
  log: Log;
  state: LogState;
  note: string;
  keys: { vkey: string; first_size: number; last_size?: number | null; reason?: string }[];
  witnesses: string[];
}

export function Evidence({ org }: { org: string }) {
  const [load, again] = useLoad(`evidence ${org}`, async (): Promise<Loaded_> => {
    const log = await api.log(org);
    const [state, note, keys] = await Promise.all([
      api.logJson<LogState>(log.path, "state"),
      api.logText(log.path, "checkpoint"),
      api.logJson<{ keys: Loaded_["keys"]; witnesses: string[] }>(log.path, "keys"),
    ]);
    return { log, state, note, ...keys };
  });
  return (
    <>
      <header class="view-head"><h1>Evidence</h1></header>
      <Loaded load={load} what="the log" again={again}>
        {(found) => (
          <div class="cards">
            <div class="stack">
              <State found={found} />
              <Compare found={found} />
            </div>
            <div class="stack">
              <Whole key={org} org={org} found={found} />
              <Bundle org={org} />
              <Keys found={found} />
            </div>
          </div>
        )}
      </Loaded>
    </>
  );
}

function State({ found: { log, state, note } }: { found: Loaded_ }) {
  const last = state.last_verification;
  const kept = recall(localStorage, log.origin);
  return (
    <section class="card">
      <h2>The log</h2>
      <dl class="fields">
        <dt>Origin</dt>
        <dd><code class="breakable">{log.origin}</code></dd>
        <dt>State</dt>
        <dd>{state.reasons.length > 0 ? <strong class="bad-text">{state.reasons.join(", ")}{state.acknowledged ? " (acknowledged)" : ""}</strong> : state.state.replace("_", " ")}</dd>
        {state.alarm && (<><dt>Alarm</dt><dd class="bad-text">{state.alarm.reason}: witness {state.alarm.witness}. {state.alarm.detail}</dd></>)}
        <dt>Signed head</dt>
        <dd>{number(state.signed_size)} entries, root <code class="breakable">{state.root}</code></dd>
        <dt>Last entry</dt>
        <dd><Time at={state.last_recorded_at ?? null} /></dd>
        <dt>The server's last verification</dt>
        <dd>{last ? <>{last.verdict}: {number(last.entries_read)} of {number(last.entries_expected)} entries, <Time at={last.at} />{last.first_damaged ? `, first damaged event ${last.first_damaged}` : ""}</> : "none of the whole log yet"}</dd>
        <dt>Witnesses</dt>
        <dd>{state.witnessed_size ? <>cosigned {number(state.witnessed_size)} entries, <Time at={state.witnessed_at ?? null} /></> : (state.outside ?? "none")}
          {Object.entries(state.witness_troubles).map(([name, why]) => <p key={name} class="bad-text">{name}: {why}</p>)}</dd>
        {state.former.length > 0 && (<><dt>Took the place of</dt><dd>{state.former.map((origin) => <code key={origin} class="breakable">{origin} </code>)}; those are verified apart</dd></>)}
        <dt>Legal hold</dt>
        <dd>{state.legal_hold ? `from event ${number(state.legal_hold)}` : "none"}</dd>
        <dt>This browser remembers</dt>
        <dd>{kept ? <>{number(kept.size)} entries, seen <Time at={kept.seen} />; the key since <Time at={kept.since} /></> : "nothing of this log yet"}</dd>
      </dl>
      <details>
        <summary>The newest checkpoint</summary>
        <pre class="raw">{note}</pre>
        <button type="button" onClick={() => download("checkpoint", note, "text/plain")}>Keep this checkpoint</button>
      </details>
    </section>
  );
}

function Whole({ org, found: { log, state } }: { org: string; found: Loaded_ }) {
  const [progress, set] = useState<Progress | null>(null);
  const [running, setRunning] = useState(false);
  const [withBodies, setWithBodies] = useState(true);
  const [error, setError] = useState<Error | null>(null);
  const [done, setDone] = useState<"whole" | "stopped" | null>(null);
  const stop = useRef(false);
  const run = async () => {
    stop.current = false;
    setRunning(true);
    setDone(null);
    setError(null);
    set(null);
    try {
      const note = await api.logText(log.path, "checkpoint");
      const keys = await trustedKeys(log);
      const head = openCheckpoint(note, log.origin, keys);
      await remember(localStorage, head, keys, (size) => api.logText(log.path, "extends", { from: size }));
      let shown = 0;
      const end = await verifyWhole(
        head,
        {
          file: (path) => api.logBytes(log.path, path),
          ...(withBodies ? { bodies: (seqs: number[]) => api.evidence(org, seqs) } : {}),
        },
        state.minimum_index,
        log.head.last_seq - log.head.size,
        (now) => {
          if (performance.now() - shown > 100) {
            shown = performance.now();
            set(now);
          }
        },
        () => stop.current,
      );
      set(end);
      setDone(stop.current ? "stopped" : "whole");
    } catch (failed) {
      setError(failed instanceof Error ? failed : new Error(String(failed)));
    }
    setRunning(false);
  };
  const findings = progress?.findings ?? [];
  return (
    <section class="card">
      <h2>Verify the whole log here</h2>
      <p class="quiet">
        Every entry is fetched and hashed in this browser up to the signed root. With bodies, what each event says is compared with what was
        committed, too; this takes longer.
      </p>
      <p class="toolbar">
        <label><input type="checkbox" checked={withBodies} disabled={running} onChange={(event) => setWithBodies(event.currentTarget.checked)} /> with bodies</label>
        {running ? (
          <button type="button" onClick={() => { stop.current = true; }}>Stop</button>
        ) : (
          <button type="button" class="primary" onClick={() => void run()}>Verify {number(state.signed_size)} entries</button>
        )}
      </p>
      {progress && (
        <>
          <progress aria-label="Entries verified" max={progress.of} value={progress.entries} />
          <p role="status">{number(progress.entries)} of {number(progress.of)} entries{withBodies && `, ${number(progress.bodies)} bodies`}{progress.erased > 0 && `, ${number(progress.erased)} erased by order`}</p>
        </>
      )}
      {error && (error instanceof ApiError ? <Failed error={error} /> : <div class="verdict bad" role="alert" data-verdict="tainted"><strong>The log is tainted</strong><p>{error.message}</p></div>)}
      {done === "stopped" && <p role="status">Stopped: what was not looked at is not verified.</p>}
      {done === "whole" && findings.length === 0 && progress && (
        <div class="verdict good" role="status" data-verdict="verified">
          <strong>Nothing was changed</strong>
          <p>All {number(progress.of)} entries lead to the root that the log's key signed{withBodies ? `, and ${number(progress.bodies)} bodies are those that were committed to` : ""}.</p>
        </div>
      )}
      {findings.length > 0 && (
        <div class="verdict bad" role="alert" data-verdict="tainted">
          <strong>{number(findings.length)} finding{findings.length === 1 ? "" : "s"}; the first: {findings[0]?.seq ? `event ${number(findings[0].seq)} is tainted` : "the log as a whole"}</strong>
          <ul>
            {findings.slice(0, 50).map((finding) => (
              <li key={`${finding.seq} ${finding.reason}`}>
                {finding.seq ? <Link to={address(`/events/${finding.seq}`)}>Event {number(finding.seq)}</Link> : "Log"}: {finding.reason}
              </li>
            ))}
          </ul>
          {findings.length > 50 && <p>{number(findings.length - 50)} more.</p>}
        </div>
      )}
    </section>
  );
}

type Comparison = { good: true; text: string } | { good: false; text: string };

function Compare({ found: { log, keys } }: { found: Loaded_ }) {
  const [result, set] = useState<Comparison | null>(null);
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const compare = async (file: File | undefined) => {
    if (!file) return;
    try {
      if (file.size > 256 * 1024) throw new Error("this file is too long to be a checkpoint");
      const text = await file.text();
      const gap = text.lastIndexOf("\n\n");
      const head = parseHead(gap < 0 ? text : text.slice(0, gap + 1));
      if (head.origin !== log.origin) throw new Error(`it is a checkpoint of another log, ${head.origin}`);
      // Somebody may have kept only the lines before the signatures: then it is compared, but nobody signed it.
      const believed = await trustedKeys(log);
      const signed = gap >= 0 ? openCheckpoint(text, log.origin, [...believed, ...keys.map(({ vkey }) => parseKey(vkey))]) : null;
      const now = await api.logText(log.path, "checkpoint");
      const newest = openCheckpoint(now, log.origin, believed);
      if (head.size > newest.size) {
        throw new Error(`it covers ${number(head.size)} entries, the log shows ${number(newest.size)}: entries are gone`);
      }
      const growth = parseExtends(await api.logText(log.path, "extends", { from: head.size }));
      const end = openCheckpoint(growth.checkpoint, log.origin, believed);
      if (growth.oldSize !== head.size) throw new Error("the log's proof of growth begins elsewhere");
      verifyConsistency(head.size, head.root, end.size, end.root, growth.hashes);
      set({
        good: true,
        text: `Today's log of ${number(end.size)} entries begins with the ${number(head.size)} of this checkpoint (root ${toBase64(head.root).slice(0, 12)}…), which is ${signed ? "signed by the log" : "not signed"}.`,
      });
    } catch (error) {
      if (error instanceof ApiError && error.kind !== "not_found") set({ good: false, text: `It could not be compared: ${error.message}` });
      else set({ good: false, text: error instanceof Error ? error.message : String(error) });
    }
  };
  return (
    <section class="card">
      <h2>Compare with a checkpoint you kept</h2>
      <div
        class={over ? "drop over" : "drop"}
        onDragOver={(event) => { event.preventDefault(); setOver(true); }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void compare(event.dataTransfer?.files[0]);
        }}
      >
        <p>Drop a checkpoint file here, or</p>
        <button type="button" onClick={() => input.current?.click()}>choose a file</button>
        <input ref={input} type="file" class="visually-hidden" tabIndex={-1} aria-label="A checkpoint file" onChange={(event) => void compare(event.currentTarget.files?.[0])} />
      </div>
      {result && (
        <div class={`verdict ${result.good ? "good" : "bad"}`} role={result.good ? "status" : "alert"} data-verdict={result.good ? "extends" : "refused"}>
          <strong>{result.good ? "The log only grew" : "This does not fit"}</strong>
          <p>{result.text}</p>
        </div>
      )}
    </section>
  );
}

function Bundle({ org }: { org: string }) {
  const [query, setQuery] = useState("outcome:failure");
  const [doing, set] = useState("");
  const [error, setError] = useState<Error | null>(null);
  const most = 2000;
  const make = async () => {
    setError(null);
    set("looking…");
    try {
      const page = await api.events(org, { q: query, limit: most });
      if (page.next !== null) throw new Error(`more than ${number(most)} events match; narrow the query, or use counterfoil prove search`);
      download("evidence.zip", await makeBundle(org, page.events.map(({ seq }) => seq), set), "application/zip");
    } catch (failed) {
      setError(failed instanceof Error ? failed : new Error(String(failed)));
    }
    set("");
  };
  return (
    <section class="card">
      <h2>Evidence to hand over</h2>
      <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void make(); }}>
        <label>
          Events that match
          <input type="text" value={query} spellcheck={false} onInput={(event) => setQuery(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary" disabled={doing !== ""}>{doing || "Make a bundle"}</button>
      </form>
      {error && <p role="alert" class="bad-text">{error.message}</p>}
      <p class="quiet">
        A zip file that anyone can check: with <code>counterfoil verify bundle</code>, with other tlog-tiles tools, or with the{" "}
        <a href={api.viewerAddress} download="counterfoil-viewer.html">offline viewer</a>, one HTML file that needs no network.
      </p>
    </section>
  );
}

function Keys({ found: { log, keys, witnesses } }: { found: Loaded_ }) {
  return (
    <section class="card">
      <h2>Keys</h2>
      <p class="quiet">Compare the key with one that reached you another way; this page cannot vouch for itself.</p>
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Keys of the log">
        <table>
          <thead><tr><th scope="col">Key</th><th scope="col">First size</th><th scope="col">Last size</th><th scope="col">Replaced because</th></tr></thead>
          <tbody>
            {keys.map((key) => (
              <tr key={key.vkey}>
                <td><code class="breakable">{key.vkey}</code>{key.vkey === log.vkey && <span class="tag">signs now</span>}</td>
                <td>{number(key.first_size)}</td>
                <td>{key.last_size ? number(key.last_size) : "–"}</td>
                <td>{key.reason ?? "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {witnesses.length > 0 && (<><h3>Witnesses</h3><ul>{witnesses.map((key) => <li key={key}><code class="breakable">{key}</code></li>)}</ul></>)}
    </section>
  );
}

