// The browser's checker against the vectors of specs/proofs.md section 17, and against every change of one bit of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromBase64, fromHex, fromUtf8, toBase64, toHex, toUtf8 } from "../../src/proof/bytes.ts";
import { committedEntry, decodeEntry, leafHash, promises } from "../../src/proof/entry.ts";
import { openCheckpoint, parseKey } from "../../src/proof/note.ts";
import { parseProof, verifyProof } from "../../src/proof/tlog_proof.ts";
import { EMPTY_ROOT, Frontier, type Hash, nodeHash, verifyConsistency, verifyInclusion } from "../../src/proof/tree.ts";
import { bundleAt, needed, pathOf, rootFromEdge, tileAt } from "../../src/proof/tiles.ts";

const ORIGIN = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";
const VKEY = `${ORIGIN}+cf780f16+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs`;
const NOTE = `${ORIGIN}
3
6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=

\u2014 ${ORIGIN} z3gPFpZxLymzSImCulWC7vVME8S0RBwEe/flchDOCMDG9uvJ3UvFfbPySJps4u/3BZzPuWt/bxRqpAKYPxvBDd9KCQU=
`;
const ENTRIES = [
  "01040000000000100000000000000000000000000000000100065bfeda25e000000000000000000000000000000000007b226c6f67223a226f70656e6564227d",
  "01010100000000250000000000000001000000000000000200065bfeda2d8120000102030405060708090a0b0c0d0e0fc7796bf74f0c64da228a26ee7fd9c6f44bc2eef8465aa9caed3650cb26cb170c",
  "01010100000000000000000000000002000000000000000300065bfeda352240101112131415161718191a1b1c1d1e1f04927642dd90f183fc1e56a452f1c1628e84764920169fb3bc3ea1db9c0c626d",
].map(fromHex);
const LEAVES = [
  "6e54254299090a09b95a311b929381e8d7994d75bfe5dabb481bf0472cc96d4a",
  "7a6bf8476861e9b8ebdd7e9a4819aa49b70d93445aa9036938cb7daf61872724",
  "5c094e99f66ec678a605e621b8dcfa48732fd8bc6ecd4673f53f15c258ad98e4",
];
const ROOTS = [
  "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  "blQlQpkJCgm5WjEbkpOB6NeZTXW/5dq7SBvwRyzJbUo=",
  "se6c55Xz2hL3AbLG3pBL67nnw7yryrlpbny9ffndI+4=",
  "6IHuDE1uter/E8sSIt58E9ifVZEVeSBw0vqV9qB79uQ=",
];
const PATH = ["blQlQpkJCgm5WjEbkpOB6NeZTXW/5dq7SBvwRyzJbUo=", "XAlOmfZuxnimBeYhuNz6SHMv2LxuzUZz9T8VwlitmOQ="];
const BODY = toUtf8('{"actor":"alice","action":"doc.read"}');
const SALT = new Uint8Array(16).fill(0xa5);
const PROOF = `c2sp.org/tlog-proof@v1\nindex 1\n${PATH.join("\n")}\n\n${NOTE}`;

const entry = (at: number): Uint8Array => ENTRIES[at] ?? new Uint8Array();
const root = (size: number): Hash => fromBase64(ROOTS[size] ?? "");

test("leaves_roots_path_and_growth_are_those_of_the_vectors", () => {
  assert.equal(toBase64(EMPTY_ROOT), ROOTS[0]);
  const tree = new Frontier();
  ENTRIES.forEach((bytes, at) => {
    assert.equal(toHex(leafHash(bytes)), LEAVES[at]);
    tree.push(leafHash(bytes));
    assert.equal(toBase64(tree.root()), ROOTS[at + 1]);
  });
  verifyInclusion(leafHash(entry(1)), 1, 3, PATH.map(fromBase64), root(3));
  verifyConsistency(2, root(2), 3, root(3), [fromBase64(PATH[1] ?? "")]);
});

test("the_entries_of_the_vectors_read_and_promise_their_bodies", () => {
  const note = decodeEntry(entry(0));
  assert.equal(note.kind, "log note");
  assert.equal(fromUtf8(note.body ?? new Uint8Array()), '{"log":"opened"}');
  assert.equal(note.receivedAt, 1790000000000000);
  const event = decodeEntry(entry(1));
  assert.deepEqual([event.kind, event.index, event.number, event.bodyLength], ["event", 1, 2, 37]);
  assert.ok(promises(event, SALT, BODY));
  assert.ok(promises(decodeEntry(entry(2)), new Uint8Array(16).fill(0x5a), new Uint8Array()));
  assert.equal(toHex(committedEntry(entry(1).subarray(0, 48), SALT, BODY)), toHex(entry(1)));
});

/** All that a reader is given, and the whole check of it: body and salt to entry to leaf to root to signature. */
interface Given {
  vkey: Uint8Array;
  proof: Uint8Array;
  header: Uint8Array;
  salt: Uint8Array;
  body: Uint8Array;
}

const GIVEN: Given = { vkey: toUtf8(VKEY), proof: toUtf8(PROOF), header: entry(1).slice(0, 48), salt: SALT, body: BODY };

