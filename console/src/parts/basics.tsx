// Small parts that every view uses: links, times, states of loading, downloads.

import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, type EventFields, type Party } from "../api/client.ts";
import { go } from "../router.ts";

/** A link inside the console. */
export function Link({ to, children, ...rest }: {
  to: string;
  children: ComponentChildren;
  class?: string;
  title?: string;
  "aria-current"?: "page" | undefined;
}) {
  return (
    <a
      href={to}
      onClick={(event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        go(to);
      }}
      {...rest}
    >
      {children}
    </a>
  );
}

/** A time in the visitor's zone as 2026-01-31 23:59:59. */
export function stamp(at: number): string {
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A time in the visitor's zone; hovering shows it in UTC, as it was sent. */
export function Time({ at, short = false }: { at: string | null | undefined; short?: boolean }) {
  if (!at) return <span class="quiet">–</span>;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return <span>{at}</span>;
  return (
    <time dateTime={at} title={`${at} (UTC)`}>
      {stamp(date.getTime()).slice(short ? 5 : 0)}
    </time>
  );
}

export const number = (value: number): string => value.toLocaleString("en");

export function bytes(value: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let unit = 0;
  let left = value;
  while (left >= 1000 && unit < units.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? left : left.toFixed(1)} ${units[unit]}`;
}

/** Microseconds as 1:02:03. */
export function clock(us: number): string {
  const seconds = Math.max(0, Math.floor(us / 1e6));
  const two = (value: number) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}:` : ""}${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export const partyName = (party: Party | undefined): string =>
  typeof party === "string" ? party : (party?.name ?? party?.id ?? "");

export function sourceName(source: EventFields["source"]): string {
  return typeof source === "string" ? source : (source?.address ?? source?.host ?? source?.application ?? "");
}

export function targetName(fields: EventFields | null): string {
  const names = (fields?.targets ?? []).map((target) => (typeof target === "string" ? target : (target.name ?? target.id ?? "")));
  return names.filter(Boolean).join(", ");
}

/** Something that is being fetched. */
export type Load<T> = { state: "loading"; old?: T } | { state: "done"; value: T } | { state: "failed"; error: Error; old?: T };

/** Fetches when `key` changes; what was there before stays as `old`. */
export function useLoad<T>(key: string, fetcher: (signal: AbortSignal) => Promise<T>): [Load<T>, () => void] {
  const [load, set] = useState<Load<T>>({ state: "loading" });
  const [turn, again] = useState(0);
  const latest = useRef(fetcher);
  latest.current = fetcher;
  useEffect(() => {
    const control = new AbortController();
    set((before) => {
      const old = before.state === "done" ? before.value : before.old;
      return old === undefined ? { state: "loading" } : { state: "loading", old };
    });
    latest.current(control.signal).then(
      (value) => !control.signal.aborted && set({ state: "done", value }),
      (error: Error) => !control.signal.aborted && set({ state: "failed", error }),
    );
    return () => control.abort();
  }, [key, turn]);
  return [load, useCallback(() => again((now) => now + 1), [])];
}

/** What is there already, while the newest is on its way. */
export const present = <T,>(load: Load<T>): T | undefined => (load.state === "done" ? load.value : load.old);

/** The states that are not content. */
export function Waiting({ what }: { what: string }) {
  return (
    <p class="state" role="status">
      <span class="spinner" aria-hidden="true" /> Loading {what}…
    </p>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

export function Failed({ error, again }: { error: Error; again?: () => void }) {
  const refused = error instanceof ApiError && error.kind === "forbidden";
  return (
    <div class={refused ? "state" : "state bad"} role={refused ? "status" : "alert"}>
      <p class="state-title">{refused ? "Your account may not see this" : "This could not be loaded"}</p>
      <p>
        {error.message}
        {refused && ". An administrator of the organisation can give your account a role that may."}
      </p>
      {again && !refused && (
        <button type="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Shows what was loaded, or the state in which it is. */
export function Loaded<T>({ load, what, again, children }: {
  load: Load<T>;
  what: string;
  again?: () => void;
  children: (value: T) => ComponentChildren;
}) {
  const value = present(load);
  if (load.state === "failed") return <Failed error={load.error} {...(again ? { again } : {})} />;
  if (value === undefined) return <Waiting what={what} />;
  return <>{children(value)}</>;
}

/** Hands a file to the visitor. */
export function download(name: string, content: BlobPart, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Outcome({ value }: { value: string | undefined }) {
  const known = value === "success" || value === "failure" ? value : "unknown";
  const marks = { success: "●", failure: "▲", unknown: "○" };
  return (
    <span class={`outcome ${known}`}>
      <span aria-hidden="true">{marks[known]}</span> {value ?? "unknown"}
    </span>
  );
}
