// The address of the page is its state: what is shown can be linked to, and "back" goes back.

import { useEffect, useState } from "preact/hooks";

/** An address of the console, taken apart. */
export interface Place {
  /** `events`, `12` of `/events/12`; never empty. */
  path: [string, ...string[]];
  params: URLSearchParams;
}

const CHANGED = "counterfoil:place";

export function here(): Place {
  const [first = "overview", ...rest] = location.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  return { path: [first, ...rest], params: new URLSearchParams(location.search) };
}

/** An address with these parameters; empty ones are left out. The organisation stays unless another is named. */
export function address(path: string, params: Record<string, string | undefined> = {}): string {
  const all = { org: here().params.get("org") ?? undefined, ...params };
  const text = new URLSearchParams(Object.entries(all).filter((pair): pair is [string, string] => Boolean(pair[1]))).toString();
  return text ? `${path}?${text}` : path;
}

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  dispatchEvent(new Event(CHANGED));
}

/** The present place with some parameters changed. */
export function change(params: Record<string, string | undefined>, replace = false): void {
  go(address(location.pathname, { ...Object.fromEntries(here().params), ...params }), replace);
}

export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const update = () => set(here());
    addEventListener(CHANGED, update);
    addEventListener("popstate", update);
    return () => {
      removeEventListener(CHANGED, update);
      removeEventListener("popstate", update);
    };
  }, []);
  return place;
}
