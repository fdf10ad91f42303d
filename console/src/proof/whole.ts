// A whole log, entry by entry: every entry compared with its leaf hash, the root rebuilt of all leaf hashes, order and times checked; with
// bodies, every body too. Leaf hashes are read apart from the entries, so that a changed entry is named and not only missed in the root.

import { equal, fromBase64, fromHex, Refused } from "./bytes.ts";
import { decodeEntry, type Entry, leafHash, promises } from "./entry.ts";
import type { EventEvidence } from "./event.ts";
import type { Checkpoint } from "./note.ts";
import { bundleAt, decodeBundle, decodeTile, pathOf, tileAt } from "./tiles.ts";
import { Frontier, type Hash } from "./tree.ts";

const WIDTH = 256;

/** Where a log is read from. */
export interface Source {
  file(path: string): Promise<Uint8Array>;
  /** Bodies and salts of some events; fails if one of them cannot be read. */
  bodies?(seqs: number[]): Promise<EventEvidence[]>;
}

export interface Progress {
  entries: number;
  of: number;
  bodies: number;
  erased: number;
  /** What is not as it was committed, in order; the first 1,000. */
  findings: Finding[];
}

export interface Finding {
  /** The event; `null`: the log as a whole. */
  seq: number | null;
  reason: string;
}

const FINDINGS_MAX = 1000;

/** Verifies everything below a checked head. `before`: numbers of events in older logs, whose place this one took. Ends early only when `stop` says so; what was found stays found. */
export async function verifyWhole(
  head: Checkpoint,
  source: Source,
  minimumIndex: number,
  before: number,
  told: (progress: Progress) => void,
  stop: () => boolean,
): Promise<Progress> {
  const progress: Progress = { entries: 0, of: head.size, bodies: 0, erased: 0, findings: [] };
  const find = (seq: number | null, reason: string) => {
    if (progress.findings.length < FINDINGS_MAX) progress.findings.push({ seq, reason });
  };
  if (minimumIndex > 0) find(null, `entries below ${minimumIndex} were pruned; the root cannot be rebuilt from what is left`);
  const tree = new Frontier();
  let last: Entry | null = null;
  for (let bundle = Math.floor(minimumIndex / WIDTH); bundle * WIDTH < head.size; bundle += 1) {
    if (stop()) return progress;
    const piece = bundleAt(bundle, head.size);
    if (!piece) break;
    const first = bundle * WIDTH;
    const tile = tileAt(0, bundle, head.size);
    let leaves: Hash[] = [];
    try {
      if (tile) leaves = decodeTile(await source.file(pathOf(tile)), tile.width);
    } catch (error) {
      find(null, `the leaf hashes of the entries ${before + first + 1} to ${before + first + piece.width} cannot be read: ${because(error)}`);
      return progress;
    }
    for (const leaf of leaves) tree.push(leaf);
    let entries: Uint8Array[] = [];
    try {
      entries = decodeBundle(await source.file(pathOf(piece)), piece.width);
    } catch (error) {
      find(before + first + 1, `the entries ${before + first + 1} to ${before + first + piece.width} cannot be read: ${because(error)}`);
      continue;
    }
    const committed: Entry[] = [];
    entries.forEach((bytes, at) => {
      progress.entries += 1;
      try {
        const leaf = leaves[at];
        if (!leaf || !equal(leafHash(bytes), leaf)) throw new Refused("it is not what was committed: entry and leaf hash differ");
        const entry = decodeEntry(bytes);
        if (entry.index !== first + at) throw new Refused(`it says that its place is ${entry.index}`);
        if (last && entry.number <= last.number) throw new Refused("numbers do not rise");
        if (last && entry.receivedAt < last.receivedAt) throw new Refused("times of receipt fall");
        last = entry;
        if (entry.commitment) committed.push(entry);
      } catch (error) {
        find(before + first + at + 1, because(error));
      }
    });
    if (source.bodies) await bodies(source.bodies, committed, progress, find);
    told({ ...progress, findings: [...progress.findings] });
  }
  if (minimumIndex === 0 && !equal(tree.root(), head.root)) find(null, "the leaf hashes do not lead to the signed root");
  return progress;
}

async function bodies(
  read: NonNullable<Source["bodies"]>,
  entries: Entry[],
  progress: Progress,
  find: (seq: number | null, reason: string) => void,
): Promise<void> {
  const check = (entry: Entry, evidence: EventEvidence | undefined) => {
    if (evidence?.state === "erased") {
      progress.erased += 1;
    } else if (!evidence?.body || !evidence.salt) {
      find(entry.number, "its body is not handed out");
    } else if (promises(entry, fromHex(evidence.salt), fromBase64(evidence.body))) {
      progress.bodies += 1;
    } else {
      find(entry.number, "its body is not the one that was committed to");
    }
  };
  // Halving finds the ones that cannot be read without asking for each.
  const part = async (some: Entry[]): Promise<void> => {
    if (some.length === 0) return;
    try {
      const found = new Map((await read(some.map((entry) => entry.number))).map((one) => [one.seq, one]));
      for (const entry of some) check(entry, found.get(entry.number));
    } catch (error) {
      const [only] = some;
      if (some.length === 1 && only) {
        find(only.number, because(error));
        return;
      }
      const half = Math.ceil(some.length / 2);
      await part(some.slice(0, half));
      await part(some.slice(half));
    }
  };
  await part(entries);
}

const because = (error: unknown): string => (error instanceof Error ? error.message : String(error));
