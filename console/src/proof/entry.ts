// Entries: the bytes that are hashed into leaves (docs/format.md section 8).

import { commitment, type Hash, leafHash } from "./tree.ts";
import { concat, equal, fromUtf8, Refused, u64 } from "./bytes.ts";

const HEADER = 48;
const KINDS = ["", "event", "erasure note", "key note", "log note", "recording chunk"] as const;
const COMMITTED_ALWAYS = new Set(["event", "recording chunk"]);
const INLINE_MAX = 60_000;

/** One entry. */
export interface Entry {
  kind: (typeof KINDS)[number];
  bodyLength: number;
  index: number;
  number: number;
  /** Microseconds since 1970. */
  receivedAt: number;
  /** The body itself, of notes. */
  body?: Uint8Array;
  /** What is promised of a body that lies elsewhere. */
  commitment?: Hash;
}

/** Reads an entry; refuses every other form. */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length < HEADER) throw new Refused("an entry is shorter than its header");
  if (bytes[0] !== 1) throw new Refused("an entry of an unknown version");
  const kind = KINDS[bytes[1] ?? 0];
  if (!kind) throw new Refused("an entry of an unknown kind");
  if (bytes[3] !== 0) throw new Refused("a byte of the entry that must be zero is not");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bodyLength = view.getUint32(4);
  const rest = bytes.slice(HEADER);
  const entry: Entry = { kind, bodyLength, index: u64(bytes, 8), number: u64(bytes, 16), receivedAt: u64(bytes, 24) };
  const isCommitted = COMMITTED_ALWAYS.has(kind) || bodyLength > INLINE_MAX;
  if (bytes[2] === 0) {
    if (rest.length !== bodyLength) throw new Refused("the body of an entry is not as long as it says");
    entry.body = rest;
  } else if (bytes[2] === 1) {
    if (rest.length !== 32) throw new Refused("a commitment has 32 bytes");
    entry.commitment = rest;
  } else {
    throw new Refused("an entry of an unknown form");
  }
  if (isCommitted !== (bytes[2] === 1)) throw new Refused("an entry of this kind may not have this form");
  return entry;
}

/** The bytes of an entry, from the header that a proof brings along and the body and salt that it commits to. */
export function committedEntry(header: Uint8Array, salt: Uint8Array, body: Uint8Array): Uint8Array {
  if (header.length !== HEADER) throw new Refused("the header of an entry has 48 bytes");
  if (salt.length !== 16) throw new Refused("a salt has 16 bytes");
  const bytes = concat(header, commitment(salt, body));
  if (decodeEntry(bytes).bodyLength !== body.length) throw new Refused("the body is not as long as its entry says");
  return bytes;
}

/** Whether an entry promises this body. */
export function promises(entry: Entry, salt: Uint8Array, body: Uint8Array): boolean {
  return entry.commitment !== undefined && entry.bodyLength === body.length && equal(commitment(salt, body), entry.commitment);
}

/** The event in a body: the text that was handed in, and what is noted before it. `null`: it is encrypted. */
export function eventOf(body: Uint8Array): { envelope: string; event: string } | null {
  if (body[0] === 2) return null;
  const length = ((body[1] ?? 0) << 8) | (body[2] ?? 0);
  if (body[0] !== 1 || body.length < 3 + length) throw new Refused("a body of an unknown form");
  return { envelope: fromUtf8(body.subarray(3, 3 + length)), event: fromUtf8(body.subarray(3 + length)) };
}

export { leafHash };
