// A small log of our own making, for tests: keys, entries, files.

import { getPublicKey, hashes, sign } from "@noble/ed25519";
import { sha256, sha512 } from "@noble/hashes/sha2.js";

import { concat, toBase64, toHex, toUtf8 } from "../../src/proof/bytes.ts";
import { commitment, leafHash } from "../../src/proof/tree.ts";
import { needed, pathOf } from "../../src/proof/tiles.ts";
import { Frontier, type Hash, nodeHash } from "../../src/proof/tree.ts";

hashes.sha512 = sha512;
export const ORIGIN = "audit.example.org/l/aaaaaaaaaaaaaaaaaaaaaaaaaa";

/** A key made of one repeated byte: how it is published, and how it signs. */
export function key(seed: number): { vkey: string; sign: (text: string) => string } {
  const secret = new Uint8Array(32).fill(seed);
  const bytes = concat(Uint8Array.of(1), getPublicKey(secret));
  const id = sha256(concat(toUtf8(`${ORIGIN}\n`), bytes)).subarray(0, 4);
  return {
    vkey: `${ORIGIN}+${toHex(id)}+${toBase64(bytes)}`,
    sign: (text) => `${text}\n\u2014 ${ORIGIN} ${toBase64(concat(id, sign(toUtf8(text), secret)))}\n`,
  };
}

/** An entry: with its body inside, or with a commitment to it. */
export function entry(kind: number, index: number, body: Uint8Array, salt?: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = new DataView(new ArrayBuffer(48));
  header.setUint8(0, 1);
  header.setUint8(1, kind);
  header.setUint8(2, salt ? 1 : 0);
  header.setUint32(4, body.length);
  header.setBigUint64(8, BigInt(index));
  header.setBigUint64(16, BigInt(index + 1));
  header.setBigUint64(24, BigInt(1_790_000_000_000_000 + index));
  return concat(new Uint8Array(header.buffer), salt ? commitment(salt, body) : body);
}

/** A body as the service makes it. */
export function bodyOf(envelope: string, event: string): Uint8Array<ArrayBuffer> {
  const before = toUtf8(envelope);
  return concat(Uint8Array.of(1, before.length >> 8, before.length & 255), before, toUtf8(event));
}

/** The files of a bundle that discloses some events of a log in which event `index` has this body. */
export function bundle(size: number, disclosed: number[], body: (index: number) => Uint8Array): Map<string, Uint8Array> {
  const saltOf = (index: number) => new Uint8Array(16).fill(index & 255);
  const entries = Array.from({ length: size }, (_, index) => entry(1, index, body(index), saltOf(index)));
  const rows: Hash[][] = [entries.map(leafHash)];
  for (let row = rows[0] ?? []; row.length > 1; ) {
    const above: Hash[] = [];
    for (let at = 0; at + 1 < row.length; at += 2) above.push(nodeHash(row[at] ?? NONE, row[at + 1] ?? NONE));
    rows.push(above);
    row = above;
  }
  const tree = new Frontier();
  rows[0]?.forEach((leaf) => tree.push(leaf));
  const files = new Map<string, Uint8Array>();
  files.set("checkpoint", toUtf8(key(7).sign(`${ORIGIN}\n${size}\n${toBase64(tree.root())}\n`)));
  for (const piece of needed(disclosed, size)) {
    const first = piece.index * 256;
    if (piece.level === "entries") {
      const parts = entries.slice(first, first + piece.width).flatMap((bytes) => [Uint8Array.of(bytes.length >> 8, bytes.length & 255), bytes]);
      files.set(pathOf(piece), concat(...parts));
    } else {
      files.set(pathOf(piece), concat(...(rows[8 * piece.level] ?? []).slice(first, first + piece.width)));
    }
  }
  for (const index of disclosed) {
    files.set(`bodies/${index}`, body(index));
    files.set(`salts/${index}`, toUtf8(`${toHex(saltOf(index))}\n`));
  }
  return files;
}

const NONE = new Uint8Array();
