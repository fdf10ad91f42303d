// Administration: organisations, accounts, tokens (shown once), encryption keys, detection rules, retention, the
// server's own settings, and one's own account.

import { type ComponentChildren, Fragment } from "preact";
import { useState } from "preact/hooks";

import { api, type LogState, type Me, type Organisation, type ServerSetting } from "../api/client.ts";
import { Empty, Link, Loaded, number, Time, useLoad } from "../parts/basics.tsx";
import { quoted } from "../parts/query_bar.tsx";
import { address, type Place } from "../router.ts";

const TABS = { organisations: "Organisations", accounts: "Accounts", tokens: "Tokens", keys: "Encryption keys", rules: "Rules", retention: "Retention", server: "Server", own: "Your account" } as const;
const ROLES = ["admin", "auditor", "sender", "extractor"];
const SCOPES = ["ingest", "read", "extract", "proofs", "admin"];

type Tab = keyof typeof TABS;

export function Administration({ org, me, organisations, place, onChanged }: {
  org: string;
  me: Me;
  organisations: Organisation[];
  place: Place;
  onChanged: () => void;
}) {
  const tab = (place.path[1] ?? "organisations") as Tab;
  const pages: Record<Tab, ComponentChildren> = {
    organisations: <Organisations organisations={organisations} onChanged={onChanged} />,
    accounts: <Accounts key={org} org={org} />,
    tokens: <Tokens key={org} org={org} me={me} />,
    keys: <Keys key={org} org={org} />,
    rules: <Rules key={org} org={org} />,
    retention: <Retention key={org} org={org} />,
    server: <Server />,
    own: <Own me={me} />,
  };
  return (
    <>
      <header class="view-head"><h1>Administration</h1></header>
      <nav class="tabs" aria-label="Administration">
        {Object.entries(TABS).map(([key, name]) => (
          <Link key={key} to={address(`/administration/${key}`)} aria-current={key === tab ? "page" : undefined}>{name}</Link>
        ))}
      </nav>
      {pages[tab] ?? <Empty title="No such page"><Link to={address("/administration")}>To the organisations</Link></Empty>}
    </>
  );
}

/** Runs a change and says how it went. */
function useAct(done: () => void): [act: (work: () => Promise<unknown>) => Promise<void>, note: ComponentChildren, busy: boolean] {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setError("");
    try {
      await work();
      done();
    } catch (failed) {
      setError(failed instanceof Error ? failed.message : String(failed));
    }
    setBusy(false);
  };
  return [act, error ? <p role="alert" class="bad-text">{error}</p> : null, busy];
}

function Table({ label, head, children }: { label: string; head: string[]; children: ComponentChildren }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={label}>
      <table class="rows">
        <thead><tr>{head.map((name) => <th key={name} scope="col">{name}</th>)}</tr></thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

function Organisations({ organisations, onChanged }: { organisations: Organisation[]; onChanged: () => void }) {
  const [act, note, busy] = useAct(onChanged);
  const [name, setName] = useState("");
  const [parent, setParent] = useState(organisations[0]?.id ?? "");
  return (
    <>
      <Table label="Organisations" head={["Organisation", "Slug", "Log", "Made"]}>
        {organisations.map((one) => (
          <tr key={one.id}>
            <th scope="row"><span class={`depth-${Math.min(6, one.path.replaceAll("\\/", "").split("/").length - 1)}`}>{one.name}</span></th>
            <td>{one.slug}</td>
            <td><code>{one.log}</code></td>
            <td><Time at={one.created_at} /></td>
          </tr>
        ))}
      </Table>
      <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void act(async () => { await api.createOrganisation(name, parent); setName(""); }); }}>
        <label>New organisation <input type="text" required value={name} onInput={(event) => setName(event.currentTarget.value)} /></label>
        <label>under <select value={parent} onChange={(event) => setParent(event.currentTarget.value)}>{organisations.map((one) => <option key={one.id} value={one.id}>{one.path}</option>)}</select></label>
        <button type="submit" class="primary" disabled={busy}>Make it</button>
      </form>
      {note}
    </>
  );
}

