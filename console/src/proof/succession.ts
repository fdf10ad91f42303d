// Learning the keys that followed a trusted one, from the log's own key notes: each step is proven under the key before. The list of keys
// that a log hands out is only where to look.

import { fromUtf8, Refused } from "./bytes.ts";
import { decodeEntry, leafHash } from "./entry.ts";
import { parseKey, type VerifierKey } from "./note.ts";
import { parseProof, verifyProof } from "./tlog_proof.ts";

const KEYS_MAX = 1000;

/** A key as a log lists it. */
export interface ListedKey {
  vkey: string;
  first_size: number;
}

/** The trusted key and those that followed it, the newest last; refuses a step that is not proven. `read` fetches a file of the log. */
export async function followKeys(pinned: string, listed: ListedKey[], read: (file: string) => Promise<string>): Promise<VerifierKey[]> {
  if (listed.length > KEYS_MAX) throw new Refused(`the log lists more than ${KEYS_MAX} keys`);
  const start = listed.findIndex(({ vkey }) => vkey === pinned);
  if (start < 0) throw new Refused("none of the keys that the log ever had is the one that is trusted");
  let older = parseKey(pinned);
  const keys = [older];
  for (const { vkey, first_size } of listed.slice(start + 1)) {
    const newer = parseKey(vkey);
    const index = first_size - 1;
    const proof = parseProof(await read(`key-notes/${index}`));
    if (older.name !== newer.name || newer.type !== 1) throw new Refused("the key that is to follow is not one of this log");
    if (!proof.extra) throw new Refused("the proof of a key note holds no entry");
    verifyProof(proof, leafHash(proof.extra), older.name, [older]);
    const entry = decodeEntry(proof.extra);
    if (proof.index !== index || entry.index !== index) throw new Refused("the proof of a key note is about another entry");
    if (entry.kind !== "key note" || !entry.body) throw new Refused("the entry that is to name the next key is no key note");
    const note = JSON.parse(fromUtf8(entry.body)) as { key?: string; old?: string; new?: string; reason?: string };
    if (note.key !== "rotated" || note.old !== older.text || note.new !== newer.text) throw new Refused("the key note names other keys");
    if (note.reason === "compromised") {
      throw new Refused("the key was declared compromised; whoever has it could have written that note. Get the new key where you got the old one");
    }
    keys.push(newer);
    older = newer;
  }
  return keys;
}
