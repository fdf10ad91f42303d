// What is usual for a user: the arithmetic of docs/risk/by-hand.md, and which events count.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Recorded, ScoredFields } from "../../src/api/client.ts";
import { historyOf, hourOf, scoredSessions, tally, week } from "../../src/parts/habits.ts";

/** 2026-01-05 00:00 UTC, a Monday. */
const MONDAY = 1767571200;

const said = (user: string, started_s: number, server: string): ScoredFields => ({
  user, ended: { number: 1, recorded_at: new Date(started_s * 1000 + 60e3).toISOString() }, as_of: "", history: 0,
  observation: { started_s, server, measures: { commands: { ls: 4, git: 1 } } }, scripted: { scripted: false },
});
const event = (via: string, attributes: unknown, seq = 1): Recorded =>
  ({ seq, recorded_at: "", recorded_by: { via }, event: { action: "session.scored", session: "s", attributes } }) as Recorded;

test("the_hours_of_the_week_weigh_what_the_fourth_score_by_hand_says", () => {
  const { counts, usual } = week(Array.from({ length: 30 }, (_, day) => MONDAY + day * 86400 + 9 * 3600));
  assert.deepEqual(counts.map((row) => row[9]), [5, 5, 4, 4, 4, 4, 4]);
  assert.equal(counts.flat().reduce((sum, one) => sum + one, 0), 30);
  // 09:00 to 10:00: 64, 63, 60, 55 for each of 30 starts, in 96 parts, and 680 for each quarter; Monday is 71, Wednesday 57.
  const nine = 96 * 30 * (64 + 63 + 60 + 55) + 4 * 680;
  const eight = 96 * 30 * (48 + 55 + 60 + 63) + 4 * 680;
  const close = (got: number | undefined, expected: number) => assert.ok(Math.abs((got ?? -1) - expected) < 1e-12, `${got} is not ${expected}`);
  close(usual[0]?.[9], 1);
  close(usual[2]?.[9], 57 / 71);
  close(usual[0]?.[8], eight / nine);
  close(usual[2]?.[22], (4 * 680 * 57) / (nine * 71));
});

test("hours_are_utc_and_go_round_at_midnight", () => {
  assert.deepEqual(hourOf(MONDAY), [0, 0]);
  assert.deepEqual(hourOf(MONDAY - 1), [6, 23]);
  assert.deepEqual(hourOf(-1), [2, 23]);
  const { usual } = week([MONDAY]);
  assert.ok((usual[0]?.[23] ?? 0) > (usual[0]?.[21] ?? 1));
});

test("only_scores_that_the_service_recorded_itself_of_that_very_user_count", () => {
  const good = said("ann", MONDAY, "db1");
  const found = scoredSessions([event("counterfoil", good, 1), event("native", good, 2), event("counterfoil", said("ANN", MONDAY, "db1"), 3), event("counterfoil", null, 4)], "ann");
  assert.deepEqual(found.map(({ seq }) => seq), [1]);
});

test("a_history_ends_before_the_build_and_begins_ninety_days_before_it", () => {
  const sessions = [0, 1, 91].map((day) => ({ seq: day, session: "s", said: said("ann", MONDAY + day * 86400, "db1") }));
  const at = (day: number) => historyOf(sessions, (MONDAY + day * 86400) * 1000).map(({ seq }) => seq);
  assert.deepEqual([at(0), at(1), at(90), at(91), at(92)], [[], [0], [0, 1], [1], [91]]);
});

test("a_value_is_counted_once_a_session", () => {
  const sessions = ["db1", "db1", "vault"].map((server) => ({ seq: 1, session: "s", said: said("ann", MONDAY, server) }));
  assert.deepEqual(tally(sessions, ({ observation }) => [observation.server]), [{ value: "db1", count: 2 }, { value: "vault", count: 1 }]);
  assert.deepEqual(tally(sessions, ({ observation }) => Object.keys(observation.measures?.commands ?? {})).map(({ count }) => count), [3, 3]);
});
