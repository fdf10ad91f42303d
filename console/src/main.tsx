// The console: who one is, which organisation is looked at, and the view that the address names.

import "./style.css";
import "./terminal.css";

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";

import { api, type Me, type Organisation } from "./api/client.ts";
import { Empty, Failed, Link, present, useLoad, Waiting } from "./parts/basics.tsx";
import { address, change, usePlace } from "./router.ts";
import { Administration } from "./views/administration.tsx";
import { Events } from "./views/events.tsx";
import { Evidence } from "./views/evidence.tsx";
import { Overview } from "./views/overview.tsx";
import { Sessions } from "./views/sessions.tsx";
import { Users } from "./views/users.tsx";

const VIEWS = { overview: "Overview", events: "Events", sessions: "Sessions", users: "Users", evidence: "Evidence", administration: "Administration" } as const;

function App() {
  const place = usePlace();
  const [load, again] = useLoad("me", async () => {
    const [me, organisations] = await Promise.all([api.me(), api.organisations()]);
    return { me, organisations };
  });
  const found = present(load);
  const view = place.path[0];
  useEffect(() => {
    document.title = `${VIEWS[view as keyof typeof VIEWS] ?? "Not found"} · Counterfoil`;
  }, [view]);
  if (load.state === "failed") return <main><Failed error={load.error} again={again} /></main>;
  if (!found) return <main><Waiting what="the console" /></main>;
  const { me, organisations } = found;
  const named = place.params.get("org");
  const org = organisations.find(({ slug, id }) => slug === named || id === named) ?? (named ? undefined : organisations.find(({ id }) => id === me.organisation.id));
  return (
    <>
      <a class="skip" href="#main">Skip to content</a>
      <header class="top">
        <Link to={address("/")} class="brand"><span class="mark" aria-hidden="true" />Counterfoil</Link>
        <nav aria-label="Views">
          {Object.entries(VIEWS).map(([key, name]) => (
            <Link key={key} to={address(key === "overview" ? "/" : `/${key}`)} aria-current={key === view ? "page" : undefined}>{name}</Link>
          ))}
        </nav>
        <div class="top-right">
          <OrganisationPicker organisations={organisations} value={org?.slug ?? ""} />
          <Theme />
          <Link to={address("/administration/own")} class="who" title="Your account">{me.account.display_name || me.account.login}</Link>
          <button type="button" onClick={() => api.signOut(false)}>Sign out</button>
        </div>
      </header>
      <main id="main" tabIndex={-1} data-view={view}>
        {org ? <View view={view} org={org.id} me={me} organisations={organisations} onChanged={again} /> : (
          <Empty title="No such organisation">Nothing within your reach is called {named}. <Link to="/">To your own</Link></Empty>
        )}
      </main>
    </>
  );
}

function View({ view, org, me, organisations, onChanged }: { view: string; org: string; me: Me; organisations: Organisation[]; onChanged: () => void }) {
  const place = usePlace();
  switch (view) {
    case "overview":
      return <Overview org={org} place={place} />;
    case "events":
      return <Events org={org} place={place} />;
    case "sessions":
      return <Sessions org={org} place={place} />;
    case "users":
      return <Users org={org} me={me} place={place} />;
    case "evidence":
      return <Evidence org={org} />;
    case "administration":
      return <Administration org={org} me={me} organisations={organisations} place={place} onChanged={onChanged} />;
    default:
      return <Empty title="Nothing is here">No view has this address. <Link to={address("/")}>To the overview</Link></Empty>;
  }
}

function OrganisationPicker({ organisations, value }: { organisations: Organisation[]; value: string }) {
  return (
    <select aria-label="Organisation" value={value} onChange={(event) => change({ org: event.currentTarget.value })}>
      {value === "" && <option value="">–</option>}
      {organisations.map(({ slug, path }) => <option key={slug} value={slug}>{path}</option>)}
    </select>
  );
}

const THEMES = ["system", "light", "dark"];

/** Light, dark, or as the system has it; kept in this browser. */
function Theme() {
  const [theme, set] = useState(() => localStorage.getItem("counterfoil:theme") ?? "system");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("counterfoil:theme", theme);
  }, [theme]);
  return (
    <select aria-label="Colours" value={theme} onChange={(event) => set(event.currentTarget.value)}>
      {THEMES.map((name) => <option key={name} value={name}>{name === "system" ? "Auto" : name === "light" ? "Light" : "Dark"}</option>)}
    </select>
  );
}

const root = document.getElementById("app");
if (root) render(<App />, root);
