// The only file that knows addresses of the server. Types come from its OpenAPI file (schema.d.ts, made by `npm run types`).

import type { components } from "./schema.d.ts";

type Schemas = components["schemas"];
export type Me = Schemas["Me"];
export type Organisation = Schemas["Organisation"];
export type Account = Schemas["Account"];
export type Token = Schemas["Token"];
export type EncryptionKey = Schemas["EncryptionKey"];
export type Recorded = Omit<Schemas["Recorded"], "event"> & { event: EventFields | null };
export type EventSummary = Schemas["EventSummary"];
export type EventView = Schemas["EventView"];
export type Log = Schemas["Log"];
export type LogState = Schemas["State"];
export type Session = Omit<Schemas["Session"], "recording"> & { recording: RecordingFields };
export type OneEvidence = Schemas["OneEvidence"];
export type AuditedUser = Schemas["AuditedUser"];
export type AuditedUserDetail = Schemas["AuditedUserDetail"];
export type RecomputedScore = Schemas["RecomputedScore"];
export type DetectionRule = Schemas["DetectionRule"];
export type ServerSetting = Omit<Schemas["ServerSetting"], "value"> & { value: SettingValue };
/** `null`: set to nothing. */
export type SettingValue = string | number | boolean | null | string[] | Record<string, string>;
export type ExplainedScore = Omit<Schemas["ExplainedScore"], "method" | "scripted"> & { method: { version?: number; disabled?: string[]; trusted?: string[] }; scripted: Scripted };
export type Playback = Omit<Schemas["Playback"], "events"> & { events: PlaybackEvent[] };
/** Microseconds, code, data. */
export type PlaybackEvent = [number, "o" | "i" | "r" | "m" | "x", string | number];

/** A text that was on a terminal for some time. */
export interface ContentHit {
  kind: string;
  text: string;
  /** Begin and end of what was asked for, in characters. */
  matches: [number, number][];
  row: number;
  /** Microseconds after the start of the recording. */
  appeared_us: number;
  disappeared_us: number;
}
/** A session in which something was found. */
export interface FoundSession {
  session: Session;
  total: number;
  hits: ContentHit[];
}

/** Whether a machine sat at a session, and what the tests came to. */
export interface Scripted {
  scripted: boolean;
  results?: Record<string, { scripted: boolean; detail: string }>;
}

/** What an event `session.scored` says, in its attributes. */
export interface ScoredFields {
  user?: string;
  /** The event that ended the session. */
  ended: { number: number; recorded_at: string };
  as_of: string;
  history: number;
  observation: {
    started_s: number;
    client?: string;
    server?: string;
    protocol?: string;
    login?: string;
    measures?: { commands?: Record<string, number>; titles?: Record<string, number> };
  };
  scores?: Record<string, number>;
  aggregated?: number;
  scripted: Scripted;
}

/** What an event `detection.finding` says, in its attributes. */
export interface FindingFields {
  rule?: string;
  level?: string;
  group?: Record<string, string>;
  count?: number;
  why?: string;
}

/** A party, as text or as an object. */
export type Party = string | { id?: string; name?: string };

/** What an event may say; anything may be absent, and there may be more. */
export interface EventFields {
  id?: string;
  occurred_at?: string;
  kind?: string;
  action?: string;
  outcome?: string;
  actor?: Party;
  indirect_actor?: Party;
  source?: string | { address?: string; host?: string; application?: string };
  targets?: (string | { type?: string; id?: string; name?: string })[];
  session?: string;
  correlation?: string;
  message?: string;
  attributes?: unknown;
  origin?: unknown;
}

/** What a recorder said of a session. */
export interface RecordingFields {
  user?: { name?: string; gateway_name?: string; server_names?: string[] };
  client?: { address?: string; name?: string };
  server?: { address?: string; name?: string; id?: string };
  protocol?: string;
  format?: string;
  command?: string;
  title?: string;
  size?: { columns?: number; rows?: number };
  [member: string]: unknown;
}

/** The server refused, or could not be reached (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  /** The kind of the problem document: `forbidden`, `corrupt`… */
  readonly kind: string;
  constructor(status: number, kind: string, message: string) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

type Query = Record<string, string | number | boolean | string[] | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
}

function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (Array.isArray(value)) for (const one of value) parameters.append(name, one);
    else if (value !== undefined && value !== "") parameters.append(name, String(value));
  }
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

