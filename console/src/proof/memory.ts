// What this browser remembers of a log: the key it first met, and the newest head it saw. Without memory, a rewritten history that is
// signed again cannot be told from the true one.

import { fromBase64, Refused, toBase64 } from "./bytes.ts";
import type { Checkpoint } from "./note.ts";
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

/**
 * Compares a checked head with the remembered one and remembers the newer. `extendsFrom` fetches the log's own proof of growth.
 *
 * Refuses a head that is smaller, has another root at the same size, or does not grow out of the remembered one.
 */
export async function remember(
  shelf: Shelf,
  checkpoint: Checkpoint,
  vkey: string,
  extendsFrom: (size: number) => Promise<string>,
): Promise<Remembered | null> {
  const before = recall(shelf, checkpoint.origin);
  const now = new Date().toISOString();
  if (before) {
    if (checkpoint.size < before.size) {
      // The head shown may be an older, cosigned one; then the log has to be able to show how the remembered one grew from it.
      throw new Refused(
        `this browser saw ${before.size} entries on ${before.seen}; the log now shows only ${checkpoint.size}: it was rolled back`,
      );
    }
    if (checkpoint.size === before.size) {
      if (toBase64(checkpoint.root) !== before.root) throw new Refused("another root was seen at this size: the log was forked");
    } else {
      const growth = parseExtends(await extendsFrom(before.size));
      if (growth.oldSize !== before.size) throw new Refused("the log's proof of growth begins elsewhere");
      const end = growth.checkpoint.split("\n");
      const [size, root] = [Number(end[1]), fromBase64(end[2] ?? "")];
      verifyConsistency(before.size, fromBase64(before.root), size, root, growth.hashes);
      // The proof may lead to a head newer than the one in hand; that one is what is remembered only if it is the same.
      if (size === checkpoint.size && toBase64(root) !== toBase64(checkpoint.root)) throw new Refused("two roots for one size");
      if (size !== checkpoint.size) return before;
    }
  }
  const kept = { vkey: before?.vkey ?? vkey, since: before?.since ?? now, size: checkpoint.size, root: toBase64(checkpoint.root), seen: now };
  try {
    shelf.setItem(name(checkpoint.origin), JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing remembers nothing.
  }
  return before;
}
