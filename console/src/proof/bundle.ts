// Evidence bundles: a sparse log with the bodies and salts of chosen events (docs/proofs.md). Every tile is led up to the signed root,
// every entry compared with its leaf hash, every body with its commitment.

import { equal, fromHex, fromUtf8, Refused, toHex } from "./bytes.ts";
import { decodeEntry, type Entry, eventOf, leafHash, promises } from "./entry.ts";
import { type Checkpoint, claimedOrigin, openCheckpoint, parseKey, type VerifierKey } from "./note.ts";
import { bundleAt, decodeBundle, decodeTile, nodesOf, pathOf, rootFromEdge, rootOf, tileAt } from "./tiles.ts";
import { type BundleRecording, checkRecording } from "./recording.ts";
import type { Hash } from "./tree.ts";

const WIDTH = 256;

/** One disclosed event. */
export interface BundleEvent {
  index: number;
  seq: number;
  /** Microseconds since 1970. */
  receivedAt: number;
  kind: Entry["kind"];
  verified: boolean;
  /** The text that was handed in; `null`: encrypted, or it does not read. */
  event: string | null;
  envelope: string | null;
}

/** What came of a bundle. */
export interface BundleReport {
  verdict: "verified" | "tainted" | "undecided";
  checkpoint: Checkpoint | null;
  /** True: the key was given by the reader, not taken from the bundle. */
  pinned: boolean;
  events: BundleEvent[];
  /** Recordings of sessions, checked piece by piece. */
  recordings: BundleRecording[];
  entriesVerified: number;
  tilesVerified: number;
  /** What is not as committed; each names the event where one can be named. */
  divergences: string[];
  /** Why it could not be decided. */
  undecided: string[];
}

type Files = ReadonlyMap<string, Uint8Array>;

/** Keys that a bundle brings along: believed only where the reader has none from elsewhere, and said so. */
export function keysInside(files: Files): VerifierKey[] {
  const bytes = files.get("keys");
  if (!bytes) return [];
  const { keys } = JSON.parse(fromUtf8(bytes)) as { keys?: { vkey: string }[] };
  return (keys ?? []).map(({ vkey }) => parseKey(vkey));
}

/** Verifies the files of a bundle. `pinned`: keys from elsewhere; empty: those of the bundle are used. */
export function verifyBundle(files: Files, pinned: VerifierKey[]): BundleReport {
  const report: BundleReport = {
    verdict: "undecided",
    checkpoint: null,
    pinned: pinned.length > 0,
    events: [],
    recordings: [],
    entriesVerified: 0,
    tilesVerified: 0,
    divergences: [],
    undecided: [],
  };
  const note = files.get("checkpoint");
  if (!note) {
    report.undecided.push("there is no file named checkpoint: this is no evidence bundle");
    return report;
  }
  try {
    const text = fromUtf8(note);
    const keys = report.pinned ? pinned : keysInside(files);
    report.checkpoint = openCheckpoint(text, pinned[0]?.name ?? claimedOrigin(text), keys);
  } catch (error) {
    report.divergences.push(`checkpoint: ${because(error)}`);
    report.verdict = "tainted";
    return report;
  }
  new Check(files, report.checkpoint, report).run();
  if (report.divergences.length > 0) report.verdict = "tainted";
  else if (report.undecided.length > 0 || report.events.length === 0) report.verdict = "undecided";
  else report.verdict = "verified";
  if (report.events.length === 0 && report.verdict !== "tainted") report.undecided.push("the bundle discloses no event");
  return report;
}

const because = (error: unknown): string => (error instanceof Error ? error.message : String(error));

class Missing extends Error {}

class Check {
  readonly #files: Files;
  readonly #head: Checkpoint;
  readonly #report: BundleReport;
  readonly #tiles = new Map<string, Hash[]>();

  constructor(files: Files, head: Checkpoint, report: BundleReport) {
    this.#files = files;
    this.#head = head;
    this.#report = report;
  }

