// Signed notes, their keys, and checkpoints (C2SP signed-note, tlog-checkpoint). Ed25519 only: lines of witnesses of type 04 are
// checked when their key is given, lines of other algorithms belong to keys that are unknown here.

import { hashes, verify } from "@noble/ed25519";
import { sha256, sha512 } from "@noble/hashes/sha2.js";

import { concat, equal, fromBase64, fromDecimal, Refused, toHex, toUtf8, u64 } from "./bytes.ts";
import { EMPTY_ROOT, type Hash } from "./tree.ts";

hashes.sha512 = sha512;

const TYPE_ED25519 = 1;
const TYPE_COSIGNATURE = 4;
const SIGNATURES_MAX = 16;
const NOTE_LENGTH_MAX = 256 * 1024;

/** A public key and the name it signs under. */
export interface VerifierKey {
  name: string;
  /** Eight hexadecimal digits. */
  id: string;
  /** 1: signs texts; 4: cosigns them with a time. */
  type: number;
  key: Uint8Array;
  /** As it was written. */
  text: string;
}

/** A signature that holds. */
export interface Signature {
  key: VerifierKey;
  /** When a witness says that it signed; seconds since 1970. */
  time?: number;
}

/** A signed tree head that was checked. */
export interface Checkpoint {
  origin: string;
  size: number;
  root: Hash;
  /** Signatures by the keys given; at least one is by a key of the log. */
  signatures: Signature[];
  /** The note as it was signed. */
  note: string;
}

function checkName(name: string): void {
  // The same characters that Unicode calls white space, a plus, and controls.
  if (name === "" || /[\s+\u0085\u0000-\u001f\u007f]/u.test(name)) throw new Refused("no name of a key");
}

/** Reads `<name>+<id>+<base64 of type and key>`; the id has to be the one that name and key have. */
export function parseKey(text: string): VerifierKey {
  const plus = text.indexOf("+");
  const second = text.indexOf("+", plus + 1);
  if (plus < 0 || second < 0) throw new Refused("a key is written name+id+base64");
  const name = text.slice(0, plus);
  const id = text.slice(plus + 1, second);
  checkName(name);
  if (!/^[0-9a-f]{8}$/.test(id)) throw new Refused("the id of a key has eight hexadecimal digits");
  const bytes = fromBase64(text.slice(second + 1));
  const type = bytes[0];
  if (type === undefined) throw new Refused("an empty key");
  const found = toHex(sha256(concat(toUtf8(`${name}\n`), bytes)).subarray(0, 4));
  if (found !== id) throw new Refused(`the key's id is ${found}, not ${id}`);
  if ((type === TYPE_ED25519 || type === TYPE_COSIGNATURE) && bytes.length !== 33) {
    throw new Refused("an Ed25519 key has 32 bytes");
  }
  return { name, id, type, key: bytes.slice(1), text };
}

/** Checks one signature; says when a witness signed, or 0 for a key without times. */
function holds(key: VerifierKey, text: string, signature: Uint8Array): number | null {
  let message = text;
  let time = 0;
  let ed25519 = signature;
  if (key.type === TYPE_COSIGNATURE) {
    if (signature.length !== 72) return null;
    time = u64(signature, 0);
    message = `cosignature/v1\ntime ${time}\n${text}`;
    ed25519 = signature.subarray(8);
  } else if (key.type !== TYPE_ED25519) {
    return null;
  }
  if (ed25519.length !== 64) return null;
  try {
    // Strict, as RFC 8032 has it: one signature, one writing.
    return verify(ed25519, toUtf8(message), key.key, { zip215: false }) ? time : null;
  } catch {
    return null;
  }
}

/**
 * Reads a signed checkpoint and checks it against keys that the caller trusts.
 *
 * Refuses what is malformed, a line of a known key that does not hold, a note without a line of a known key of the log, and the
 * checkpoint of another log.
 */
export function openCheckpoint(note: string, origin: string, known: VerifierKey[]): Checkpoint {
  if (note.length > NOTE_LENGTH_MAX) throw new Refused("the checkpoint is too long");
  // biome-ignore lint: control characters are what is looked for.
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note)) throw new Refused("the checkpoint holds a control character");
  const gap = note.lastIndexOf("\n\n");
  if (gap < 0) throw new Refused("the checkpoint is not signed");
  if (!note.endsWith("\n")) throw new Refused("the last line of the checkpoint does not end");
  const text = note.slice(0, gap + 1);
  const lines = note.slice(gap + 2, -1).split("\n");
  if (lines.length > SIGNATURES_MAX) throw new Refused("the checkpoint has too many signatures");
  const signatures: Signature[] = [];
  for (const line of lines) {
    const parts = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line);
    const [, name, encoded] = parts ?? [];
    if (!name || !encoded) throw new Refused("a signature line is a dash, a name and a signature");
    checkName(name);
    const bytes = fromBase64(encoded);
    if (bytes.length < 5) throw new Refused("a signature is too short");
    const id = toHex(bytes.subarray(0, 4));
    const named = known.filter((key) => key.name === name && key.id === id);
    if (named.length === 0) continue;
    let held: Signature | undefined;
    for (const key of named) {
      const time = holds(key, text, bytes.subarray(4));
      if (time !== null) held = key.type === TYPE_COSIGNATURE ? { key, time } : { key };
    }
    if (!held) throw new Refused(`the signature of ${name} does not hold`);
    signatures.push(held);
  }
  const head = parseHead(text);
  if (head.origin !== origin) throw new Refused(`the checkpoint is of the log ${head.origin}, not ${origin}`);
  if (!signatures.some(({ key }) => key.name === origin && key.type === TYPE_ED25519)) {
    throw new Refused("no key of the log signed the checkpoint");
  }
  return { ...head, signatures, note };
}

/** Reads the lines of a checkpoint, without believing them. */
export function parseHead(text: string): { origin: string; size: number; root: Hash } {
  if (!text.endsWith("\n")) throw new Refused("the last line of the checkpoint does not end");
  const lines = text.slice(0, -1).split("\n");
  const [origin, sizeText, rootText] = lines;
  if (!origin || !sizeText || !rootText || lines.includes("")) throw new Refused("a checkpoint has three lines");
  const size = fromDecimal(sizeText);
  const root = fromBase64(rootText);
  if (root.length !== 32) throw new Refused("a root has 32 bytes");
  if (size === 0 && !equal(root, EMPTY_ROOT)) throw new Refused("the root of no leaves is fixed");
  return { origin, size, root };
}

/** The origin that a signed note names, before anything of it is believed. */
export function claimedOrigin(note: string): string {
  const gap = note.lastIndexOf("\n\n");
  return parseHead(gap < 0 ? note : note.slice(0, gap + 1)).origin;
}
