// What is usual for a user, as the scored sessions have it: the hours of the week, and values with the sessions that had them.

import type { Recorded, ScoredFields } from "../api/client.ts";

/** How far back a baseline looks. */
const LOOK_BACK_S = 90 * 86400;
const QUARTERS = 96;
/** A start reaches this many quarters of an hour in both directions. */
const REACH = 8;
export const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/** One session and what was seen of it. */
export interface ScoredSession {
  seq: number;
  session: string;
  said: ScoredFields;
}

/**
 * The scores among events that are of this user. A sender may send an event that calls itself a score: only those that
 * the service recorded itself count.
 */
export function scoredSessions(events: Recorded[], user: string): ScoredSession[] {
  const found: ScoredSession[] = [];
  for (const { seq, event, recorded_by } of events) {
    const said = event?.attributes as ScoredFields | undefined;
    if (recorded_by.via !== "counterfoil" || !event?.session || said?.user !== user) continue;
    found.push({ seq, session: event.session, said });
  }
  return found;
}

/** Those that a baseline as of this time consists of: over before it, begun at most 90 days before it. */
export function historyOf(sessions: ScoredSession[], as_of: number): ScoredSession[] {
  return sessions.filter(({ said }) => Date.parse(said.ended.recorded_at) < as_of && said.observation.started_s >= as_of / 1000 - LOOK_BACK_S);
}

/** Weekday from Monday, and quarter of the day, UTC. 1970-01-01 was a Thursday. */
function place(started_s: number): [day: number, quarter: number] {
  const days = Math.floor(started_s / 86400);
  return [(((days + 3) % 7) + 7) % 7, Math.floor((started_s - days * 86400) / 900)];
}

/** Weekday from Monday, and hour, UTC. */
export function hourOf(started_s: number): [day: number, hour: number] {
  const [day, quarter] = place(started_s);
  return [day, Math.floor(quarter / 4)];
}

export interface Week {
  /** Sessions that began in this hour; by weekday from Monday, then by hour, UTC. */
  counts: number[][];
  /** How usual `logintime` takes it to be, 0 to 1 of the most usual hour. */
  usual: number[][];
}

/** The hours of the week as the algorithm `logintime` has them; the formula is in docs/risk/logintime.md. */
export function week(starts: number[]): Week {
  const counts = DAYS.map(() => Array<number>(24).fill(0));
  // One more session's worth is spread evenly over the quarters, and half a one over the days.
  const quarters = Array<number>(QUARTERS).fill(680);
  const days = Array<number>(7).fill(1);
  for (const start of starts) {
    const [day, quarter] = place(start);
    const row = counts[day];
    if (row) row[Math.floor(quarter / 4)] = (row[Math.floor(quarter / 4)] ?? 0) + 1;
    days[day] = (days[day] ?? 0) + 14;
    for (let d = 1 - REACH; d < REACH; d += 1) {
      const near = (quarter + d + QUARTERS) % QUARTERS;
      quarters[near] = (quarters[near] ?? 0) + QUARTERS * (REACH * REACH - d * d);
    }
  }
  const hours = Array.from({ length: 24 }, (_, hour) => quarters.slice(hour * 4, hour * 4 + 4).reduce((sum, one) => sum + one, 0));
  const most = Math.max(...hours) * Math.max(...days);
  return { counts, usual: days.map((day) => hours.map((hour) => (day * hour) / most)) };
}

/** Values with the number of sessions that had them, commonest first. */
export function tally(sessions: ScoredSession[], values: (said: ScoredFields) => (string | undefined)[]): { value: string; count: number }[] {
  const found = new Map<string, number>();
  for (const { said } of sessions) {
    for (const value of new Set(values(said))) if (value) found.set(value, (found.get(value) ?? 0) + 1);
  }
  return [...found].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}
