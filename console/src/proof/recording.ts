// Recordings inside a bundle: their bytes are those whose hashes the log holds, piece by piece, from the first to the last.

import { sha256 } from "@noble/hashes/sha2.js";

import type { BundleEvent } from "./bundle.ts";
import { Refused, toHex } from "./bytes.ts";

/** What came of one recording. */
export interface BundleRecording {
  session: string;
  bytes: Uint8Array;
  /** Every piece is the one that was committed to, and the log says that there were no more. */
  verified: boolean;
  /** What the session was about, as its own event says; absent where that event is not in the bundle. */
  about?: unknown;
  /** What is wrong, or missing. */
  trouble?: string;
}

interface Said {
  action?: string;
  session?: string;
  attributes?: { sequence?: number; offset?: number; length?: number; sha256?: string; bytes?: number; chunks?: number; recording?: unknown };
}

/** Checks the bytes of a session against the verified events of a bundle. */
export function checkRecording(session: string, bytes: Uint8Array, events: BundleEvent[]): BundleRecording {
  const said: Said[] = [];
  for (const event of events) {
    // Only what the server wrote itself counts; anybody may send an event that claims to be a piece.
    if (!event.verified || event.event === null || !event.envelope) continue;
    const { via } = JSON.parse(event.envelope) as { via?: string };
    const fields = JSON.parse(event.event) as Said;
    if (via === "counterfoil" && fields.session === session) said.push(fields);
  }
  const finished = said.find(({ action }) => action === "session.finished")?.attributes;
  const started = said.find(({ action }) => action === "session.started")?.attributes;
  const about = finished?.recording ?? started?.recording;
  const found: BundleRecording = { session, bytes, verified: false, ...(about === undefined ? {} : { about }) };
  try {
    const pieces = said.filter(({ action }) => action === "session.chunk").map(({ attributes }) => attributes ?? {});
    pieces.sort((a, b) => (a.sequence ?? 0) - (b.sequence ?? 0));
    let end = 0;
    pieces.forEach(({ sequence, offset, length, sha256: hash }, at) => {
      if (sequence !== at || offset !== end || !length) throw new Refused(`piece ${at} of the recording is not in the bundle`);
      end += length;
      if (end > bytes.length) throw new Refused(`the recording ends inside piece ${at}`);
      if (toHex(sha256(bytes.subarray(offset, end))) !== hash) throw new Refused(`piece ${at} of the recording is not the one that was committed to`);
    });
    if (end !== bytes.length) throw new Refused("the recording is longer than its pieces");
    if (!finished) throw new Refused("the event that ends the session is not in the bundle, so there may be more of it");
    if (finished.bytes !== end || finished.chunks !== pieces.length) throw new Refused("the session's last event tells of another length");
    found.verified = true;
  } catch (error) {
    found.trouble = error instanceof Error ? error.message : String(error);
  }
  return found;
}