  run(): void {
    const { size, root } = this.#head;
    this.#take("", () => {
      const found = rootFromEdge(size, (level, index) => this.#tile(level, index));
      if (!equal(found, root)) throw new Refused("the tiles do not lead to the signed root");
    });
    const entries = new Map<number, Entry>();
    for (const path of this.#files.keys()) {
      const parts = /^tile\/([0-9]+|entries)\/([x0-9/]+)(?:\.p\/([0-9]+))?$/.exec(path);
      if (!parts) continue;
      const index = Number((parts[2] ?? "").replaceAll(/[x/]/g, ""));
      if (parts[1] === "entries") {
        const bundle = bundleAt(index, size);
        if (bundle && pathOf(bundle) === path) this.#take("", () => this.#bundle(path, index, bundle.width, entries));
      } else {
        const level = Number(parts[1]);
        const tile = tileAt(level, index, size);
        if (tile && pathOf(tile) === path) {
          this.#take("", () => {
            this.#ledUp(level, index);
            this.#report.tilesVerified += 1;
          });
        }
      }
    }
    this.#bodies(entries);
    this.#recordings();
  }

  #take(where: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof Missing) this.#report.undecided.push(error.message);
      else this.#report.divergences.push(`${where}${because(error)}`);
    }
  }

  #need(path: string): Uint8Array {
    const bytes = this.#files.get(path);
    if (!bytes) throw new Missing(`${path} is missing`);
    return bytes;
  }

  #tile(level: number, index: number): Hash[] {
    const tile = tileAt(level, index, this.#head.size);
    if (!tile) throw new Refused("a tile beyond the end of the log");
    const path = pathOf(tile);
    let hashes = this.#tiles.get(path);
    if (!hashes) {
      hashes = decodeTile(this.#need(path), tile.width);
      this.#tiles.set(path, hashes);
    }
    return hashes;
  }

  /** A whole tile's root stands in the tile above it; a partial one is part of the right edge, which was led to the root. */
  #ledUp(level: number, index: number): void {
    const hashes = this.#tile(level, index);
    if (hashes.length < WIDTH) return;
    const above = this.#tile(level + 1, Math.floor(index / WIDTH))[index % WIDTH];
    if (!above || !equal(rootOf(hashes), above)) throw new Refused(`tile ${level}/${index} is not the one its parent names`);
    if (nodesOf(level + 1, this.#head.size) >= WIDTH) this.#ledUp(level + 1, Math.floor(index / WIDTH));
  }

  #bundle(path: string, bundle: number, width: number, into: Map<number, Entry>): void {
    const hashes = this.#tile(0, bundle);
    this.#ledUp(0, bundle);
    decodeBundle(this.#need(path), width).forEach((bytes, at) => {
      const index = bundle * WIDTH + at;
      this.#take(`event ${index + 1}: `, () => {
        const hash = hashes[at];
        if (!hash || !equal(leafHash(bytes), hash)) throw new Refused("the entry is not the one that its leaf hash names");
        const entry = decodeEntry(bytes);
        if (entry.index !== index) throw new Refused(`the entry says that its place is ${entry.index}`);
        this.#report.entriesVerified += 1;
        into.set(index, entry);
      });
    });
  }

  #recordings(): void {
    for (const [path, bytes] of this.#files) {
      const session = /^recordings\/([0-9a-z]+)$/.exec(path)?.[1];
      if (!session) continue;
      const found = checkRecording(session, bytes, this.#report.events);
      this.#report.recordings.push(found);
      if (!found.verified) this.#report.divergences.push(`recording of session ${session}: ${found.trouble}`);
    }
  }

  #bodies(entries: Map<number, Entry>): void {
    const indexes = new Set<number>();
    for (const path of this.#files.keys()) {
      const index = /^(?:bodies|salts)\/(0|[1-9][0-9]*)$/.exec(path)?.[1];
      if (index) indexes.add(Number(index));
    }
    for (const index of [...indexes].sort((a, b) => a - b)) {
      this.#take(`event ${index + 1}: `, () => {
        const entry = entries.get(index);
        if (!entry) throw new Missing(`the entry of event ${index + 1} is not here, or could not be verified`);
        const body = this.#need(`bodies/${index}`);
        const salt = fromHex(fromUtf8(this.#need(`salts/${index}`)).replace(/\n$/, ""));
        const verified = promises(entry, salt, body);
        let inside: ReturnType<typeof eventOf> = null;
        try {
          inside = eventOf(body);
        } catch {
          // Its bytes are still what they are; there is only nothing to show of them.
        }
        this.#report.events.push({
          index,
          seq: entry.number,
          receivedAt: entry.receivedAt,
          kind: entry.kind,
          verified,
          event: inside?.event ?? null,
          envelope: inside?.envelope ?? null,
        });
        if (!verified) throw new Refused(`the body is not the one that was committed to (${toHex(salt)})`);
      });
    }
  }
}
