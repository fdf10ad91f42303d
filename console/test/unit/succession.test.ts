// Keys that followed a trusted one are believed only by a note that the older key's checkpoint proves.

import assert from "node:assert/strict";
import { test } from "node:test";

import { toBase64, toUtf8 } from "../../src/proof/bytes.ts";
import { leafHash } from "../../src/proof/entry.ts";
import { recall, remember, type Shelf } from "../../src/proof/memory.ts";
import { openCheckpoint, parseKey } from "../../src/proof/note.ts";
import { followKeys } from "../../src/proof/succession.ts";
import { Frontier, nodeHash } from "../../src/proof/tree.ts";
import { entry, key, ORIGIN } from "./log.ts";


const NONE = new Uint8Array();

const note = (kind: number, index: number, body: string) => entry(kind, index, toUtf8(body));

/** A log of two entries, the second of which says that the key of seed 8 follows the one of seed 7. */
function published(options: { reason?: string; signer?: number; kind?: number; names?: string } = {}) {
  const [older, newer] = [key(7), key(8)];
  const said = { key: "rotated", old: older.vkey, new: options.names ?? newer.vkey, reason: options.reason ?? "scheduled" };
  const [first, second] = [note(4, 0, "{}"), note(options.kind ?? 3, 1, JSON.stringify(said))];
  const root = nodeHash(leafHash(first), leafHash(second));
  const checkpoint = key(options.signer ?? 7).sign(`${ORIGIN}\n2\n${toBase64(root)}\n`);
  const proof = `c2sp.org/tlog-proof@v1\nextra ${toBase64(second)}\nindex 1\n${toBase64(leafHash(first))}\n\n${checkpoint}`;
  const listed = [{ vkey: older.vkey, first_size: 0 }, { vkey: newer.vkey, first_size: 2 }];
  return followKeys(older.vkey, listed, (file) => Promise.resolve(file === "key-notes/1" ? proof : ""));
}

test("a_key_that_a_note_names_under_the_older_key_is_believed", async () => {
  assert.deepEqual((await published()).map(({ text }) => text), [key(7).vkey, key(8).vkey]);
});

test("a_key_that_is_only_listed_is_not", async () => {
  await assert.rejects(published({ signer: 9 }), /no key of the log signed|signature/);
  await assert.rejects(published({ signer: 8 }), /no key of the log signed|signature/);
  await assert.rejects(published({ kind: 4 }), /no key note/);
  await assert.rejects(published({ names: key(9).vkey }), /other keys/);
  await assert.rejects(published({ reason: "compromised" }), /compromised/);
  await assert.rejects(followKeys(key(6).vkey, [{ vkey: key(7).vkey, first_size: 0 }], () => Promise.resolve("")), /none of the keys/);
});

test("a_browser_that_remembers_refuses_a_log_that_shrank_forked_or_did_not_grow_out_of_what_it_saw", async () => {
  const kept = new Map<string, string>();
  const shelf: Shelf = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => void kept.set(name, value) };
  const { vkey, sign: signed } = key(7);
  const leaves = [1, 2, 3].map((byte) => leafHash(Uint8Array.of(byte)));
  const head = (some: Uint8Array[]) => {
    const tree = new Frontier();
    some.forEach((leaf) => tree.push(leaf));
    return signed(`${ORIGIN}\n${some.length}\n${toBase64(tree.root())}\n`);
  };
  const keys = [parseKey(vkey)];
  const open = (text: string) => openCheckpoint(text, ORIGIN, keys);
  const [two, three] = [head(leaves.slice(0, 2)), head(leaves)];
  const growth = `old 2\n${toBase64(leaves[2] ?? new Uint8Array())}\n\n${three}`;
  const never = () => Promise.reject(new Error("nothing had to be asked"));
  assert.equal(await remember(shelf, open(two), keys, never), null);
  await assert.rejects(remember(shelf, open(three), keys, () => Promise.resolve(growth.replace(/\n.*\n\n/, `\n${toBase64(leaves[0] ?? new Uint8Array())}\n\n`))));
  // A fork that the key signed, beside a true proof of growth that ends elsewhere.
  const four = [...leaves, leafHash(Uint8Array.of(4))];
  const forked = open(head([...leaves].reverse()));
  const elsewhere = (size: number) => Promise.resolve(size === 2 ? `old 2\n${toBase64(nodeHash(leaves[2] ?? NONE, four[3] ?? NONE))}\n\n${head(four)}` : `old 3\n${toBase64(leaves[2] ?? NONE)}\n${toBase64(four[3] ?? NONE)}\n${toBase64(nodeHash(leaves[0] ?? NONE, leaves[1] ?? NONE))}\n\n${head(four)}`);
  await assert.rejects(remember(shelf, forked, keys, elsewhere), /does not lead/);
  assert.equal((await remember({ ...shelf, setItem: () => {} }, open(three), keys, elsewhere))?.size, 2);
  // An end that nobody signed.
  await assert.rejects(remember(shelf, open(three), keys, () => Promise.resolve(growth.slice(0, growth.indexOf("\u2014")))));
  assert.equal(recall(shelf, ORIGIN)?.size, 2);
  assert.equal((await remember(shelf, open(three), keys, () => Promise.resolve(growth)))?.size, 2);
  assert.equal(recall(shelf, ORIGIN)?.size, 3);
  await assert.rejects(remember(shelf, open(two), keys, never), /rolled back/);
  await assert.rejects(remember(shelf, open(head([...leaves].reverse())), keys, never), /forked/);
});
