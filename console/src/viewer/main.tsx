// The offline viewer: one file, no network. It opens an evidence bundle, checks all of it, and shows what it discloses.

import "../style.css";
import "../terminal.css";

import { render } from "preact";
import { useRef, useState } from "preact/hooks";

import type { EventFields } from "../api/client.ts";
import { Empty, number, Outcome, partyName, sourceName, Time } from "../parts/basics.tsx";
import { type BundleEvent, type BundleReport, verifyBundle } from "../proof/bundle.ts";
import { toBase64 } from "../proof/bytes.ts";
import type { BundleRecording } from "../proof/recording.ts";
import { parseKey } from "../proof/note.ts";
import { readZip } from "../proof/zip.ts";
import { isRecording, readRecording, Replay } from "./replay.tsx";

/** Largest file that is opened, in bytes. */
const FILE_MAX = 512 << 20;

function Viewer() {
  const [key, setKey] = useState("");
  const [file, setFile] = useState<{ name: string; files: Map<string, Uint8Array> } | null>(null);
  const [report, setReport] = useState<BundleReport | null>(null);
  const [recording, setRecording] = useState<ReturnType<typeof readRecording> | null>(null);
  const [error, setError] = useState("");
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const check = (files: Map<string, Uint8Array>, vkey: string) => {
    setError("");
    setReport(null);
    try {
      setReport(verifyBundle(files, vkey.trim() ? [parseKey(vkey.trim())] : []));
    } catch (failed) {
      setError(failed instanceof Error ? failed.message : String(failed));
    }
  };
  const open = async (chosen: File | undefined) => {
    if (!chosen) return;
    setError("");
    setReport(null);
    setRecording(null);
    setFile(null);
    try {
      if (chosen.size > FILE_MAX) throw new Error("the file is larger than this viewer opens; use counterfoil verify bundle");
      const bytes = new Uint8Array(await chosen.arrayBuffer());
      if (isRecording(bytes)) {
        setRecording(readRecording(bytes));
        return;
      }
      const files = await readZip(bytes);
      setFile({ name: chosen.name, files });
      check(files, key);
    } catch (failed) {
      setError(`${chosen.name}: ${failed instanceof Error ? failed.message : String(failed)}`);
    }
  };
  return (
    <>
      <header class="top">
        <span class="brand"><span class="mark" aria-hidden="true" />Counterfoil evidence viewer</span>
        <span class="quiet">works without network; nothing leaves this page</span>
      </header>
      <main>
        <h1 class="visually-hidden">Evidence</h1>
        <section
          class={over ? "drop over" : "drop"}
          aria-label="Open a file"
          onDragOver={(event) => { event.preventDefault(); setOver(true); }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => { event.preventDefault(); setOver(false); void open(event.dataTransfer?.files[0]); }}
        >
          <p>Drop an evidence bundle (.zip) or a recording (asciicast) here, or</p>
          <button type="button" onClick={() => input.current?.click()}>choose a file</button>
          <input ref={input} type="file" class="visually-hidden" tabIndex={-1} aria-label="An evidence bundle or a recording" onChange={(event) => void open(event.currentTarget.files?.[0])} />
          <p>
            <label>
              The log's key, as you have it from elsewhere:{" "}
              <input type="text" class="grow" value={key} spellcheck={false} placeholder="name+id+base64" onInput={(event) => {
                setKey(event.currentTarget.value);
                if (file) check(file.files, event.currentTarget.value);
              }} />
            </label>
          </p>
        </section>
        {error && <div class="verdict bad" role="alert" data-verdict="refused"><strong>Refused</strong><p>{error}</p></div>}
        {report && <Report report={report} name={file?.name ?? ""} />}
        {recording && <Replay recording={recording} />}
        {!error && !report && !recording && <Empty title="Nothing is open">A bundle is made by the console (Evidence, or Export on events) or by <code>counterfoil prove search</code>.</Empty>}
      </main>
    </>
  );
}

