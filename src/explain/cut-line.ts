/** Lines that fit into a terminal. Pure. */

export { asPlainLine } from "../plain-line.ts";

/** A colour, which takes no place. Cursor movements and the like never get this far. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
const colour = /\x1b\[[0-9;]*m/g;

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The columns that a text takes, colours aside. */
export function widthOf(text: string): number {
  return Bun.stringWidth(text);
}

/**
 * At most `columns` wide, what is cut off marked by `…`; a character that takes two columns is never halved, and colours that
 * were begun are ended.
 */
export function cutLine(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  if (columns <= 0) return "";
  let width = 0;
  let cut = "";
  let isColoured = false;
  let from = 0;
  for (const { index, 0: mark } of [...text.matchAll(colour), { index: text.length, 0: "" }]) {
    for (const { segment } of graphemes.segment(text.slice(from, index))) {
      const next = width + widthOf(segment);
      if (next > columns - 1) return `${cut}…${isColoured ? "\x1b[0m" : ""}`;
      width = next;
      cut += segment;
    }
    cut += mark;
    isColoured ||= mark !== "";
    from = index + mark.length;
  }
  return cut;
}

/** Exactly `columns` wide: cut, or filled with spaces. */
export function fitCell(text: string, columns: number, align: "left" | "right" = "left"): string {
  const cut = cutLine(text, columns);
  const space = " ".repeat(Math.max(0, columns - widthOf(cut)));
  return align === "left" ? cut + space : space + cut;
}

/** The lines of a text without colours, each broken where it is wider than that; what is broken off is moved in. */
export function wrapLines(text: string, columns: number): string[] {
  return text.split("\n").flatMap((line) => wrapLine(line, columns));
}

function wrapLine(line: string, columns: number): string[] {
  if (widthOf(line) <= columns || columns < 8) return [cutLine(line, columns)];
  const indent = " ".repeat(Math.min(columns >> 1, line.length - line.trimStart().length + 4));
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=\S)(?=\s)/)) {
    if (widthOf(current + word) <= columns) current += word;
    else {
      if (current !== "") lines.push(current);
      // A word that no line holds is cut by letters.
      current = indent + word.trimStart();
      while (widthOf(current) > columns) {
        const head = headOf(current, columns);
        lines.push(head);
        current = indent + current.slice(head.length);
      }
    }
  }
  return [...lines, current];
}

/** Of a text without colours. */
function headOf(text: string, columns: number): string {
  let head = "";
  for (const { segment } of graphemes.segment(text)) {
    if (widthOf(head + segment) > columns) break;
    head += segment;
  }
  return head;
}
