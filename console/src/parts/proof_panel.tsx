// The proof of one event: fetched, checked in this browser, drawn. Never a tick that the server asserts.

import { useEffect, useState } from "preact/hooks";

import { api, ApiError, type Recorded } from "../api/client.ts";
import { toHex } from "../proof/bytes.ts";
import { type Proven, proveEvent } from "../proof/event.ts";
import { type Remembered, remember } from "../proof/memory.ts";
import { trustedKeys } from "./trusted_keys.ts";
import { bytes, Failed, number, Time, Waiting } from "./basics.tsx";
import { ProofDrawing } from "./proof_drawing.tsx";

type State =
  | { is: "checking" }
  | { is: "proven"; proven: Proven; before: Remembered | null; vkey: string }
  | { is: "erased"; note: string }
  | { is: "tainted"; reason: string }
  | { is: "failed"; error: Error };

/** Fetches and checks. */
async function check(org: string, recorded: Recorded): Promise<State> {
  const log = await api.log(org, recorded.seq);
  try {
    const keys = await trustedKeys(log);
    const [evidence] = await api.evidence(org, [recorded.seq]);
    if (!evidence) throw new Error("the server handed out nothing of this event");
    if (evidence.state === "erased") return { is: "erased", note: "Its content was erased by order. Its place in the log stays proven." };
    if (evidence.state === "inline") return { is: "erased", note: "This entry holds its content itself: a note of the log, proven with the whole log." };
    const proof = await api.logText(log.path, `proof/${evidence.index}`);
    const proven = proveEvent(recorded.seq, evidence, proof, log.origin, keys, recorded.event ?? undefined);
    const before = await remember(localStorage, proven.checkpoint, keys, (size) => api.logText(log.path, "extends", { from: size }));
    return { is: "proven", proven, before, vkey: log.vkey };
  } catch (error) {
    if (error instanceof ApiError && error.kind !== "corrupt") throw error;
    return { is: "tainted", reason: error instanceof Error ? error.message : String(error) };
  }
}

export function ProofPanel({ org, recorded }: { org: string; recorded: Recorded }) {
  const [state, set] = useState<State>({ is: "checking" });
  const [turn, again] = useState(0);
  useEffect(() => {
    let live = true;
    set({ is: "checking" });
    check(org, recorded).then(
      (found) => live && set(found),
      (error: Error) => live && set({ is: "failed", error }),
    );
    return () => {
      live = false;
    };
  }, [org, recorded, turn]);

  if (state.is === "checking") return <Waiting what="and checking the proof" />;
  if (state.is === "failed") return <Failed error={state.error} again={() => again(turn + 1)} />;
  if (state.is === "erased") return <div class="verdict quiet" role="status" data-verdict="erased"><strong>No content to prove</strong><p>{state.note}</p></div>;
  if (state.is === "tainted") {
    return (
      <div class="verdict bad" role="alert" data-verdict="tainted">
        <strong>Event {number(recorded.seq)} is tainted</strong>
        <p>It is not what was committed: {state.reason}.</p>
        <p>Keep the server's disk as it is, and run <code>counterfoil verify log</code> over its data folder.</p>
      </div>
    );
  }
  const { proven, before, vkey } = state;
  return (
    <>
      <div class="verdict good" role="status" data-verdict="verified">
        <strong>Proven in this browser</strong>
        <p>
          These {bytes(proven.body.length)} were in the log at place {number(proven.index)} when its head of {number(proven.checkpoint.size)} entries was
          signed. {before
            ? <>This browser met the key on <Time at={before.since} /> and last saw {number(before.size)} entries; the log grew out of that head.</>
            : <>This browser meets this log for the first time: compare the key below with the one you keep.</>}
        </p>
      </div>
      <ol class="proof-steps">
        <li>
          <b>Body</b>: {bytes(proven.body.length)}, the same event that is shown here.
        </li>
        <li>
          <b>Commitment</b> <code>{toHex(proven.commitment)}</code> = SHA-256(02 ‖ salt ‖ body)
        </li>
        <li>
          <b>Leaf</b> <code>{toHex(proven.leaf)}</code> = SHA-256(00 ‖ entry)
        </li>
        <li>
          <b>Root</b> <code>{toHex(proven.checkpoint.root)}</code> after {proven.steps.length} steps
        </li>
        <li>
          <b>Signature</b> by <code class="breakable">{vkey}</code>
        </li>
      </ol>
      <ProofDrawing proven={proven} />
    </>
  );
}
