// One event: what it says, its bytes, how each API shows it, and its proof.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, type Recorded } from "../api/client.ts";
import { Link, Loaded, number, Outcome, partyName, sourceName, Time, useLoad } from "../parts/basics.tsx";
import { ProofPanel } from "../parts/proof_panel.tsx";
import { address } from "../router.ts";

const TABS = ["Fields", "Raw", "As each API shows it", "Proof"] as const;
const NAMES: Record<string, string> = { native: "Counterfoil", octopai: "Octopai", silo: "Authentic8 Silo", sps: "One Identity SPS", activid: "HID ActivID SCIM" };

export function EventDetail({ org, seq, onClose, onAdd }: {
  org: string;
  seq: number;
  onClose: () => void;
  onAdd: (field: string, value: string) => void;
}) {
  const [tab, setTab] = useState<(typeof TABS)[number]>("Fields");
  const [load, again] = useLoad(`${org} ${seq}`, () => api.event(org, seq));
  const panel = useRef<HTMLElement>(null);
  useEffect(() => panel.current?.focus(), [seq]);
  return (
    <aside
      class="detail"
      ref={panel}
      tabIndex={-1}
      aria-label={`Event ${seq}`}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header>
        <h2>Event {number(seq)}</h2>
        <button type="button" class="close" onClick={onClose} aria-label="Close the event">×</button>
      </header>
      <div class="tabs" role="tablist" aria-label="Event">
        {TABS.map((name, at) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${at}`}
            aria-selected={tab === name}
            aria-controls="tab-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => setTab(name)}
            onKeyDown={(event) => {
              const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
              const next = TABS[(at + step + TABS.length) % TABS.length];
              if (step !== 0 && next) {
                setTab(next);
                document.getElementById(`tab-${TABS.indexOf(next)}`)?.focus();
              }
            }}
          >
            {name}
          </button>
        ))}
      </div>
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${TABS.indexOf(tab)}`} class="tab-panel" tabIndex={0}>
        <Loaded load={load} what="the event" again={again}>
          {(recorded) => {
            if (tab === "Fields") return <Fields recorded={recorded} onAdd={onAdd} />;
            if (tab === "Raw") return <pre class="raw">{JSON.stringify(recorded.event, null, 2)}</pre>;
            if (tab === "Proof") return <ProofPanel org={org} recorded={recorded} />;
            return <Views org={org} seq={seq} />;
          }}
        </Loaded>
      </div>
    </aside>
  );
}

function Fields({ recorded, onAdd }: { recorded: Recorded; onAdd: (field: string, value: string) => void }) {
  const { event } = recorded;
  if (!event) {
    return (
      <div class="state">
        <p class="state-title">{recorded.state === "sealed" ? "Encrypted to a key of the organisation" : `This event is ${recorded.state ?? "unreadable"}`}</p>
        <p>{recorded.reason ?? "Its place in the log stays proven."}</p>
      </div>
    );
  }
  const value = (field: string, text: string) =>
    text && (
      <button type="button" class="value" title={`Only ${field} ${text}`} onClick={() => onAdd(field, text)}>
        {text}
      </button>
    );
  const targets = (event.targets ?? []).map((target) => (typeof target === "string" ? { name: target } : target));
  const rest = event.attributes && typeof event.attributes === "object" ? Object.entries(event.attributes) : [];
  return (
    <dl class="fields">
      <dt>Occurred</dt>
      <dd><Time at={event.occurred_at ?? recorded.recorded_at} /></dd>
      <dt>Recorded</dt>
      <dd><Time at={recorded.recorded_at} /> by {recorded.recorded_by.via}{recorded.recorded_by.from ? ` from ${recorded.recorded_by.from}` : ""}</dd>
      <dt>Outcome</dt>
      <dd><Outcome value={event.outcome} /></dd>
      <dt>Kind</dt>
      <dd>{value("kind", event.kind ?? "")}</dd>
      <dt>Action</dt>
      <dd>{value("action", event.action ?? "")}</dd>
      <dt>Actor</dt>
      <dd>{value("actor", partyName(event.actor)) || <span class="quiet">not said</span>}</dd>
      {event.indirect_actor && (<><dt>On behalf of</dt><dd>{value("indirect_actor", partyName(event.indirect_actor))}</dd></>)}
      <dt>Source</dt>
      <dd>{value("source", sourceName(event.source)) || <span class="quiet">not said</span>}</dd>
      {targets.map((target) => (
        <>
          <dt>Target {"type" in target && target.type ? `(${target.type})` : ""}</dt>
          <dd>{value("target", target.name ?? ("id" in target ? (target.id ?? "") : ""))}</dd>
        </>
      ))}
      {event.session && (
        <>
          <dt>Session</dt>
          <dd>{value("session", event.session)} {recorded.recorded_by.via === "counterfoil" && <Link to={address(`/sessions/${event.session}`)}>open</Link>}</dd>
        </>
      )}
      {event.correlation && (<><dt>Correlation</dt><dd>{value("correlation", event.correlation)}</dd></>)}
      {event.message && (<><dt>Message</dt><dd class="text">{event.message}</dd></>)}
      {rest.map(([name, inner]) => (
        <>
          <dt>{name}</dt>
          <dd class="text">{typeof inner === "string" ? inner : JSON.stringify(inner)}</dd>
        </>
      ))}
      {event.id && (<><dt>Sender's id</dt><dd>{value("id", event.id)}</dd></>)}
    </dl>
  );
}

function Views({ org, seq }: { org: string; seq: number }) {
  const [load, again] = useLoad(`views ${org} ${seq}`, () => api.views(org, seq));
  return (
    <Loaded load={load} what="the views" again={again}>
      {(views) => (
        <div class="views">
          {views.map(({ dialect, value, note }) => (
            <section key={dialect} data-dialect={dialect}>
              <h3>{NAMES[dialect] ?? dialect}</h3>
              {note && <p class="quiet">{note}</p>}
              {value !== null && value !== undefined && <pre class="raw">{JSON.stringify(value, null, 2)}</pre>}
            </section>
          ))}
        </div>
      )}
    </Loaded>
  );
}