function Accounts({ org }: { org: string }) {
  const [load, again] = useLoad(`accounts ${org}`, () => api.accounts(org));
  const [act, note, busy] = useAct(again);
  const [fresh, setFresh] = useState({ login: "", display_name: "", role: "auditor", password: "" });
  return (
    <Loaded load={load} what="accounts" again={again}>
      {(accounts) => (
        <>
          <Table label="Accounts" head={["Login name", "Name", "Roles", "Password", "Made", "State", "Change"]}>
            {accounts.map((account) => (
              <tr key={account.id}>
                <th scope="row">{account.login}</th>
                <td>{account.display_name}</td>
                <td>{account.roles.join(", ")}</td>
                <td>{account.has_password ? "yes" : "tokens only"}</td>
                <td><Time at={account.created_at} /></td>
                <td>{account.disabled ? "switched off" : "on"}</td>
                <td>
                  <button type="button" disabled={busy} aria-label={`${account.disabled ? "Switch on" : "Switch off"} ${account.login}`} onClick={() => void act(() => api.changeAccount(account.id, { disabled: !account.disabled }))}>
                    {account.disabled ? "Switch on" : "Switch off"}
                  </button>
                </td>
              </tr>
            ))}
          </Table>
          <form class="inline-form" onSubmit={(event) => {
            event.preventDefault();
            const { login, display_name, role, password } = fresh;
            void act(async () => {
              await api.createAccount(org, { login, display_name, roles: [role], ...(password ? { password } : {}) });
              setFresh({ login: "", display_name: "", role, password: "" });
            });
          }}>
            <label>Login name <input type="text" required autocomplete="off" value={fresh.login} onInput={(event) => setFresh({ ...fresh, login: event.currentTarget.value })} /></label>
            <label>Name <input type="text" value={fresh.display_name} onInput={(event) => setFresh({ ...fresh, display_name: event.currentTarget.value })} /></label>
            <label>Role <select value={fresh.role} onChange={(event) => setFresh({ ...fresh, role: event.currentTarget.value })}>{ROLES.map((role) => <option key={role}>{role}</option>)}</select></label>
            <label>Password (empty: tokens only) <input type="password" autocomplete="new-password" value={fresh.password} onInput={(event) => setFresh({ ...fresh, password: event.currentTarget.value })} /></label>
            <button type="submit" class="primary" disabled={busy}>Make the account</button>
          </form>
          {note}
        </>
      )}
    </Loaded>
  );
}

function Tokens({ org, me }: { org: string; me: Me }) {
  const [load, again] = useLoad(`tokens ${org}`, async () => {
    const [tokens, accounts] = await Promise.all([api.tokens(org), api.accounts(org)]);
    return { tokens, accounts };
  });
  const [act, note, busy] = useAct(again);
  const [secret, setSecret] = useState("");
  const [fresh, setFresh] = useState({ name: "", account: me.account.id, scopes: ["read"], days: "90", form: "native" });
  return (
    <Loaded load={load} what="tokens" again={again}>
      {({ tokens, accounts }) => {
        const names = new Map(accounts.map((account) => [account.id, account.login]));
        const working = tokens.filter((token) => !token.revoked_at);
        return (
          <>
            {secret && (
              <div class="verdict good" role="status">
                <strong>The token, shown only now</strong>
                <p><code class="breakable" data-testid="secret">{secret}</code></p>
                <p class="toolbar">
                  <button type="button" onClick={() => void navigator.clipboard?.writeText(secret)}>Copy</button>
                  <button type="button" onClick={() => setSecret("")}>I have kept it</button>
                </p>
              </div>
            )}
            <form class="inline-form" onSubmit={(event) => {
              event.preventDefault();
              void act(async () => {
                const days = Number(fresh.days);
                const token = await api.issueToken(org, {
                  name: fresh.name, account: fresh.account, scopes: fresh.scopes, form: fresh.form, ...(days > 0 ? { ttl_seconds: days * 86400 } : {}),
                });
                setSecret(token.secret ?? "");
              });
            }}>
              <label>What for <input type="text" required value={fresh.name} onInput={(event) => setFresh({ ...fresh, name: event.currentTarget.value })} /></label>
              <label>Account <select value={fresh.account} onChange={(event) => setFresh({ ...fresh, account: event.currentTarget.value })}>
                {accounts.map((account) => <option key={account.id} value={account.id}>{account.login}</option>)}
              </select></label>
              <label>Days (empty: until revoked) <input type="number" min={1} max={36600} value={fresh.days} onInput={(event) => setFresh({ ...fresh, days: event.currentTarget.value })} /></label>
              <label>Form <select value={fresh.form} onChange={(event) => setFresh({ ...fresh, form: event.currentTarget.value })}><option value="native">cf_… (API)</option><option value="extraction">32 characters (log collectors)</option></select></label>
              <fieldset class="checks"><legend>May</legend>
                {SCOPES.map((scope) => (
                  <label key={scope}><input type="checkbox" checked={fresh.scopes.includes(scope)} onChange={(event) => setFresh({
                    ...fresh, scopes: event.currentTarget.checked ? [...fresh.scopes, scope] : fresh.scopes.filter((other) => other !== scope),
                  })} /> {scope}</label>
                ))}
              </fieldset>
              <button type="submit" class="primary" disabled={busy || fresh.scopes.length === 0}>Issue a token</button>
            </form>
            {note}
            <Table label="Tokens" head={["Token", "Account", "May", "Issued", "Ends", "Change"]}>
              {working.map((token) => (
                <tr key={token.id}>
                  <th scope="row">{token.name || <span class="quiet">unnamed</span>}{token.id === me.token && <span class="tag">this session</span>}</th>
                  <td>{names.get(token.account) ?? token.account}</td>
                  <td>{token.scopes.join(", ")}</td>
                  <td><Time at={token.issued_at} /></td>
                  <td>{token.expires_at ? <Time at={token.expires_at} /> : "when revoked"}</td>
                  <td><button type="button" disabled={busy} aria-label={`Revoke ${token.name || token.id}`} onClick={() => void act(() => api.revokeToken(token.id))}>Revoke</button></td>
                </tr>
              ))}
            </Table>
            {tokens.length > working.length && <p class="quiet">{number(tokens.length - working.length)} revoked tokens are not listed.</p>}
          </>
        );
      }}
    </Loaded>
  );
}