function check(given: Given): void {
  const key = parseKey(fromUtf8(given.vkey));
  const bytes = committedEntry(given.header, given.salt, given.body);
  const proof = parseProof(fromUtf8(given.proof));
  const { checkpoint } = verifyProof(proof, leafHash(bytes), ORIGIN, [key]);
  if (decodeEntry(bytes).index !== proof.index) throw new Error("another entry");
  assert.equal(checkpoint.size, 3);
}

test("every_change_of_one_bit_of_the_vectors_is_refused", () => {
  check(GIVEN);
  let tried = 0;
  for (const name of Object.keys(GIVEN) as (keyof Given)[]) {
    for (let bit = 0; bit < 8 * GIVEN[name].length; bit += 1) {
      const changed = GIVEN[name].slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => check({ ...GIVEN, [name]: changed }), `${name}, bit ${bit}`);
      tried += 1;
    }
  }
  assert.equal(tried, 8 * (VKEY.length + toUtf8(PROOF).length + 48 + 16 + BODY.length));
});

test("every_change_of_one_bit_of_a_proof_of_growth_is_refused", () => {
  const given = [root(2), root(3), fromBase64(PATH[1] ?? "")] as const;
  const check = ([older, newer, hash]: readonly Hash[]) =>
    verifyConsistency(2, older ?? EMPTY_ROOT, 3, newer ?? EMPTY_ROOT, hash ? [hash] : []);
  check(given);
  given.forEach((bytes, part) => {
    for (let bit = 0; bit < 256; bit += 1) {
      const changed = bytes.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.throws(() => check(given.map((other, at) => (at === part ? changed : other))), `part ${part}, bit ${bit}`);
    }
  });
});

test("mistakes_that_other_verifiers_made_are_not_made", () => {
  const leaf = leafHash(entry(1));
  const path = PATH.map(fromBase64);
  const key = parseKey(VKEY);
  // A proof of another length, an index outside the tree, a single leaf with an empty path in a larger tree.
  assert.throws(() => verifyInclusion(leaf, 1, 3, path.slice(0, 1), root(3)));
  assert.throws(() => verifyInclusion(leaf, 1, 3, [...path, root(1)], root(3)));
  assert.throws(() => verifyInclusion(leaf, 3, 3, path, root(3)));
  assert.throws(() => verifyInclusion(leaf, 0, 3, [], leaf));
  // Another log's checkpoint, another key of the same name, no signature, text before and after.
  assert.throws(() => openCheckpoint(NOTE, `${ORIGIN}x`, [key]));
  assert.throws(() => openCheckpoint(NOTE, ORIGIN, []));
  assert.throws(() => openCheckpoint(NOTE, ORIGIN, [{ ...key, id: "00000000" }]));
  assert.throws(() => openCheckpoint(NOTE.slice(0, NOTE.indexOf("\n\n") + 1), ORIGIN, [key]));
  assert.throws(() => openCheckpoint(`${NOTE}x`, ORIGIN, [key]));
  assert.throws(() => openCheckpoint(NOTE.replace("\n3\n", "\n03\n"), ORIGIN, [key]));
  // Equal sizes are compared by root, and growth that shrinks is none.
  assert.throws(() => verifyConsistency(3, root(2), 3, root(3), []));
  assert.throws(() => verifyConsistency(3, root(3), 2, root(2), []));
  verifyConsistency(0, EMPTY_ROOT, 3, root(3), []);
});

/** All nodes of a tree, level by level, whole subtrees only. */
function rows(leaves: Hash[]): Hash[][] {
  const all = [leaves];
  for (let row = leaves; row.length > 1; ) {
    const above: Hash[] = [];
    for (let at = 0; at + 1 < row.length; at += 2) above.push(nodeHash(row[at] ?? EMPTY_ROOT, row[at + 1] ?? EMPTY_ROOT));
    all.push(above);
    row = above;
  }
  return all;
}

test("tiles_lead_to_the_root_of_the_frontier_at_every_kind_of_size", () => {
  for (const size of [1, 2, 3, 5, 255, 256, 257, 511, 512, 600, 65_535, 65_536, 65_537, 66_000]) {
    const leaves = Array.from({ length: size }, (_, at) => leafHash(toUtf8(String(at))));
    const tree = new Frontier();
    leaves.forEach((leaf) => tree.push(leaf));
    const levels = rows(leaves);
    const found = rootFromEdge(size, (level, index, width) => {
      const row = levels[8 * level] ?? [];
      return row.slice(index * 256, index * 256 + width);
    });
    assert.equal(toHex(found), toHex(tree.root()), `size ${size}`);
  }
});

test("files_are_named_as_tlog_tiles_names_them", () => {
  const name = (piece: ReturnType<typeof tileAt>) => piece && pathOf(piece);
  assert.equal(name(tileAt(0, 1234067, 1234068 * 256)), "tile/0/x001/x234/067");
  assert.equal(name(tileAt(0, 0, 17)), "tile/0/000.p/17");
  assert.equal(name(tileAt(1, 0, 512)), "tile/1/000.p/2");
  assert.equal(name(tileAt(1, 0, 255)), null);
  assert.equal(name(bundleAt(1, 300)), "tile/entries/001.p/44");
  const paths = needed([5], 600).map(pathOf).sort();
  assert.deepEqual(paths, ["tile/0/000", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/000"]);
});
