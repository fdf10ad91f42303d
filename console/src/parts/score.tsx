// A score, and why a session has it: by algorithm what is usual, what was seen, how much it weighs, and the entries behind it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { api, ApiError, type ExplainedScore } from "../api/client.ts";
import { address } from "../router.ts";
import { Empty, Link, Loaded, number, Time, useLoad } from "./basics.tsx";

export const ALGORITHMS: Record<string, string> = {
  logintime: "Time of login", hostlogin: "Server", command: "Programs", windowtitle: "Window titles",
  fis: "What comes together", keystroke: "Typing", mouse: "Pointer",
};
const TESTS: Record<string, string> = { keys: "Keys", lines: "Lines", logins: "Logins" };
/** Entries of a history that are listed. */
const ENTRIES_MAX = 200;

/** 0 to 100, as a number and as a bar. */
export function Score({ value }: { value: number | null | undefined }) {
  if (value === null || value === undefined) return <span class="quiet">no score</span>;
  return <span class="score"><progress aria-hidden="true" max={100} value={value} /> {value}</span>;
}

/** Links to entries of the log. */
function Entries({ seqs }: { seqs: number[] }) {
  return <>{seqs.slice(0, ENTRIES_MAX).map((seq, at) => <span key={seq}>{at > 0 && ", "}<Link to={address(`/events/${seq}`)}>{number(seq)}</Link></span>)}</>;
}

export function Explanation({ org, session, title, onClose, children }: {
  org: string;
  session: string;
  title: string;
  onClose: () => void;
  children?: ComponentChildren;
}) {
  const [load, again] = useLoad(`score ${org} ${session}`, () => api.score(org, session));
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), [session]);
  return (
    <section class="card" aria-labelledby="explanation" onKeyDown={(event) => event.key === "Escape" && onClose()}>
      <header class="card-head">
        <h2 id="explanation" ref={heading} tabIndex={-1}>Why: {title}</h2>
        <button type="button" class="close" onClick={onClose} aria-label="Close the explanation">×</button>
      </header>
      {children}
      {load.state === "failed" && load.error instanceof ApiError && load.error.kind === "not_found" ? (
        <Empty title="No score">This session is not over, or was not scored. {load.error.message}</Empty>
      ) : (
        <Loaded load={load} what="the reasons" again={again}>{(score) => <Reasons score={score} />}</Loaded>
      )}
    </section>
  );
}

function Reasons({ score }: { score: ExplainedScore }) {
  const { scores, failures, scripted, method } = score;
  const named = Object.entries(scores).sort(([, a], [, b]) => b.score - a.score);
  const tests = Object.entries(scripted.results ?? {});
  const kept = named.filter(([, { weight }]) => weight > 0).length;
  return (
    <>
      <p class="big"><Score value={score.aggregated ?? null} /> <span class="quiet">
        {named.length === 0 ? "nothing could be judged" : kept === named.length ? `the mean of ${kept}` : `the mean of ${kept} of ${named.length}: without the lowest and the highest that are not trusted`}
      </span></p>
      {named.length > 0 && (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Reasons">
          <table class="rows">
            <thead><tr>{["Looks at", "Score", "Usual", "Seen", "Probability", "Weight", "Past sessions like it"].map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
            <tbody>
              {named.map(([name, one]) => (
                <tr key={name} class={one.weight > 0 ? "" : "dropped"}>
                  <th scope="row">{ALGORITHMS[name] ?? name}</th>
                  <td><Score value={one.score} /></td>
                  <td class="text">{one.expected}</td>
                  <td class="text">{one.observed}</td>
                  <td>{one.probability.toPrecision(3)}</td>
                  <td>{one.weight > 0 ? one.weight.toFixed(2) : "dropped"}</td>
                  <td>{number(one.like_count)}{one.like.length > 0 && <>: <Entries seqs={one.like} /></>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <dl class="fields">
        {Object.entries(failures).map(([name, why]) => (<><dt key={name}>{ALGORITHMS[name] ?? name}</dt><dd class="text">not judged: {why}</dd></>))}
        <dt>A machine?</dt>
        <dd>
          {scripted.scripted ? <strong class="bad-text">it looks like one</strong> : tests.length > 0 ? "nothing looks like one" : "too little to say"}
          {tests.length > 0 && <ul class="looks">{tests.map(([name, test]) => <li key={name}>{TESTS[name] ?? name}: {test.detail}{test.scripted && ", so yes"}</li>)}</ul>}
        </dd>
        <dt>Recording</dt>
        <dd>{score.content === "indexed" ? "looked into" : score.content === "none" ? "none" : score.content}</dd>
        <dt>Compared with</dt>
        <dd>
          {score.history.length === 0 ? <>no session before <Time at={score.as_of} /></> : (
            <details>
              <summary>{number(score.history.length)} sessions recorded before <Time at={score.as_of} />{score.history_is_cut && ", the newest; there were more"}</summary>
              <p><Entries seqs={score.history} />{score.history.length > ENTRIES_MAX && ` and ${number(score.history.length - ENTRIES_MAX)} older ones`}</p>
            </details>
          )}
        </dd>
        <dt>Method</dt>
        <dd class="text">
          version {method.version ?? "–"}
          {(method.trusted ?? []).length > 0 && `, never dropped: ${method.trusted?.join(", ")}`}
          {(method.disabled ?? []).length > 0 && `, switched off: ${method.disabled?.join(", ")}`}
        </dd>
        <dt>In the log</dt>
        <dd><Link to={address(`/events/${score.seq}`)}>event {number(score.seq)}</Link>, <Time at={score.scored_at} /></dd>
      </dl>
      <p class={`verdict ${score.is_same ? "good" : "bad"}`} data-same={score.is_same}>
        {score.is_same
          ? "The server computed it again from the entries of the log: the same, bit for bit."
          : "The server computed it again from the entries of the log, and it is NOT the same."}
      </p>
    </>
  );
}
