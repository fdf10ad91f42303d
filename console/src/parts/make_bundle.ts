// An evidence bundle, made of the log's own files and checked before it is handed over.

import { api } from "../api/client.ts";
import { fromBase64, Refused, toUtf8 } from "../proof/bytes.ts";
import { verifyBundle } from "../proof/bundle.ts";
import { openCheckpoint } from "../proof/note.ts";
import { needed, pathOf } from "../proof/tiles.ts";
import { writeZip } from "../proof/zip.ts";
import { trustedKeys } from "./trusted_keys.ts";

const AT_ONCE = 6;
const EVIDENCE_PAGE = 256;

const README = `Evidence from a Counterfoil log (C2SP tlog-tiles, with the events that are disclosed).

  checkpoint            the signed head
  tile/...              hashes that lead from the events to its root; tile/entries/... the entries themselves
  bodies/, salts/       the events, by index; an entry ends in SHA-256(02 || salt || body)
  recordings/           sessions, by id; each piece's SHA-256 stands in one of the events
  keys, policy          whom the log says to believe; believe what you have from elsewhere

Check it with:  counterfoil verify bundle THIS --vkey KEY      or open it in Counterfoil's offline viewer.
`;

/** The zip file of these events, with the recordings of `sessions`, whose pieces must be among them; `told` hears what is being done. Refuses to hand over what does not verify. */
export async function makeBundle(org: string, seqs: number[], told: (what: string) => void, sessions: string[] = []): Promise<Uint8Array<ArrayBuffer>> {
  if (seqs.length === 0) throw new Refused("nothing matches; a bundle needs at least one event");
  const sorted = [...seqs].sort((a, b) => a - b);
  const log = await api.log(org, sorted.at(-1));
  const keys = await trustedKeys(log);
  const note = await api.logText(log.path, "checkpoint");
  const { size } = openCheckpoint(note, log.origin, keys);
  // Events before these are in logs that this one took the place of.
  const before = log.head.last_seq - log.head.size;
  if ((sorted[0] ?? 0) <= before) {
    throw new Refused(`events up to ${before} are in an older log, and a bundle holds events of one: narrow the query by time`);
  }
  const indexes = sorted.map((seq) => seq - before - 1);
  if (indexes.some((index) => index >= size)) throw new Refused("some of these events are younger than the newest checkpoint that is shown; try again shortly");
  const files = new Map<string, Uint8Array>([["checkpoint", toUtf8(note)]]);
  const paths = [...needed(indexes, size).map(pathOf), "keys", "policy"];
  for (let at = 0; at < paths.length; at += AT_ONCE) {
    told(`${at} of ${paths.length} files…`);
    const some = paths.slice(at, at + AT_ONCE);
    const found = await Promise.all(some.map((path) => api.logBytes(log.path, path)));
    some.forEach((path, place) => files.set(path, found[place] ?? new Uint8Array()));
  }
  for (let at = 0; at < sorted.length; at += EVIDENCE_PAGE) {
    told(`${at} of ${sorted.length} bodies…`);
    for (const one of await api.evidence(org, sorted.slice(at, at + EVIDENCE_PAGE))) {
      if (!one.body || !one.salt) continue;
      files.set(`bodies/${one.index}`, fromBase64(one.body));
      files.set(`salts/${one.index}`, toUtf8(`${one.salt}\n`));
    }
  }
  for (const session of sessions) {
    told("the recording…");
    files.set(`recordings/${session}`, await api.recording(org, session));
  }
  files.set("README", toUtf8(README));
  told("checking…");
  const report = verifyBundle(files, keys);
  if (report.verdict !== "verified") {
    throw new Refused(`nothing was written: the server's files do not verify (${[...report.divergences, ...report.undecided][0] ?? "no reason"})`);
  }
  return writeZip(files);
}
