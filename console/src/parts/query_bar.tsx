// The query bar: the native query language, completion of fields and of values that are really there, and errors under the character
// that is wrong.

import { useEffect, useRef, useState } from "preact/hooks";

import { api, ApiError } from "../api/client.ts";

const FIELDS = ["kind", "action", "outcome", "actor", "indirect_actor", "source", "session", "correlation", "target", "id", "tag", "occurred", "recorded", "number"];
const VALUED = new Set(["kind", "action", "outcome", "actor", "indirect_actor", "source", "target", "tag"]);

/** A value as it has to be written in a query. */
export function quoted(value: string): string {
  return /^[\p{L}\p{N}_./@-]+$/u.test(value) && !/^(?:and|or|not)$/i.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** Where a query is wrong: the byte the server names, as a place among characters. */
export function errorPlace(query: string, error: Error): number | null {
  const at = /\(at byte (\d+) of the query\)/.exec(error.message)?.[1];
  if (!(error instanceof ApiError) || at === undefined) return null;
  return new TextDecoder().decode(new TextEncoder().encode(query).subarray(0, Number(at))).length;
}

interface Choice {
  text: string;
  count?: number;
}

export function QueryBar({ org, value, error, onQuery }: {
  org: string;
  value: string;
  error: Error | null;
  onQuery: (query: string) => void;
}) {
  const [text, setText] = useState(value);
  const [choices, setChoices] = useState<Choice[]>([]);
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  const turn = useRef(0);
  useEffect(() => setText(value), [value]);
  const place = error && text === value ? errorPlace(text, error) : null;

  const word = (): [start: number, word: string] => {
    // What stands in the field now; the state follows only with the next drawing.
    const now = input.current?.value ?? text;
    const end = input.current?.selectionStart ?? now.length;
    const start = now.slice(0, end).search(/[^\s()]*$/);
    return [start, now.slice(start, end).replace(/^-/, "")];
  };
  const complete = async () => {
    const [, typed] = word();
    turn.current += 1;
    const mine = turn.current;
    const colon = typed.indexOf(":");
    let found: Choice[] = [];
    if (colon < 0) {
      found = typed === "" ? [] : FIELDS.filter((field) => field.startsWith(typed.toLowerCase())).map((field) => ({ text: `${field}:` }));
    } else if (VALUED.has(typed.slice(0, colon))) {
      const field = typed.slice(0, colon);
      const begun = typed.slice(colon + 1).replace(/^"/, "").toLowerCase();
      try {
        // Whole values that begin so, commonest first.
        const q = begun ? `${field}:${quoted(begun)}*` : "";
        const usable = /^[\p{L}\p{N}_./@-]*$/u.test(begun);
        const summary = await api.summary(org, { q: usable ? q : "", field: [field], values: 100, buckets: 1 });
        found = (summary.fields[0]?.values ?? [])
          .filter(({ value }) => value.startsWith(begun))
          .slice(0, 8)
          .map(({ value, count }) => ({ text: `${field}:${quoted(value)}`, count }));
      } catch {
        // Completion is a help: without it the query can still be typed.
      }
    }
    if (mine === turn.current) {
      setChoices(found);
      setChosen(-1);
    }
  };
  const take = (choice: Choice) => {
    const end = input.current?.selectionStart ?? text.length;
    const [start] = word();
    const minus = text.charAt(start) === "-" ? "-" : "";
    const inserted = `${minus}${choice.text}${choice.text.endsWith(":") ? "" : " "}`;
    setText(text.slice(0, start) + inserted + text.slice(end));
    setChoices([]);
    requestAnimationFrame(() => {
      input.current?.focus();
      input.current?.setSelectionRange(start + inserted.length, start + inserted.length);
      if (choice.text.endsWith(":")) void complete();
    });
  };
  return (
    <form
      class="query-bar"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        setChoices([]);
        onQuery(text.trim());
      }}
    >
      <div class="query-field">
        <input
          ref={input}
          type="text"
          value={text}
          spellcheck={false}
          autocomplete="off"
          autocapitalize="none"
          placeholder="Words, or fields: kind:authentication outcome:failure source:10.0.0.*"
          aria-label="Query"
          aria-invalid={place !== null}
          aria-describedby={error ? "query-error" : undefined}
          role="combobox"
          aria-expanded={choices.length > 0}
          aria-controls="query-choices"
          aria-activedescendant={chosen >= 0 ? `choice-${chosen}` : undefined}
          onInput={(event) => {
            setText(event.currentTarget.value);
            void complete();
          }}
          onBlur={() => setTimeout(() => setChoices([]), 150)}
          onKeyDown={(event) => {
            if (choices.length === 0) return;
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              const step = event.key === "ArrowDown" ? 1 : -1;
              setChosen((chosen + step + choices.length) % choices.length);
            } else if (event.key === "Escape") setChoices([]);
            else if (event.key === "Tab" || (event.key === "Enter" && chosen >= 0)) {
              const choice = choices[Math.max(chosen, 0)];
              if (choice) {
                event.preventDefault();
                take(choice);
              }
            }
          }}
        />
        <ul id="query-choices" role="listbox" aria-label="Completions" hidden={choices.length === 0}>
          {choices.map((choice, at) => (
            <li key={choice.text} id={`choice-${at}`} role="option" aria-selected={at === chosen} onMouseDown={(event) => { event.preventDefault(); take(choice); }}>
              <span>{choice.text}</span>
              {choice.count !== undefined && <span class="quiet">{choice.count.toLocaleString("en")}</span>}
            </li>
          ))}
        </ul>
        {error && (
          <div id="query-error" class="query-error" role="alert">
            {place !== null && (
              <pre aria-hidden="true">
                {" ".repeat(Math.min(place, 200))}^
              </pre>
            )}
            <span>{error.message.replace(/^parameter q: /, "")}</span>
          </div>
        )}
      </div>
      <button type="submit">Search</button>
    </form>
  );
}
