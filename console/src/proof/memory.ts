// What this browser remembers of a log: the key it first met, and the newest head it saw. Without memory, a rewritten history that is
// signed again cannot be told from the true one.

import { fromBase64, Refused, toBase64 } from "./bytes.ts";
import { type Checkpoint, openCheckpoint, type VerifierKey } from "./note.ts";
import { verifyConsistency } from "./tree.ts";
import { parseExtends } from "./tlog_proof.ts";

/** What is kept for one log. */
export interface Remembered {
  /** The key that was met first; those that followed it are learnt anew each time. */
  vkey: string;
  /** When this browser first met the key. */
  since: string;
  size: number;
  /** Base64. */
  root: string;
  /** When the head was seen. */
  seen: string;
}

/** Where memory is kept: `localStorage`, or nothing at all. */
export interface Shelf {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
}

const name = (origin: string): string => `counterfoil:log:${origin}`;

export function recall(shelf: Shelf, origin: string): Remembered | null {
  try {
    return JSON.parse(shelf.getItem(name(origin)) ?? "null") as Remembered | null;
  } catch {
    return null;
  }
}

/** Tries until the log stands still long enough for two proofs of growth to end at the same head. */
const TRIES = 5;

/**
 * Compares a checked head with the remembered one and remembers the newer. `extendsFrom` fetches the log's own proof of growth; its end has
 * to be signed by one of `keys`.
 *
 * Refuses a head that is smaller, has another root at the same size, or does not grow out of the remembered one.
 */
export async function remember(
  shelf: Shelf,
  checkpoint: Checkpoint,
  keys: VerifierKey[],
  extendsFrom: (size: number) => Promise<string>,
): Promise<Remembered | null> {
  const before = recall(shelf, checkpoint.origin);
  let newest = checkpoint;
  if (before) {
    if (checkpoint.size < before.size) {
      throw new Refused(
        `this browser saw ${before.size} entries on ${before.seen}; the log now shows only ${checkpoint.size}: it was rolled back`,
      );
    }
    if (checkpoint.size === before.size) {
      if (toBase64(checkpoint.root) !== before.root) throw new Refused("another root was seen at this size: the log was forked");
    } else {
      newest = await grown(before, checkpoint, keys, extendsFrom);
    }
  }
  const now = new Date().toISOString();
  const [first] = keys;
  const vkey = before?.vkey ?? first?.text ?? "";
  const kept: Remembered = { vkey, since: before?.since ?? now, size: newest.size, root: toBase64(newest.root), seen: now };
  try {
    shelf.setItem(name(checkpoint.origin), JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
  return before;
}

/** A signed head that both the remembered one and the one in hand grow into. */
async function grown(
  before: Remembered,
  checkpoint: Checkpoint,
  keys: VerifierKey[],
  extendsFrom: (size: number) => Promise<string>,
): Promise<Checkpoint> {
  const end = async (size: number, root: Uint8Array): Promise<Checkpoint> => {
    const growth = parseExtends(await extendsFrom(size));
    if (growth.oldSize !== size) throw new Refused("the log's proof of growth begins elsewhere");
    const head = openCheckpoint(growth.checkpoint, checkpoint.origin, keys);
    verifyConsistency(size, root, head.size, head.root, growth.hashes);
    return head;
  };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const old = await end(before.size, fromBase64(before.root));
    // Most often the log stands still, and the proof ends at the very head in hand.
    const own = old.size === checkpoint.size ? checkpoint : await end(checkpoint.size, checkpoint.root);
    if (old.size !== own.size) continue;
    if (toBase64(old.root) !== toBase64(own.root)) throw new Refused("two roots for one size: the log was forked");
    return own;
  }
  throw new Refused("the log grows faster than its growth can be checked; try again");
}
