// A terminal drawn as text in the page: one line for each row, one span for each run of cells that look alike. Colours of the palette
// are classes of the style sheet; only a colour that a program mixed itself is set on its span. Nothing is ever read as HTML.

import type { IBufferCell, Terminal } from "@xterm/headless";

/** What a cell looks like, as a key: cells with the same one share a span. */
function look(cell: IBufferCell): string {
  const colour = (is: "Fg" | "Bg"): string => {
    const value = is === "Fg" ? cell.getFgColor() : cell.getBgColor();
    if (is === "Fg" ? cell.isFgDefault() : cell.isBgDefault()) return "";
    const rgb = is === "Fg" ? cell.isFgRGB() : cell.isBgRGB();
    return rgb ? `#${value.toString(16).padStart(6, "0")}` : String(value);
  };
  const flags = [
    cell.isBold() && "bold", cell.isDim() && "dim", cell.isItalic() && "italic", cell.isUnderline() && "underline",
    cell.isStrikethrough() && "strike", cell.isBlink() && "blink", cell.isInvisible() && "hidden", cell.isInverse() && "inverse",
  ].filter(Boolean);
  return `${colour("Fg")}|${colour("Bg")}|${flags.join(" ")}`;
}

function span(text: string, key: string, wide: boolean): HTMLSpanElement {
  const element = document.createElement("span");
  element.textContent = text;
  const [fg = "", bg = "", flags = ""] = key.split("|");
  const classes = flags ? flags.split(" ").map((flag) => `t-${flag}`) : [];
  if (wide) classes.push("t-wide");
  const inverse = flags.includes("inverse");
  const paint = (colour: string, ground: boolean) => {
    if (!colour) return;
    if (!colour.startsWith("#")) classes.push(`t-${ground ? "b" : "f"}${colour}`);
    else element.style[ground ? "backgroundColor" : "color"] = colour;
  };
  paint(fg, inverse);
  paint(bg, !inverse);
  element.className = classes.join(" ");
  return element;
}

/** What a row shows already. */
const STATES = new WeakMap<Element, string>();

/** Draws what the terminal shows, `back` rows above its newest; rows that did not change are left alone. */
export function draw(terminal: Terminal, box: HTMLElement, back: number, marked: string[]): void {
  const texts = marked.map((text) => text.trim()).filter(Boolean);
  const buffer = terminal.buffer.active;
  const top = Math.max(0, buffer.baseY - back);
  const cell = buffer.getNullCell();
  box.style.setProperty("--columns", String(terminal.cols));
  while (box.children.length > terminal.rows) box.lastElementChild?.remove();
  for (let row = 0; row < terminal.rows; row += 1) {
    const line = buffer.getLine(top + row);
    const cursor = back === 0 && row === buffer.cursorY ? buffer.cursorX : -1;
    const runs: [text: string, key: string, wide: boolean][] = [];
    for (let column = 0; column < terminal.cols; column += 1) {
      if (!line?.getCell(column, cell)) break;
      if (cell.getWidth() === 0) continue;
      const wide = cell.getWidth() === 2;
      const text = cell.getChars() || " ";
      const key = look(cell) + (column === cursor ? " cursor" : "");
      const last = runs.at(-1);
      if (last && last[1] === key && !wide && !last[2]) last[0] += text;
      else runs.push([text, key, wide]);
    }
    const state = JSON.stringify([runs, texts]);
    let element = box.children[row] as HTMLElement | undefined;
    if (!element) {
      element = document.createElement("div");
      element.className = "t-row";
      box.append(element);
    }
    if (STATES.get(element) === state) continue;
    STATES.set(element, state);
    element.replaceChildren(...runs.map(([text, key, wide]) => span(text, key, wide)));
    const whole = runs.map(([text]) => text).join("");
    element.classList.toggle("t-marked", texts.some((text) => whole.includes(text)));
  }
}