function Keys({ org }: { org: string }) {
  const [load, again] = useLoad(`keys ${org}`, () => api.keys(org));
  const [act, note, busy] = useAct(again);
  const [fresh, setFresh] = useState({ name: "", key: "" });
  return (
    <Loaded load={load} what="keys" again={again}>
      {(keys) => (
        <>
          <p class="quiet">While a key is active, events are encrypted to it before they are kept: the server cannot read, search or show them.</p>
          {keys.length === 0 ? (
            <Empty title="No key">Events of this organisation are kept in clear.</Empty>
          ) : (
            <Table label="Encryption keys" head={["Key", "Scheme", "State", "Added", "Activated", "Change"]}>
              {keys.map((key) => (
                <tr key={key.name}>
                  <th scope="row">{key.name}</th>
                  <td>{key.scheme}</td>
                  <td>{key.state}</td>
                  <td><Time at={key.added_at} /></td>
                  <td><Time at={key.activated_at ?? null} /></td>
                  <td>
                    {key.state === "inactive" && <button type="button" disabled={busy} onClick={() => void act(() => api.activateKey(org, key.name))}>Activate</button>}
                    {key.state !== "retired" && (
                      <button type="button" disabled={busy} onClick={() => {
                        const isActive = key.state === "active";
                        if (!isActive || confirm(`Retire ${key.name} for ever? From then on events are kept in clear.`)) void act(() => api.retireKey(org, key.name, isActive));
                      }}>Retire</button>
                    )}
                  </td>
                </tr>
              ))}
            </Table>
          )}
          <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void act(async () => { await api.addKey(org, fresh.name, fresh.key); setFresh({ name: "", key: "" }); }); }}>
            <label>Name <input type="text" required value={fresh.name} onInput={(event) => setFresh({ ...fresh, name: event.currentTarget.value })} /></label>
            <label class="grow">Public key (PEM on P-256, or 40 characters of SECCURE) <textarea required rows={3} value={fresh.key} onInput={(event) => setFresh({ ...fresh, key: event.currentTarget.value })} /></label>
            <button type="submit" class="primary" disabled={busy}>Add the key</button>
          </form>
          {note}
        </>
      )}
    </Loaded>
  );
}

