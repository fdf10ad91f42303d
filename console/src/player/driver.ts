// What a terminal showed at any moment: stretches of a recording (a terminal to begin with, then what happened) played on xterm's
// emulator. The same code runs in the page and under Node, where it is compared with the server's own screens.

import type { Terminal } from "@xterm/headless";

/** Microseconds, code, data; as the API has it. */
export type Happened = [number, "o" | "i" | "r" | "m" | "x", string | number];

/** A stretch of a recording. */
export interface Stretch {
  start_us: number;
  columns: number;
  rows: number;
  title?: string | null;
  terminal: string;
  events: Happened[];
  next_us?: number | null;
  duration_us: number;
  screens: number;
  /** It is still being recorded: more may come behind the end. */
  active?: boolean;
  /** Bytes of the recording that this was made of. */
  bytes?: number;
}

/** Makes an emulator; the class comes from outside, because bundlers and Node import it differently. */
export type MakeTerminal = (columns: number, rows: number) => Terminal;

/** Stretches kept, so that going back a little costs nothing. */
const KEPT = 8;

export class Driver {
  readonly #fetch: (at: number) => Promise<Stretch>;
  readonly #make: MakeTerminal;
  #stretches: Stretch[] = [];
  #terminal: Terminal | null = null;
  #stretch: Stretch | null = null;
  /** The next event of the stretch that was not played. */
  #next = 0;
  #at = 0;
  title = "";
  /** Told of what was typed, as it is passed. */
  onInput: (text: string) => void = () => {};

  constructor(fetch: (at: number) => Promise<Stretch>, make: MakeTerminal) {
    this.#fetch = fetch;
    this.#make = make;
  }

  /** The emulator as it is; `null` before the first seek. */
  get terminal(): Terminal | null {
    return this.#terminal;
  }

  /** The stretch that is being played. */
  get stretch(): Stretch | null {
    return this.#stretch;
  }

  get at(): number {
    return this.#at;
  }

  /** When the next thing happens in this stretch; `null`: not in this one. */
  get nextEvent(): number | null {
    return this.#stretch?.events[this.#next]?.[0] ?? this.#stretch?.next_us ?? null;
  }

  async #stretchAt(at: number): Promise<Stretch> {
    const known = this.#stretches.find(({ start_us, next_us }) => start_us <= at && (next_us === null || next_us === undefined || at < next_us));
    if (known) return known;
    const found = await this.#fetch(at);
    this.#stretches = [found, ...this.#stretches.filter(({ start_us }) => start_us !== found.start_us)].slice(0, KEPT);
    return found;
  }

  /**
   * Asks again for the end of a recording that grows, and gives it. What is shown stays as it is, but can go on from there; with
   * `whole` nothing that was asked for before is kept.
   */
  async grown(whole = false): Promise<Stretch> {
    const end = await this.#fetch(Number.MAX_SAFE_INTEGER);
    const others = whole ? [] : this.#stretches.filter(({ start_us, next_us }) => start_us !== end.start_us && next_us !== null && next_us !== undefined);
    this.#stretches = [end, ...others].slice(0, KEPT);
    // The same beginning with more behind it: what was played of it need not be played again.
    if (this.#stretch?.start_us === end.start_us && this.#stretch.terminal === end.terminal) this.#stretch = end;
    return end;
  }

  /** Shows the moment `at`: after all that happened up to it. One stretch is asked for at most, if it is not kept. */
  async seek(at: number): Promise<void> {
    const stretch = await this.#stretchAt(Math.max(0, at));
    if (stretch === this.#stretch && at >= this.#at && this.#terminal) return this.#play(at);
    this.#terminal?.dispose();
    const terminal = this.#make(stretch.columns, stretch.rows);
    this.#terminal = terminal;
    this.#stretch = stretch;
    this.#next = 0;
    this.title = stretch.title ?? "";
    terminal.onTitleChange((title) => {
      this.title = title;
    });
    await write(terminal, stretch.terminal);
    await this.#play(at);
  }

  async #play(at: number): Promise<void> {
    const { events = [] } = this.#stretch ?? {};
    let output = "";
    const flush = async () => {
      if (output && this.#terminal) await write(this.#terminal, output);
      output = "";
    };
    for (let event = events[this.#next]; event && event[0] <= at; event = events[this.#next]) {
      this.#next += 1;
      const [, code, data] = event;
      if (code === "o") output += String(data);
      else if (code === "i") this.onInput(String(data));
      else if (code === "r") {
        await flush();
        const [columns, rows] = String(data).split("x").map(Number);
        if (columns && rows) this.#terminal?.resize(columns, rows);
      }
    }
    await flush();
    this.#at = at;
  }
}

const write = (terminal: Terminal, text: string): Promise<void> => new Promise((resolve) => terminal.write(text, resolve));

/** The rows of a terminal as text, without trailing blanks. */
export function rowsOf(terminal: Terminal): string[] {
  const buffer = terminal.buffer.active;
  return Array.from({ length: terminal.rows }, (_, row) => buffer.getLine(buffer.baseY + row)?.translateToString(true).replace(/ +$/, "") ?? "");
}