function csrf(): string {
  return /(?:^|; )counterfoil_csrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

/** Leads to the sign-in page, and back here afterwards. */
export function signIn(): never {
  location.assign(`/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`);
  throw new ApiError(401, "unauthenticated", "signed out");
}

async function send(method: string, path: string, { query, body, signal }: Options = {}): Promise<Response> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = csrf();
  let response: Response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "the server does not answer; is it running, and is the network up?");
  }
  if (response.ok) return response;
  if (response.status === 401) signIn();
  let kind = "internal";
  let detail = `the server answered ${response.status}`;
  try {
    const problem = (await response.json()) as { type?: string; detail?: string };
    kind = problem.type?.split(":").pop() ?? kind;
    detail = problem.detail ?? detail;
  } catch {
    // No problem document: what the status says has to do.
  }
  throw new ApiError(response.status, kind, detail);
}

async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await send("GET", path, { ...(query ? { query } : {}), signal })).json() as Promise<T>;
}

const org = (name: string): string => `/v1/orgs/${encodeURIComponent(name)}`;

/** Every page of a short list. */
async function all<T>(path: string, member: string): Promise<T[]> {
  const items: T[] = [];
  for (let after: string | undefined, page = 0; page < 100; page += 1) {
    const reply = await get<Record<string, unknown>>(path, { limit: 1000, after });
    items.push(...((reply[member] as T[] | undefined) ?? []));
    if (typeof reply.next !== "string") return items;
    after = reply.next;
  }
  throw new ApiError(0, "too_large", "the list is longer than 100,000 items");
}

/** A page of events. */
export interface EventPage {
  events: Recorded[];
  next: number | null;
  head: { origin: string; size: number; last_seq: number; root: string };
  tainted?: boolean;
  notice?: string;
}

/** Which events. */
export interface EventFilter {
  q?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
}

