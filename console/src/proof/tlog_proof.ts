// A proof to keep: one entry is in one log (C2SP tlog-proof).

import { fromBase64, fromDecimal, Refused } from "./bytes.ts";
import { type Checkpoint, openCheckpoint, type VerifierKey } from "./note.ts";
import { type Hash, type Step, verifyInclusion } from "./tree.ts";

const HEADER = "c2sp.org/tlog-proof@v1";
const HASHES_MAX = 63;

/** A proof as it is written, before anybody is believed. */
export interface TlogProof {
  /** Not authenticated. */
  extra?: Uint8Array;
  index: number;
  hashes: Hash[];
  checkpoint: string;
}

/** Reads the form. */
export function parseProof(text: string): TlogProof {
  const gap = text.indexOf("\n\n");
  if (gap < 0) throw new Refused("no empty line before the checkpoint");
  const lines = text.slice(0, gap).split("\n");
  if (lines.shift() !== HEADER) throw new Refused("no tlog-proof: its first line is another");
  let extra: Uint8Array | undefined;
  if (lines[0]?.startsWith("extra ")) extra = fromBase64((lines.shift() ?? "").slice(6));
  const index = lines.shift();
  if (!index?.startsWith("index ")) throw new Refused("the proof does not say which entry it is about");
  if (lines.length > HASHES_MAX) throw new Refused("the proof has too many hashes");
  const hashes = lines.map((line) => fromBase64(line));
  if (hashes.some((hash) => hash.length !== 32)) throw new Refused("a hash has 32 bytes");
  const proof = { index: fromDecimal(index.slice(6)), hashes, checkpoint: text.slice(gap + 2) };
  return extra ? { ...proof, extra } : proof;
}

/** Checks a proof of the leaf; gives the signed head and the way there. */
export function verifyProof(
  proof: TlogProof,
  leaf: Hash,
  origin: string,
  known: VerifierKey[],
): { checkpoint: Checkpoint; steps: Step[] } {
  const checkpoint = openCheckpoint(proof.checkpoint, origin, known);
  return { checkpoint, steps: verifyInclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root) };
}

/** Reads what a log says of its growth: the old size, hashes, and the newer checkpoint. */
export function parseExtends(text: string): { oldSize: number; hashes: Hash[]; checkpoint: string } {
  const gap = text.indexOf("\n\n");
  if (gap < 0) throw new Refused("no empty line before the checkpoint");
  const [first, ...lines] = text.slice(0, gap).split("\n");
  if (!first?.startsWith("old ")) throw new Refused("the proof does not say from which size on");
  if (lines.length > HASHES_MAX) throw new Refused("the proof has too many hashes");
  const hashes = lines.map((line) => fromBase64(line));
  if (hashes.some((hash) => hash.length !== 32)) throw new Refused("a hash has 32 bytes");
  return { oldSize: fromDecimal(first.slice(4)), hashes, checkpoint: text.slice(gap + 2) };
}
