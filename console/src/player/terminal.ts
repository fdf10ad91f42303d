// Makes emulators. xterm's own drawing is left out: it needs inline style sheets, which the page's policy does not allow.

import xterm from "@xterm/headless";

import type { MakeTerminal } from "./driver.ts";

/** Lines kept above the screen. */
const SCROLL_BACK = 5000;

export const makeTerminal: MakeTerminal = (columns, rows) =>
  new xterm.Terminal({ cols: columns, rows, scrollback: SCROLL_BACK, allowProposedApi: true });
