// How a log is cut into files (C2SP tlog-tiles): names, and which of them lead from some entries to the root.

import { Refused } from "./bytes.ts";
import { type Hash, nodeHash } from "./tree.ts";

const WIDTH = 256;
const LEVELS = 7;

/** A file of hashes or of entries: up to 256 of them. */
export interface Piece {
  /** `entries` for a bundle of entries. */
  level: number | "entries";
  index: number;
  width: number;
}

/** Nodes of a level of tiles in a tree of this size. */
export const nodesOf = (level: number, size: number): number => Math.floor(size / WIDTH ** level);

function at(level: number | "entries", index: number, size: number): Piece | null {
  const nodes = level === "entries" ? size : nodesOf(level, size);
  const width = Math.min(WIDTH, nodes - index * WIDTH);
  return width > 0 ? { level, index, width } : null;
}

/** The tile of hashes as it is in a tree of this size. */
export const tileAt = (level: number, index: number, size: number): Piece | null => at(level, index, size);
/** The bundle of entries as it is in a log of this size. */
export const bundleAt = (index: number, size: number): Piece | null => at("entries", index, size);

/** The path, from `tile/` on. */
export function pathOf({ level, index, width }: Piece): string {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `tile/${level}/${groups.join("/")}${width < WIDTH ? `.p/${width}` : ""}`;
}

/** Tiles and bundles that lead from these entries to the root of a log of this size, the right edge included. */
export function needed(indexes: Iterable<number>, size: number): Piece[] {
  const pieces = new Map<string, Piece>();
  const add = (piece: Piece | null) => {
    if (piece) pieces.set(pathOf(piece), piece);
  };
  const up = (leaf: number) => {
    let index = leaf;
    for (let level = 0; level < LEVELS && nodesOf(level, size) > 0; level += 1) {
      index = Math.floor(index / WIDTH);
      add(tileAt(level, index, size));
    }
  };
  for (const index of indexes) {
    if (index >= size) throw new Refused("an entry beyond the end of the log");
    add(bundleAt(Math.floor(index / WIDTH), size));
    up(index);
  }
  // The right edge: the last tile of each level, as far as it is partial.
  for (let level = 0; level < LEVELS; level += 1) {
    const nodes = nodesOf(level, size);
    if (nodes % WIDTH > 0) add(tileAt(level, Math.floor(nodes / WIDTH), size));
  }
  return [...pieces.values()];
}

/** The hashes of a tile. */
export function decodeTile(bytes: Uint8Array, width: number): Hash[] {
  if (bytes.length !== 32 * width) throw new Refused(`a tile of ${width} hashes has ${32 * width} bytes`);
  return Array.from({ length: width }, (_, at) => bytes.slice(32 * at, 32 * at + 32));
}

/** The entries of a bundle. */
export function decodeBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let place = 0;
  while (entries.length < width) {
    if (place + 2 > bytes.length) throw new Refused("a bundle ends inside an entry");
    const length = ((bytes[place] ?? 0) << 8) | (bytes[place + 1] ?? 0);
    place += 2;
    if (place + length > bytes.length) throw new Refused("a bundle ends inside an entry");
    entries.push(bytes.slice(place, place + length));
    place += length;
  }
  if (place !== bytes.length) throw new Refused("a bundle holds more than its entries");
  return entries;
}

/** The node over a whole tile of 2^k hashes, and over a partial one of any width its unbalanced root. */
export function rootOf(hashes: Hash[]): Hash {
  const [first] = hashes;
  if (!first) throw new Refused("no hash to begin with");
  if (hashes.length === 1) return first;
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  return nodeHash(rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
}

/** The root of a tree of this size, of which `edge` gives the partial tile of a level (nothing where it is empty). */
export function rootFromEdge(size: number, edge: (level: number, index: number, width: number) => Hash[]): Hash {
  // From the top down: what a level has beyond whole tiles lies right of all that the level above holds.
  const parts: Hash[] = [];
  for (let level = LEVELS - 1; level >= 0; level -= 1) {
    const nodes = nodesOf(level, size);
    const width = nodes % WIDTH;
    if (width === 0) continue;
    const hashes = edge(level, Math.floor(nodes / WIDTH), width);
    // As whole subtrees, so that joining them from the right gives the unbalanced root.
    let from = 0;
    for (let half = 128; half >= 1; half /= 2) {
      if (width & half) {
        parts.push(rootOf(hashes.slice(from, from + half)));
        from += half;
      }
    }
  }
  if (parts.length === 0) throw new Refused("a log without entries proves nothing");
  return parts.reduceRight((right, left) => nodeHash(left, right));
}
