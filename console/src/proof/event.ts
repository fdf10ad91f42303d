// The whole way of one event, checked here: shown text → body → commitment → entry → leaf → root → signature.

import { fromBase64, fromHex, Refused } from "./bytes.ts";
import { committedEntry, decodeEntry, eventOf, leafHash } from "./entry.ts";
import type { Checkpoint, VerifierKey } from "./note.ts";
import { parseProof, verifyProof } from "./tlog_proof.ts";
import { commitment, type Hash, type Step } from "./tree.ts";

/** What the server hands out of one event. */
export interface EventEvidence {
  seq: number;
  index: number;
  state: string;
  body?: string | null | undefined;
  salt?: string | null | undefined;
}

/** A proof that held, for drawing. */
export interface Proven {
  body: Uint8Array;
  salt: Uint8Array;
  commitment: Hash;
  leaf: Hash;
  index: number;
  /** Microseconds since 1970, as the entry says. */
  receivedAt: number;
  steps: Step[];
  checkpoint: Checkpoint;
  /** The event in the body, as text; `null`: encrypted. */
  event: string | null;
}

/** Checks it all; `shown` is the text of the event as the page shows it, so that what is proven is what is read. */
export function proveEvent(
  seq: number,
  evidence: EventEvidence,
  proofText: string,
  origin: string,
  keys: VerifierKey[],
  shown: unknown,
): Proven {
  const proof = parseProof(proofText);
  if (!evidence.body || !evidence.salt || !proof.extra) {
    throw new Refused(evidence.state === "erased" ? "the content was erased by order; its place is still proven" : "the server hands out no body of this entry");
  }
  const body = fromBase64(evidence.body);
  const salt = fromHex(evidence.salt);
  const bytes = committedEntry(proof.extra, salt, body);
  const entry = decodeEntry(bytes);
  if (entry.number !== seq || entry.index !== proof.index) throw new Refused(`the entry is that of event ${entry.number}, not of ${seq}`);
  const leaf = leafHash(bytes);
  const { checkpoint, steps } = verifyProof(proof, leaf, origin, keys);
  const inside = eventOf(body);
  if (inside && shown !== undefined && canonical(JSON.parse(inside.event)) !== canonical(shown)) {
    throw new Refused("what this page shows is not what is in the proven body");
  }
  return {
    body, salt, commitment: commitment(salt, body), leaf, index: entry.index, receivedAt: entry.receivedAt, steps, checkpoint,
    event: inside?.event ?? null,
  };
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