/** Detection rules, and what each of them cannot see. */
function Rules({ org }: { org: string }) {
  const [load, again] = useLoad(`rules ${org}`, () => api.rules(org));
  return (
    <Loaded load={load} what="rules" again={again}>
      {(rules) => {
        if (rules.length === 0) return <Empty title="No rules">Detection is switched off on this server: <code>[detection]</code> in its configuration.</Empty>;
        const refused = rules.filter(({ runnable }) => !runnable).length;
        const blind = rules.filter(({ runnable, never_seen }) => runnable && never_seen.length > 0).length;
        return (
          <>
            <p role="status">
              {number(rules.length)} rules, {refused === 0 ? "all of them run" : <strong class="bad-text">{number(refused)} refused</strong>};{" "}
              {blind === 0 ? "none has a blind spot" : `${number(blind)} with a blind spot`}.
            </p>
            <p class="quiet">
              A blind spot is a field that a rule looks at and no event of this organisation has had so far: as long as there is one, the
              rule may never find anything.
            </p>
            <Table label="Rules" head={["Rule", "Level", "State", "Blind spots", "Looks at", "Looked last", "Findings", "Last finding"]}>
              {rules.map((rule) => (
                <tr key={`${rule.file} ${rule.id}`}>
                  <th scope="row"><span title={rule.id}>{rule.title}</span><br /><span class="quiet breakable">{rule.file}</span></th>
                  <td><span class={`level ${rule.level === "high" || rule.level === "critical" ? rule.level : ""}`}>{rule.level}</span></td>
                  <td>{rule.runnable ? "runs" : <strong class="bad-text">{rule.loaded ? "does not run" : "refused"}{rule.problem && `: ${rule.problem}`}</strong>}</td>
                  <td>{rule.never_seen.length > 0 ? <strong>{rule.never_seen.join(", ")}</strong> : rule.runnable ? "none" : "–"}</td>
                  <td class="quiet">{rule.fields.join(", ") || "–"}</td>
                  <td>{rule.last_evaluated ? <Time at={rule.last_evaluated} /> : "never"}</td>
                  <td>{rule.hits > 0 ? <Link to={address("/events", { q: `action:detection.finding tag:"via:counterfoil" ${quoted(rule.title)}` })}>{number(rule.hits)}</Link> : "none"}</td>
                  <td>{rule.last_hit ? <Link to={address(`/events/${rule.last_hit.seq}`)}><Time at={rule.last_hit.at} /></Link> : "–"}</td>
                </tr>
              ))}
            </Table>
          </>
        );
      }}
    </Loaded>
  );
}

function Retention({ org }: { org: string }) {
  const [load, again] = useLoad(`retention ${org}`, async () => api.logJson<LogState>((await api.log(org)).path, "state"));
  const [act, note, busy] = useAct(again);
  const [hold, setHold] = useState({ from: "1", reason: "" });
  const [prune, setPrune] = useState({ before: "", reason: "" });
  return (
    <Loaded load={load} what="retention" again={again}>
      {(state) => (
        <>
          <dl class="fields">
            <dt>Kept</dt>
            <dd>{state.minimum_index === 0 ? `all ${number(state.signed_size)} entries` : `entries from ${number(state.minimum_index + 1)} on; older ones were pruned`}</dd>
            <dt>Legal hold</dt>
            <dd>{state.legal_hold ? <>nothing from event {number(state.legal_hold)} on may be pruned <button type="button" disabled={busy || !hold.reason} onClick={() => void act(() => api.hold(org, null, hold.reason))}>Lift it (needs a reason below)</button></> : "none"}</dd>
          </dl>
          <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void act(() => api.hold(org, Number(hold.from), hold.reason)); }}>
            <label>Hold from event <input type="number" min={1} required value={hold.from} onInput={(event) => setHold({ ...hold, from: event.currentTarget.value })} /></label>
            <label class="grow">because <input type="text" required value={hold.reason} onInput={(event) => setHold({ ...hold, reason: event.currentTarget.value })} /></label>
            <button type="submit" disabled={busy}>Hold</button>
          </form>
          <form class="inline-form" onSubmit={(event) => {
            event.preventDefault();
            if (confirm("Forget these events for good? This cannot be undone.")) void act(() => api.prune(org, new Date(prune.before).toISOString(), prune.reason));
          }}>
            <label>Forget what was received before <input type="datetime-local" required value={prune.before} onInput={(event) => setPrune({ ...prune, before: event.currentTarget.value })} /></label>
            <label class="grow">because <input type="text" required value={prune.reason} onInput={(event) => setPrune({ ...prune, reason: event.currentTarget.value })} /></label>
            <button type="submit" class="danger" disabled={busy}>Forget</button>
          </form>
          {note}
          <p class="quiet">Holding and forgetting are notes of the log: who, when, why. Checkpoints and proofs of what is left stay valid.</p>
        </>
      )}
    </Loaded>
  );
}

