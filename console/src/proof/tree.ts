// Merkle arithmetic of RFC 6962 section 2.1: leaves, nodes, inclusion, consistency. Numbers are plain: trees are smaller than 2^53.

import { sha256 } from "@noble/hashes/sha2.js";

import { concat, equal, Refused } from "./bytes.ts";

/** 32 bytes of SHA-256. */
export type Hash = Uint8Array;

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const COMMITMENT = Uint8Array.of(2);

/** The root of no leaves. */
export const EMPTY_ROOT: Hash = sha256(new Uint8Array());

/** SHA-256(00 ‖ entry). */
export const leafHash = (entry: Uint8Array): Hash => sha256(concat(LEAF, entry));

const BOTH = new Uint8Array(65);
BOTH[0] = NODE[0] ?? 1;

/** SHA-256(01 ‖ left ‖ right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  BOTH.set(left, 1);
  BOTH.set(right, 33);
  return sha256(BOTH);
}

/** SHA-256(02 ‖ salt ‖ body): what an entry says of a body that it does not hold. */
export const commitment = (salt: Uint8Array, body: Uint8Array): Hash => sha256(concat(COMMITMENT, salt, body));

/** One step from a leaf to the root. */
export interface Step {
  /** The hash that the proof gives. */
  sibling: Hash;
  /** Which side of it we come from. */
  from: "left" | "right";
  /** The node above both. */
  node: Hash;
}

/** Where a path is on the left or the right: the same for every tree of this size. */
function* sides(index: number, size: number): Generator<"left" | "right"> {
  if (!(index >= 0 && index < size)) throw new Refused("the leaf is not in the tree");
  let at = index;
  let last = size - 1;
  while (last > 0) {
    if (at % 2 === 1) yield "right";
    else if (at < last) yield "left";
    // Otherwise the node has no sibling on this level and rises as it is.
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
}

/** Follows a proof from a leaf; refuses it unless it has exactly the hashes it must have and leads to the root. */
export function verifyInclusion(leaf: Hash, index: number, size: number, proof: Hash[], root: Hash): Step[] {
  const steps: Step[] = [];
  let node = leaf;
  for (const from of sides(index, size)) {
    const sibling = proof[steps.length];
    if (!sibling) throw new Refused("the proof has too few hashes");
    node = from === "right" ? nodeHash(sibling, node) : nodeHash(node, sibling);
    steps.push({ sibling, from, node });
  }
  if (steps.length !== proof.length) throw new Refused("the proof has too many hashes");
  if (!equal(node, root)) throw new Refused("the path does not lead to the signed root");
  return steps;
}

/** Accepts if the tree of `oldSize` leaves is the beginning of the one of `newSize`; refuses otherwise. */
export function verifyConsistency(oldSize: number, oldRoot: Hash, newSize: number, newRoot: Hash, proof: Hash[]): void {
  if (oldSize > newSize) throw new Refused("the newer tree is smaller than the older one");
  if (oldSize === newSize) {
    if (proof.length > 0) throw new Refused("equal sizes need no proof");
    if (!equal(oldRoot, newRoot)) throw new Refused("two roots for one size: the history was forked");
    return;
  }
  if (oldSize === 0) {
    if (proof.length > 0) throw new Refused("growth from nothing needs no proof");
    if (!equal(oldRoot, EMPTY_ROOT)) throw new Refused("the root of no leaves is fixed");
    return;
  }
  let at = oldSize - 1;
  let last = newSize - 1;
  while (at % 2 === 1) {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  const rest = [...proof];
  // If the old tree is one whole subtree, its root is where the path begins.
  const first = at === 0 ? oldRoot : rest.shift();
  if (!first) throw new Refused("the proof has too few hashes");
  let older = first;
  let newer = first;
  while (last > 0) {
    if (at % 2 === 1 || at < last) {
      const sibling = rest.shift();
      if (!sibling) throw new Refused("the proof has too few hashes");
      if (at % 2 === 1) {
        older = nodeHash(sibling, older);
        newer = nodeHash(sibling, newer);
      } else {
        newer = nodeHash(newer, sibling);
      }
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (rest.length > 0) throw new Refused("the proof has too many hashes");
  if (!equal(older, oldRoot)) throw new Refused("the proof does not lead to the older root");
  if (!equal(newer, newRoot)) throw new Refused("the proof does not lead to the newer root");
}

/** The right edge of a growing tree: enough to add leaves and to say the root at any size passed. */
export class Frontier {
  #size = 0;
  /** Roots of the whole subtrees, the largest first, as the bits of the size have them. */
  #edge: Hash[] = [];

  /** Leaves so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds one leaf hash. */
  push(leaf: Hash): void {
    let node = leaf;
    for (let size = this.#size; size % 2 === 1; size = (size - 1) / 2) {
      const left = this.#edge.pop();
      if (!left) throw new Error("the edge has one node for each bit of the size");
      node = nodeHash(left, node);
    }
    this.#edge.push(node);
    this.#size += 1;
  }

  /** The root over the leaves so far. */
  root(): Hash {
    if (this.#edge.length === 0) return EMPTY_ROOT;
    return this.#edge.reduceRight((right, left) => nodeHash(left, right));
  }
}