export const api = {
  me: () => get<Me>("/v1/me"),
  changePassword: (old: string, fresh: string) => send("POST", "/v1/me/password", { body: { old, new: fresh } }),

  organisations: () => all<Organisation>("/v1/orgs", "organisations"),
  createOrganisation: (name: string, parent: string) => send("POST", "/v1/orgs", { body: { name, parent } }),
  renameOrganisation: (id: string, name: string) => send("PATCH", org(id), { body: { name } }),

  accounts: (of: string) => all<Account>(`${org(of)}/accounts`, "accounts"),
  createAccount: (of: string, body: { login: string; display_name: string; roles: string[]; password?: string }) =>
    send("POST", `${org(of)}/accounts`, { body }),
  changeAccount: (id: string, body: { roles?: string[]; disabled?: boolean; password?: string }) =>
    send("PATCH", `/v1/accounts/${encodeURIComponent(id)}`, { body }),

  tokens: (of: string) => all<Token>(`${org(of)}/tokens`, "tokens"),
  issueToken: async (of: string, body: { account?: string; name: string; scopes?: string[]; ttl_seconds?: number; form?: string }) =>
    (await send("POST", `${org(of)}/tokens`, { body })).json() as Promise<Token>,
  revokeToken: (id: string) => send("DELETE", `/v1/tokens/${encodeURIComponent(id)}`),

  keys: async (of: string) => (await get<{ keys: EncryptionKey[] }>(`${org(of)}/keys`)).keys,
  addKey: (of: string, name: string, public_key: string) => send("POST", `${org(of)}/keys`, { body: { name, public_key } }),
  activateKey: (of: string, name: string) => send("POST", `${org(of)}/keys/${encodeURIComponent(name)}/activate`, { body: {} }),
  retireKey: (of: string, name: string, then_clear: boolean) =>
    send("POST", `${org(of)}/keys/${encodeURIComponent(name)}/retire`, { body: { then_clear } }),

  events: (of: string, filter: EventFilter & { after?: number; limit?: number; verify?: boolean; order?: string }, signal?: AbortSignal) =>
    get<EventPage>(`${org(of)}/events`, { ...filter }, signal),
  event: (of: string, seq: number, verify = false) => get<Recorded>(`${org(of)}/events/${seq}`, { verify }),
  views: async (of: string, seq: number) => (await get<{ views: EventView[] }>(`${org(of)}/events/${seq}/views`)).views,
  summary: (of: string, filter: EventFilter & { buckets?: number; field?: string[]; values?: number }, signal?: AbortSignal) =>
    get<EventSummary>(`${org(of)}/events/summary`, { ...filter }, signal),
  /** New events as they come; whoever opens it closes it. */
  follow: (of: string, filter: EventFilter & { after: number }) =>
    new EventSource(address(`${org(of)}/events/follow`, { ...filter })),

  /** The log that takes events, or the one that holds the event of this number. */
  log: (of: string, seq?: number) => get<Log>(`${org(of)}/log`, { seq }),
  evidence: async (of: string, seqs: number[], signal?: AbortSignal) =>
    (await get<{ evidence: OneEvidence[] }>(`${org(of)}/evidence`, { seq: seqs.map(String) }, signal)).evidence,
  hold: (of: string, from: number | null, reason: string) => send("POST", `${org(of)}/log/hold`, { body: { from, reason } }),
  prune: (of: string, before: string, reason: string) => send("POST", `${org(of)}/log/prune`, { body: { before, reason } }),

  /** A file of a log: `path` is `/l/…`, as the log itself says. */
  logText: async (path: string, file: string, query?: Query) =>
    (await send("GET", `${path}/${file}`, query ? { query } : {})).text(),
  logJson: <T>(path: string, file: string) => get<T>(`${path}/${file}`),
  logBytes: async (path: string, file: string, signal?: AbortSignal) =>
    new Uint8Array(await (await send("GET", `${path}/${file}`, { signal })).arrayBuffer()),

  sessions: (of: string, query: Query) => get<{ sessions: Session[]; next: string | null }>(`${org(of)}/sessions`, query),
  session: (of: string, id: string) => get<Session>(`${org(of)}/sessions/${encodeURIComponent(id)}`),
  playback: (of: string, id: string, at: number, signal?: AbortSignal) =>
    get<Playback>(`${org(of)}/sessions/${encodeURIComponent(id)}/playback`, { at: Math.floor(at) }, signal),
  /** What was on the screens of all sessions, in Lucene's syntax. */
  contents: (of: string, q: string, after?: string) =>
    get<{ sessions: FoundSession[]; unsearched: { reason: string }[]; looked_into: number; next: string | null }>(
      `${org(of)}/content`, { q, after, limit: 20, hits: 3 }),
  content: (of: string, id: string, q: string) =>
    get<{ total: number; hits: ContentHit[] }>(`${org(of)}/sessions/${encodeURIComponent(id)}/content`, { q, limit: 200 }),
  commands: (of: string, id: string) =>
    get<{ total: number; commands: ContentHit[] }>(`${org(of)}/sessions/${encodeURIComponent(id)}/commands`, { limit: 1000 }),
  pictureAddress: (of: string, id: string, at: number) =>
    address(`${org(of)}/sessions/${encodeURIComponent(id)}/picture`, { at_us: at }),
  /** Where a recording is downloaded from. */
  recordingAddress: (of: string, id: string) => `${org(of)}/sessions/${encodeURIComponent(id)}/recording`,

  /** The first users in an order, such as `-score,-last_seen`. */
  users: (of: string, sort: string, limit: number, signal?: AbortSignal) =>
    get<{ users: AuditedUser[]; count: number }>(`${org(of)}/users`, { sort, limit }, signal),
  user: (of: string, user: string) => get<AuditedUserDetail>(`${org(of)}/users/${encodeURIComponent(user)}`),
  recomputed: (of: string, user: string, as_of?: string) =>
    get<RecomputedScore>(`${org(of)}/users/${encodeURIComponent(user)}/recomputed`, { as_of }),
  score: (of: string, session: string) => get<ExplainedScore>(`${org(of)}/sessions/${encodeURIComponent(session)}/score`),
  /** Ends when all that is over was scored and the build is on record; gives its time. */
  buildBaselines: async (of: string) => (await send("POST", `${org(of)}/baselines`, { body: {} })).json() as Promise<{ as_of: string }>,
  rules: async (of: string) => (await get<{ rules: DetectionRule[] }>(`${org(of)}/rules`)).rules,

  serverSettings: async () => (await get<{ settings: ServerSetting[] }>("/v1/server/settings")).settings,

  recording: async (of: string, id: string) => new Uint8Array(await (await send("GET", `${org(of)}/sessions/${encodeURIComponent(id)}/recording`)).arrayBuffer()),
  signOut: (everywhere: boolean) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = everywhere ? "/sign-out-everywhere" : "/sign-out";
    document.body.append(form);
    form.submit();
  },
  viewerAddress: "/viewer.html",
};
