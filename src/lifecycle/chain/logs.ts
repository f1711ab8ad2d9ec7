/**
 * The services' logs: bounded, and with an index that tells when which part of a log was written, since what services print
 * need not say so. A line of `<id>.log.index` is `<unix ms> <bytes before it>`.
 */

import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { logFile } from "./record.ts";

/** A log that has grown beyond this (bytes) becomes `.1`; three former ones are kept. */
export const maxLogBytes = 10 * 1024 * 1024;
const keptLogs = 3;

function indexOf(log: string): string {
  return `${log}.index`;
}

/**
 * To be called once in a while for each log. Copied and cut, not renamed: whoever writes holds the file open.
 * @param knownBytes the size that the index knows last
 * @returns the size now
 */
export function tendLog(
  stateDir: string,
  id: string,
  knownBytes: number,
  nowMs: number,
  maxBytes = maxLogBytes,
): number {
  const log = logFile(stateDir, id);
  const bytes = sizeOf(log);
  if (bytes === undefined) return 0;
  if (bytes === knownBytes) return bytes;
  if (bytes > maxBytes) {
    shift(log);
    return 0;
  }
  appendFileSync(indexOf(log), `${nowMs} ${bytes < knownBytes ? 0 : knownBytes}\n`, { mode: 0o600 });
  return bytes;
}

function shift(log: string): void {
  for (let age = keptLogs; age >= 1; age--) {
    for (const suffix of ["", ".index"]) {
      const older = `${log}.${age}${suffix}`;
      if (age === keptLogs) rmSync(older, { force: true });
      else if (existsSync(older)) renameSync(older, `${log}.${age + 1}${suffix}`);
    }
  }
  copyFileSync(log, `${log}.1`);
  truncateSync(log);
  if (existsSync(indexOf(log))) renameSync(indexOf(log), `${log}.1.index`);
}

function sizeOf(path: string): number | undefined {
  try {
    const facts = statSync(path);
    return facts.isFile() ? facts.size : undefined;
  } catch {
    return undefined;
  }
}

/** What the log and the ones before it hold, the oldest first, from that moment on. */
export function readLogs(stateDir: string, id: string, sinceMs: number | undefined): string {
  const log = logFile(stateDir, id);
  const files = [...Array.from({ length: keptLogs }, (_, age) => `${log}.${keptLogs - age}`), log];
  return files
    .filter((file) => existsSync(file))
    .map((file) => {
      const bytes = readFileSync(file);
      return (sinceMs === undefined ? bytes : bytes.subarray(offsetOf(file, bytes.length, sinceMs))).toString("utf8");
    })
    .join("");
}

/** The first byte that was written at that moment or later. */
function offsetOf(file: string, length: number, sinceMs: number): number {
  const index = indexOf(file);
  const rows = existsSync(index) ? readFileSync(index, "utf8").split("\n") : [];
  for (const row of rows) {
    const [atMs = 0, offset = 0] = row.split(" ").map(Number);
    if (row !== "" && atMs >= sinceMs) return Math.min(offset, length);
  }
  return length;
}

/** Pure. The last lines of what a terminal was sent, as text: without its control sequences unless they are wanted. */
export function lastLines(text: string, count: number, keepsColour = false): string[] {
  const lines = tidy(text, keepsColour).split("\n");
  while (lines.length > 0 && lines.at(-1)?.trim() === "") lines.pop();
  return lines.slice(Math.max(0, lines.length - count));
}

/** Pure. A terminal's lines end in CR LF, and one that is redrawn in place holds several versions. */
export function tidy(text: string, keepsColour: boolean): string {
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const shown = lines.map((line) => line.slice(line.lastIndexOf("\r", line.length - 1) + 1)).join("\n");
  return keepsColour ? keepColours(shown) : plain(shown);
}

/** Colours are wanted; a window's title, the clipboard and the cursor are the reader's own. */
function keepColours(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  const parts = text.split(/(\x1b\[[\d;:]*m)/);
  return parts.map((part, at) => (at % 2 === 1 ? part : plain(part))).join("");
}

/** Without what terminals obey, ends of lines and tabs aside. */
function plain(text: string): string {
  return Bun.stripANSI(text).replace(/(?![\n\t])\p{Cc}/gu, "");
}
