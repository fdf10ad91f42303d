// Events in rows, of which only those in sight are in the page. Without a filter any row can be gone to at once, because numbers are
// dense; with one, pages follow each other.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, type EventFilter, type Recorded } from "../api/client.ts";
import { Failed, Outcome, partyName, sourceName, targetName, Time } from "./basics.tsx";

const ROW = 28;
const PAGE = 200;
/** Rows that can be scrolled to; browsers do not draw higher boxes. */
export const ROWS_MAX = 1_000_000;

/** The rows known so far, by place. */
class Rows {
  #pages = new Map<number, Recorded[]>();
  #asked = new Set<number>();
  #cursors = new Map<number, number>();
  readonly org: string;
  readonly filter: EventFilter;
  readonly total: number;
  readonly head: number;
  readonly #told: (error: Error | null) => void;

  constructor(org: string, filter: EventFilter, total: number, head: number, told: (error: Error | null) => void) {
    this.org = org;
    this.filter = filter;
    this.total = Math.min(total, ROWS_MAX);
    this.head = head;
    this.#told = told;
  }

  get isDense(): boolean {
    return !this.filter.q && !this.filter.from && !this.filter.to;
  }

  at(row: number): Recorded | undefined {
    return this.#pages.get(Math.floor(row / PAGE))?.[row % PAGE];
  }

  /** Sees to it that these rows will be there. */
  want(from: number, to: number, signal: AbortSignal): void {
    const last = Math.floor(Math.min(to, this.total - 1) / PAGE);
    for (let page = Math.floor(from / PAGE); page <= last; page += 1) if (!this.#asked.has(page)) this.#fetch(page, signal);
  }

  #fetch(page: number, signal: AbortSignal): void {
    let after: number | undefined;
    if (page > 0 || this.isDense) after = this.isDense ? this.head - page * PAGE + 1 : this.#cursors.get(page);
    if (page > 0 && after === undefined) {
      // The page before is not there yet; it will ask again when it is.
      if (!this.#asked.has(page - 1)) this.#fetch(page - 1, signal);
      return;
    }
    this.#asked.add(page);
    const query = { ...this.filter, limit: PAGE, ...(after === undefined ? {} : { after }) };
    api.events(this.org, query, signal).then(
      (found) => {
        this.#pages.set(page, found.events);
        if (found.next !== null) this.#cursors.set(page + 1, found.next);
        this.#told(null);
      },
      (error: Error) => {
        this.#asked.delete(page);
        if (!signal.aborted) this.#told(error);
      },
    );
  }
}

export function EventTable({ org, filter, total, head, fresh, selected, onSelect }: {
  org: string;
  filter: EventFilter;
  total: number;
  head: number;
  /** Events that came since, the newest first; they stand above. */
  fresh: Recorded[];
  selected: number | null;
  onSelect: (seq: number) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(600);
  const [, redraw] = useState(0);
  const [error, setError] = useState<Error | null>(null);
  const [rows, setRows] = useState<Rows | null>(null);
  const [current, setCurrent] = useState(0);
  const signal = useRef(new AbortController());
  const key = JSON.stringify([org, filter, total, head]);
  useEffect(() => {
    signal.current.abort();
    signal.current = new AbortController();
    const made: Rows = new Rows(org, filter, total, head, (failed) => {
      setError(failed);
      redraw((now) => now + 1);
    });
    setRows(made);
    setError(null);
    setCurrent(0);
    if (box.current) box.current.scrollTop = 0;
    setTop(0);
    return () => signal.current.abort();
  }, [key]);
  useEffect(() => {
    const watched = box.current;
    if (!watched) return;
    const observer = new ResizeObserver(() => setTall(watched.clientHeight));
    observer.observe(watched);
    return () => observer.disconnect();
  }, []);
  const count = fresh.length + (rows?.total ?? 0);
  const first = Math.max(0, Math.floor(top / ROW) - 10);
  const last = Math.min(count - 1, Math.ceil((top + tall) / ROW) + 10);
  useEffect(() => {
    if (rows && last >= fresh.length) rows.want(Math.max(0, first - fresh.length), last - fresh.length, signal.current.signal);
  });
  const at = (row: number): Recorded | undefined => (row < fresh.length ? fresh[row] : rows?.at(row - fresh.length));
  const move = (to: number) => {
    const row = Math.min(count - 1, Math.max(0, to));
    setCurrent(row);
    const watched = box.current;
    if (!watched) return;
    if (row * ROW < watched.scrollTop) watched.scrollTop = row * ROW;
    else if ((row + 2) * ROW > watched.scrollTop + watched.clientHeight) watched.scrollTop = (row + 2) * ROW - watched.clientHeight;
  };
  const visible: number[] = [];
  for (let row = first; row <= last; row += 1) visible.push(row);
  return (
    <>
      {error && <Failed error={error} again={() => redraw((now) => now + 1)} />}
      <div
        class="event-table"
        ref={box}
        role="grid"
        aria-label="Events, the newest first"
        aria-rowcount={count + 1}
        aria-activedescendant={at(current) ? `event-${at(current)?.seq}` : undefined}
        tabIndex={0}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
        onKeyDown={(event) => {
          const page = Math.max(1, Math.floor(tall / ROW) - 2);
          const moves: Record<string, number> = {
            ArrowDown: current + 1, ArrowUp: current - 1, PageDown: current + page, PageUp: current - page, Home: 0, End: count - 1,
          };
          const to = moves[event.key];
          if (to !== undefined) {
            event.preventDefault();
            move(to);
          } else if (event.key === "Enter" || event.key === " ") {
            const found = at(current);
            event.preventDefault();
            if (found) onSelect(found.seq);
          }
        }}
      >
        <div class="event-row event-head" role="row" aria-rowindex={1}>
          {["Number", "Occurred", "Outcome", "Kind", "Action", "Actor", "Source", "Target"].map((name) => (
            <span key={name} role="columnheader">{name}</span>
          ))}
        </div>
        <div class="event-space" role="rowgroup" ref={(space) => { if (space) space.style.height = `${count * ROW}px`; }}>
          {visible.map((row) => {
            const recorded = at(row);
            const fields = recorded?.event ?? null;
            return (
              <div
                key={recorded ? recorded.seq : `row-${row}`}
                id={recorded ? `event-${recorded.seq}` : undefined}
                class={`event-row${recorded?.seq === selected ? " selected" : ""}${row === current ? " current" : ""}${row < fresh.length ? " fresh" : ""}`}
                role="row"
                aria-rowindex={row + 2}
                aria-selected={recorded?.seq === selected}
                ref={(line) => { if (line) line.style.transform = `translateY(${row * ROW}px)`; }}
                onClick={() => {
                  setCurrent(row);
                  if (recorded) onSelect(recorded.seq);
                }}
              >
                {recorded ? (
                  <>
                    <span role="gridcell" class="number">{recorded.seq}</span>
                    <span role="gridcell"><Time at={fields?.occurred_at ?? recorded.recorded_at} short /></span>
                    <span role="gridcell">{fields ? <Outcome value={fields.outcome} /> : <em>{recorded.state ?? "unreadable"}</em>}</span>
                    <span role="gridcell">{fields?.kind ?? ""}</span>
                    <span role="gridcell">{fields?.action ?? ""}</span>
                    <span role="gridcell">{partyName(fields?.actor)}</span>
                    <span role="gridcell">{sourceName(fields?.source)}</span>
                    <span role="gridcell">{targetName(fields)}</span>
                  </>
                ) : (
                  <span role="gridcell" class="quiet">…</span>
                )}
              </div>
            );
          })}
        </div>
      </div>
    </>
  );
}
