// Evidence bundles: whole ones verify, every changed byte is refused, a missing file is never taken for a good one.

import assert from "node:assert/strict";
import { test } from "node:test";

import { sha256 } from "@noble/hashes/sha2.js";

import { verifyBundle } from "../../src/proof/bundle.ts";
import { toHex, toUtf8 } from "../../src/proof/bytes.ts";
import { parseKey } from "../../src/proof/note.ts";
import { bodyOf, bundle, key } from "./log.ts";

const KEYS = [parseKey(key(7).vkey)];
const plain = (index: number) => bodyOf('{"via":"native"}', JSON.stringify({ action: `act ${index}` }));

test("bundles_of_logs_of_every_kind_of_size_verify", () => {
  for (const size of [1, 2, 5, 255, 256, 257, 600, 66_000]) {
    for (const index of new Set([0, Math.floor(size / 2), size - 1])) {
      const report = verifyBundle(bundle(size, [index], plain), KEYS);
      assert.deepEqual([report.verdict, report.divergences, report.undecided], ["verified", [], []], `event ${index} of ${size}`);
      assert.deepEqual(report.events.map((event) => event.event), [`{"action":"act ${index}"}`]);
    }
  }
});

test("every_changed_byte_of_a_bundle_is_refused_and_every_missing_file_leaves_it_undecided", () => {
  const whole = bundle(600, [3, 590], plain);
  assert.equal(verifyBundle(whole, KEYS).verdict, "verified");
  let tried = 0;
  for (const [path, bytes] of whole) {
    for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 60))) {
      const changed = bytes.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      const report = verifyBundle(new Map(whole).set(path, changed), KEYS);
      assert.equal(report.verdict, "tainted", `${path}, byte ${at}: ${JSON.stringify(report.undecided)}`);
      tried += 1;
    }
    const without = new Map(whole);
    without.delete(path);
    assert.notEqual(verifyBundle(without, KEYS).verdict, "verified", `without ${path}`);
  }
  assert.ok(tried > 400, String(tried));
});

test("a_changed_event_is_named_and_the_others_stay_verified", () => {
  const files = bundle(300, [7, 8], plain);
  files.set("bodies/7", plain(9));
  const report = verifyBundle(files, KEYS);
  assert.equal(report.verdict, "tainted");
  assert.match(report.divergences.join(), /^event 8: /);
  assert.deepEqual(report.events.map(({ seq, verified }) => [seq, verified]), [[8, false], [9, true]]);
});

test("another_key_than_the_one_that_signed_is_refused", () => {
  const files = bundle(5, [1], plain);
  assert.equal(verifyBundle(files, [parseKey(key(8).vkey)]).verdict, "tainted");
  assert.equal(verifyBundle(new Map([["README", toUtf8("x")]]), KEYS).verdict, "undecided");
});

test("a_recording_is_verified_piece_by_piece_and_only_by_what_the_server_wrote_itself", () => {
  const [first, second] = [toUtf8("first piece "), toUtf8("second")];
  const all = new Uint8Array([...first, ...second]);
  const own = (event: unknown, via = "counterfoil") => bodyOf(JSON.stringify({ via }), JSON.stringify(event));
  const piece = (sequence: number, offset: number, bytes: Uint8Array) => ({
    kind: "session", action: "session.chunk", session: "s1", attributes: { sequence, offset, length: bytes.length, sha256: toHex(sha256(bytes)) },
  });
  const finished = { kind: "session", action: "session.finished", session: "s1", attributes: { bytes: all.length, chunks: 2, recording: { title: "t" } } };
  const bodies = [own(piece(0, 0, first)), own(piece(1, 12, second)), own(finished)];
  const check = (some: number[], recording: Uint8Array, made = bodies) => {
    const files = bundle(made.length, some, (index) => made[index] ?? new Uint8Array());
    files.set("recordings/s1", recording);
    return verifyBundle(files, KEYS);
  };
  const good = check([0, 1, 2], all);
  assert.equal(good.verdict, "verified");
  assert.deepEqual(good.recordings.map(({ verified, about }) => [verified, about]), [[true, { title: "t" }]]);
  assert.match(check([0, 1, 2], toUtf8("first piece secone")).divergences.join(), /piece 1 of the recording is not the one/);
  assert.match(check([0, 1, 2], first).divergences.join(), /ends inside piece 1/);
  assert.match(check([0, 1, 2], new Uint8Array([...all, 1])).divergences.join(), /longer than its pieces/);
  assert.match(check([0, 2], all).divergences.join(), /longer than its pieces|another length/);
  assert.match(check([1, 2], all).divergences.join(), /piece 0 of the recording is not in the bundle/);
  assert.match(check([0, 1], all).divergences.join(), /there may be more/);
  // Anybody may send an event that says it is a piece.
  const forged = [own(piece(0, 0, first), "native"), own(piece(1, 12, second)), own(finished)];
  assert.equal(check([0, 1, 2], all, forged).verdict, "tainted");
});