const WORDS = { verified: "Verified", tainted: "Tainted: this is not what was committed", undecided: "Undecided: something is missing" };

function Report({ report, name }: { report: BundleReport; name: string }) {
  const { checkpoint, verdict } = report;
  const troubles = [...report.divergences, ...report.undecided];
  return (
    <>
      <div class={`verdict ${verdict === "verified" ? "good" : "bad"}`} role={verdict === "verified" ? "status" : "alert"} data-verdict={verdict}>
        <strong>{WORDS[verdict]}</strong>
        <p>
          {name}: {number(report.events.length)} event{report.events.length === 1 ? "" : "s"} disclosed, {number(report.entriesVerified)} entries and{" "}
          {number(report.tilesVerified)} tiles checked{checkpoint && <> against the signed head of {number(checkpoint.size)} entries of <code class="breakable">{checkpoint.origin}</code></>}.
        </p>
        {troubles.length > 0 && <ul>{troubles.slice(0, 100).map((trouble) => <li key={trouble}>{trouble}</li>)}</ul>}
      </div>
      {checkpoint && !report.pinned && (
        <div class="verdict" role="status" data-verdict="unpinned">
          <strong>Signed by a key that came with the bundle</strong>
          <p>That shows a log that agrees with itself, not who signed it. Paste the key that you have from elsewhere above. The bundle's is <code class="breakable">{checkpoint.signatures.map(({ key }) => key.text).join(", ")}</code>.</p>
        </div>
      )}
      {checkpoint && <p class="quiet">Root <code class="breakable">{toBase64(checkpoint.root)}</code></p>}
      {report.recordings.map((one) => <Recorded key={one.session} recording={one} />)}
      {report.events.map((event) => <OneEvent key={event.index} event={event} />)}
    </>
  );
}

function Recorded({ recording }: { recording: BundleRecording }) {
  const [played, set] = useState<ReturnType<typeof readRecording> | null>(null);
  const [error, setError] = useState("");
  const play = () => {
    try {
      set(readRecording(recording.bytes));
    } catch (failed) {
      setError(failed instanceof Error ? failed.message : String(failed));
    }
  };
  return (
    <section class="card" data-recording={recording.session}>
      <h2>
        Session {recording.session}
        {recording.verified ? <span class="tag">verified</span> : <span class="tag live">tainted</span>}
      </h2>
      {recording.trouble && <p class="bad-text">{recording.trouble}</p>}
      {recording.about !== undefined && <pre class="raw">{JSON.stringify(recording.about, null, 2)}</pre>}
      {played ? <Replay recording={played} /> : <button type="button" onClick={play}>Play</button>}
      {error && <p role="alert" class="bad-text">{error}</p>}
    </section>
  );
}

function OneEvent({ event }: { event: BundleEvent }) {
  let fields: EventFields | null = null;
  try {
    fields = event.event === null ? null : (JSON.parse(event.event) as EventFields);
  } catch {
    // It is shown as the text it is.
  }
  return (
    <details class="card" data-event={event.seq}>
      <summary>
        <strong>Event {number(event.seq)}</strong> <Time at={new Date(event.receivedAt / 1000).toISOString()} />{" "}
        {fields ? <>{fields.action} <Outcome value={fields.outcome} /> {partyName(fields.actor)} {sourceName(fields.source)}</> : event.event === null ? "encrypted" : ""}
        {event.verified ? <span class="tag">verified</span> : <span class="tag live">tainted</span>}
      </summary>
      <pre class="raw">{fields ? JSON.stringify(fields, null, 2) : (event.event ?? "Encrypted to a key of the organisation.")}</pre>
      {event.envelope && <p class="quiet">Handed in: <code>{event.envelope}</code></p>}
    </details>
  );
}

const root = document.getElementById("app");
if (root) render(<Viewer />, root);
