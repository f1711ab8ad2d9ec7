/**
 * What a long-running command says of itself: one line a time, as JSON or for people. A secret that the program knows cannot
 * get out by it, wherever in a line it stands: lines are cleaned as a whole, where they are written.
 */

import { ClutchError } from "./errors.ts";
import { asPlainLine, asPlainLines } from "./plain-line.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogFacts {
  /** `info` when left out. */
  level?: LogLevel;
  /** The id of the request that the line is about. */
  request?: string;
  /** What was thrown; its stack is told. */
  error?: unknown;
  [fact: string]: unknown;
}

/** @param message one sentence; what programs look for stands in the facts */
export type Log = (message: string, facts?: LogFacts) => void;

export interface LogSettings {
  level: LogLevel;
  format: "json" | "pretty";
}

/**
 * `CLUTCH_LOG`: a level, a format, or both with a comma between them: `debug`, `json`, `warn,pretty`.
 * @param isTerminal decides the format where none is named
 * @throws {ClutchError} `usage`
 */
export function parseLogSettings(text: string | undefined, isTerminal: boolean): LogSettings {
  const settings: LogSettings = { level: "info", format: isTerminal ? "pretty" : "json" };
  for (const word of (text ?? "").split(",").map((part) => part.trim().toLowerCase())) {
    const level = logLevels.find((known) => known === word);
    if (level !== undefined) settings.level = level;
    else if (word === "json" || word === "pretty") settings.format = word;
    else if (word !== "") {
      throw new ClutchError("usage", `CLUTCH_LOG is "${text}", and "${word}" means nothing there`, {
        hint: `use one of ${logLevels.join(", ")}, or json or pretty, or both with a comma`,
      });
    }
  }
  return settings;
}

/** How the parts of a line are set apart for people. */
export interface LogPaint {
  dim(text: string): string;
  bold(text: string): string;
  red(text: string): string;
  yellow(text: string): string;
}

export interface LoggerDeps extends LogSettings {
  /** One line, without its end. */
  write(line: string): void;
  /** Milliseconds since 1970. */
  now(): number;
  paint: LogPaint;
  secrets: Secrets;
}

export interface Logger {
  log: Log;
  /** Whether lines of this level are written: for what is not even worth putting together otherwise. */
  isOn(level: LogLevel): boolean;
}

export function createLogger(deps: LoggerDeps): Logger {
  const { level: least, format, write, now, paint, secrets } = deps;
  const isOn = (level: LogLevel) => logLevels.indexOf(level) >= logLevels.indexOf(least);
  return {
    isOn,
    log(message, details = {}) {
      if (!isOn(details.level ?? "info")) return;
      const { level = "info", request, error, ...facts } = details;
      const time = new Date(now()).toISOString();
      const line = { time, level, message, request, error: describeError(error), ...facts };
      // Each text by itself first: inside the line's JSON its quotes would be spelt otherwise.
      const clean = (_name: string, value: unknown) => (typeof value === "string" ? secrets.hide(value) : value);
      write(secrets.hide(format === "json" ? escapeRest(JSON.stringify(line, clean)) : renderPretty(line, paint)));
    },
  };
}

/** What JSON lets stand and terminals obey, or take for a line's end. */
function escapeRest(json: string): string {
  return json.replace(
    /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

interface Line {
  time: string;
  level: LogLevel;
  message: string;
  request: string | undefined;
  error: string | undefined;
}

/** Facts are for programs: the message says what a person needs, in one line. Some of it are an upstream's words, or a client's. */
function renderPretty({ time, level, message, request, error }: Line, paint: LogPaint): string {
  const mark = { debug: paint.dim("debug "), info: "", warn: paint.yellow("warn "), error: paint.red("error ") }[level];
  const id = request === undefined ? "" : `${paint.bold(asPlainLine(request))} `;
  return `${paint.dim(asPlainLine(time))} ${mark}${id}${asPlainLine(message)}${error === undefined ? "" : `\n${asPlainLines(error)}`}`;
}

/** Lines of JSON that were written by a logger as sentences; whatever else is in the text stays as it is. */
export function renderLogText(text: string, paint: LogPaint): string {
  return text.replace(/^\{"time":.*\}$/gm, (json) => {
    try {
      const line = JSON.parse(json) as Partial<Line>;
      const level = logLevels.find((known) => known === line.level);
      if (typeof line.time !== "string" || typeof line.message !== "string" || level === undefined) return json;
      const { time, message, request, error } = line;
      return renderPretty({ time, level, message, request, error }, paint);
    } catch {
      return json;
    }
  });
}

function describeError(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Shorter ones would take words out of sentences. */
const leastSecretLength = 6;

const hidden = "(hidden)";

/** Of what nobody has told: what follows `Bearer`, the secret of a launch token, keys by the look of vendors' keys. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer\s+)[^\s"',;()\\]{8,}/gi, `$1${hidden}`],
  [/\b(xx-[a-z0-9]{2,5}-[a-z0-9]{4,16})-[\w-]{16,}/g, `$1-${hidden}`],
  [/\b(clutch-[a-z0-9]{8})-[\w-]{16,}/g, `$1-${hidden}`],
  [/\b(?:sk|pk|rk|gsk|xai|nvapi|hf|ghp|glpat)[-_][\w-]{16,}/g, hidden],
  [/\bAIza[\w-]{30,}/g, hidden],
];

/** What must never be written, however it comes into a line. */
export class Secrets {
  /** The longest first, so that one that begins like another goes whole. */
  #known: string[] = [];
  readonly #all = new Set<string>();

  /** Known for good: a key that was replaced may still be in an answer that is under way. */
  add(values: Iterable<string | undefined>): void {
    for (const value of values) {
      if (value === undefined || value.length < leastSecretLength) continue;
      if (this.#all.has(value)) continue;
      for (const spelling of [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]) {
        this.#all.add(spelling);
      }
    }
    if (this.#known.length === this.#all.size) return;
    this.#known = [...this.#all].sort((one, other) => other.length - one.length);
  }

  hide(text: string): string {
    let clean = text;
    for (const secret of this.#known) if (clean.includes(secret)) clean = clean.replaceAll(secret, hidden);
    for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement);
    return clean;
  }
}