/** How the server is set, which no page changes: file, variables and command line do. */
function Server() {
  const [load, again] = useLoad("server settings", () => api.serverSettings());
  const [text, setText] = useState("");
  const [own, setOwn] = useState(false);
  const wanted = text.trim().toLowerCase();
  return (
    <Loaded load={load} what="the settings of the server" again={again}>
      {(settings) => {
        if (settings.length === 0) return <Empty title="No settings">This server does not tell how it is set.</Empty>;
        const shown = settings.filter(({ name, about, origin }) =>
          (!own || origin.kind !== "default") && (name.includes(wanted) || about.toLowerCase().includes(wanted)));
        return (
          <>
            <p class="quiet">
              What is in force since the server started, and where it came from. The command line wins over variables, variables over the
              file; <code>counterfoil config show</code> tells the same before a start. Nothing here can be changed from a page.
            </p>
            <div class="toolbar">
              <input type="text" class="grow" value={text} spellcheck={false} aria-label="Narrow the settings" placeholder="Part of a name or of what it does" onInput={(event) => setText(event.currentTarget.value)} />
              <label><input type="checkbox" checked={own} onChange={(event) => setOwn(event.currentTarget.checked)} /> only what was set</label>
              <span class="count" role="status">{number(shown.length)} of {number(settings.length)} settings</span>
            </div>
            {shown.length === 0 ? <Empty title="No setting matches">{own ? "Perhaps it is as built in: show all of them." : "Of those that this server has."}</Empty> : (
              <Table label="Settings of the server" head={["Setting", "Value", "Where from"]}>
                {shown.map((setting) => (
                  <tr key={setting.name}>
                    <th scope="row"><code>{setting.name}</code><br /><span class="quiet setting-about">{setting.about}</span></th>
                    <td><SettingValue setting={setting} /></td>
                    <td><SettingOrigin origin={setting.origin} /></td>
                  </tr>
                ))}
              </Table>
            )}
          </>
        );
      }}
    </Loaded>
  );
}

function SettingValue({ setting: { value, unit, is_secret } }: { setting: ServerSetting }) {
  if (is_secret) return value === null ? <span class="quiet">not set</span> : <>set <span class="quiet">(a secret: never shown)</span></>;
  if (value === null) return <span class="quiet">not set</span>;
  if (typeof value === "number") return <>{number(value)} {unit && <span class="quiet">{unit}</span>}</>;
  if (typeof value === "boolean") return <>{value ? "yes" : "no"}</>;
  if (typeof value === "string") return value === "" ? <span class="quiet">empty</span> : <code class="breakable">{value}</code>;
  const lines = Array.isArray(value) ? value : Object.entries(value).map(([key, one]) => `${key}: ${one}`);
  if (lines.length === 0) return <span class="quiet">none</span>;
  return <ul class="plain">{lines.map((line) => <li key={line}><code class="breakable">{line}</code></li>)}</ul>;
}

const ORIGINS: Record<string, string> = { file: "file", environment: "variable", flag: "command line" };

function SettingOrigin({ origin: { kind, name } }: { origin: ServerSetting["origin"] }) {
  if (kind === "default") return <span class="quiet">built in</span>;
  return <><span class="tag first">{ORIGINS[kind] ?? kind}</span> <code class="breakable">{name}</code></>;
}

function Own({ me }: { me: Me }) {
  const [done, setDone] = useState(false);
  const [act, note, busy] = useAct(() => setDone(true));
  const [words, setWords] = useState({ old: "", fresh: "" });
  const rows: [string, string][] = [
    ["Login name", me.account.login], ["Name", me.account.display_name], ["Roles", me.account.roles.join(", ")], ["Reach", me.organisation.path], ["This session may", me.scopes.join(", ")],
  ];
  return (
    <>
      <dl class="fields">{rows.map(([name, value]) => <Fragment key={name}><dt>{name}</dt><dd>{value}</dd></Fragment>)}</dl>
      <form class="inline-form" onSubmit={(event) => { event.preventDefault(); void act(() => api.changePassword(words.old, words.fresh)); }}>
        <label>Password now <input type="password" required autocomplete="current-password" value={words.old} onInput={(event) => setWords({ ...words, old: event.currentTarget.value })} /></label>
        <label>New password <input type="password" required minLength={8} autocomplete="new-password" value={words.fresh} onInput={(event) => setWords({ ...words, fresh: event.currentTarget.value })} /></label>
        <button type="submit" disabled={busy}>Change it</button>
      </form>
      {note}
      {done && <p role="status">Changed. Every session is signed out, this one, too.</p>}
      <p class="toolbar">
        <button type="button" onClick={() => api.signOut(false)}>Sign out here</button>
        <button type="button" class="danger" onClick={() => api.signOut(true)}>Sign out everywhere</button>
      </p>
    </>
  );
}
