/**
 * The terminal of a full-screen program: taken over, drawn on, and given back as it was. Draws only the rows that have
 * changed, all of them between the two marks of a synchronised update (DEC 2026), so nobody sees half a picture; terminals
 * that do not know the marks ignore them.
 */

import { writeSync } from "node:fs";
import { widthOf } from "../explain/cut-line.ts";
import type { Size } from "./render.ts";

/** Alternate screen, no cursor, no wrapping at the right edge, nothing on it. */
const takeOver = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J";
/** Also ends an update that was broken off. */
const giveBack = "\x1b[?2026l\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l";

/** What takes it from `before` to `lines`; empty when nothing has changed. Pure. */
export function planDraw(before: readonly string[], lines: readonly string[], { columns, rows }: Size): string {
  const changes = Array.from({ length: Math.min(rows, Math.max(before.length, lines.length)) }, (_, at) => {
    const line = lines[at] ?? "";
    if (line === before[at]) return "";
    // In the last column, erasing to the end would take the last character with it.
    return `\x1b[${at + 1};1H${line}\x1b[0m${widthOf(line) < columns ? "\x1b[K" : ""}`;
  }).join("");
  return changes === "" ? "" : `\x1b[?2026h${changes}\x1b[?2026l`;
}

export class Screen {
  #drawn: readonly string[] = [];
  #isTaken = false;
  /** The terminal has not taken the last picture yet: later ones wait, and only the last of them is drawn. */
  #isBehind = false;
  #waiting: readonly string[] | undefined;

  get size(): Size {
    return { columns: process.stdout.columns || 80, rows: process.stdout.rows || 24 };
  }

  take(): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#drawn = [];
    process.stdin.setRawMode(true);
    process.stdout.write(takeOver);
  }

  /** At once and by itself, so that it works in whatever state the program ends. Further calls do nothing. */
  giveBack(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    try {
      process.stdin.setRawMode(false);
      writeSync(1, giveBack);
    } catch {
      // The terminal is gone, and nothing is left to put in order.
    }
  }

  draw(lines: readonly string[]): void {
    if (!this.#isTaken) return;
    if (this.#isBehind) {
      this.#waiting = lines;
      return;
    }
    const output = planDraw(this.#drawn, lines, this.size);
    this.#drawn = lines;
    if (output === "" || process.stdout.write(output)) return;
    this.#isBehind = true;
    process.stdout.once("drain", () => {
      this.#isBehind = false;
      const next = this.#waiting;
      this.#waiting = undefined;
      if (next !== undefined) this.draw(next);
    });
  }

  /** The next picture is drawn whole. */
  forget(): void {
    this.#drawn = [];
    if (this.#isTaken) process.stdout.write("\x1b[H\x1b[2J");
  }
}
