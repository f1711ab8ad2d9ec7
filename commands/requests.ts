/** `clutch requests`: the ledger's rows, as a list, live, one by one, or as a file. Works with and without a gateway. */

import { closeSync, existsSync, openSync, statSync, writeSync } from "node:fs";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { renderClock } from "../src/explain/clock.ts";
import { renderNumber } from "../src/explain/counts.ts";
import { parseMoment, parseSpan } from "../src/explain/moment.ts";
import {
  type RequestReport,
  renderCsvHead,
  renderRequest,
  renderRequestAsCsv,
  renderRequests,
  renderTailHead,
  renderTailLine,
  reportAttempt,
  reportRequest,
} from "../src/explain/requests.ts";
import type { CaptureReport } from "../src/gateway/capture.ts";
import { type CaptureMode, readCaptureMode, writeCaptureMode } from "../src/lifecycle/capture-mode.ts";
import { foldersOf } from "../src/lifecycle/launch-folders.ts";
import { readBeside } from "../src/store/beside.ts";
import { findCapture, sumCaptures } from "../src/store/captures.ts";
import { lookups } from "../src/store/lookups.ts";
import { type ListedRequest, type RequestFilter, requestList } from "../src/store/request-list.ts";
import { RequestTail } from "../src/store/request-tail.ts";
import { requestStatuses } from "../src/store/schema.ts";
import { notCaptured } from "./not-captured.ts";
import { paint, terminalColumns } from "./paint.ts";
import { readAgents, readCount, splitList, unknownWord } from "./row-filters.ts";
import { askGateway } from "./running-gateway.ts";
import { findTheWanted } from "./wanted-request.ts";

export interface FilterFlags {
  agent?: string;
  model?: string;
  servedBy?: string;
  status?: string;
  session?: string;
  launch?: string;
  since?: string;
  until?: string;
  errors?: boolean;
  limit?: string;
  json?: boolean;
}

export interface TailFlags extends FilterFlags {
  lines?: string;
}

export interface ExportFlags extends FilterFlags {
  format?: string;
  output?: string;
}

/** Rows of a list without --limit. */
const usualLimit = 50;

export async function listRequests(flags: FilterFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const now = Date.now();
  const filter = readFilter(flags, now);
  const limit = readCount(flags.limit, "--limit") ?? usualLimit;
  return readBeside(homes.database, async (db) => {
    const rows = await requestList(db).newest(filter, limit);
    const folder = foldersOf(homes.stateDir);
    const requests = rows.map((row) => reportRequest(row, folder(row)));
    if (flags.json === true) console.log(JSON.stringify({ requests }, null, 2));
    else if (requests.length === 0) console.log(describeNothing(filter));
    else console.log(renderRequests(requests, { paint, now, columns: terminalColumns() }));
    return 0;
  });
}

export interface ShowFlags {
  json?: boolean;
  bodies?: boolean;
}

export async function showRequest(wanted: string, flags: ShowFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  return readBeside(homes.database, async (db) => {
    const ledger = lookups(db);
    const row = await findTheWanted(wanted, ledger);
    const request = reportRequest(row, foldersOf(homes.stateDir)(row));
    const attempts = (await ledger.attemptsOf(row.id)).map(reportAttempt);
    const captured = await findCapture(db, row.id);
    if (flags.bodies === true) {
      if (captured === undefined) throw notCaptured(row.id);
      const { createdAt: _, requestId: id, ...bodies } = captured;
      const told = { id, ...bodies, request: asJson(captured.request), response: asJson(captured.response) };
      writeAll(1, `${JSON.stringify(told, null, 2)}\n`);
    } else if (flags.json === true) {
      const report = { request, attempts, captured: captured !== undefined };
      console.log(JSON.stringify(report, null, 2));
    } else console.log(renderRequest(request, attempts, paint, captured !== undefined));
    return 0;
  });
}

/** As a value where it is JSON, as the text that it is otherwise: a stream of events. */
function asJson(text: string | undefined): unknown {
  try {
    return text === undefined ? null : JSON.parse(text);
  } catch {
    return text;
  }
}

export interface CaptureFlags {
  for?: string;
  errors?: boolean;
  json?: boolean;
}

/** Longer is no look at something, but a second ledger (ms). */
const maxCaptureMs = 7 * 86_400_000;

/** @param word `on`, `off` or `status` */
export async function switchCapture(word: string, flags: CaptureFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  if (word !== "on" && word !== "off" && word !== "status") throw unknownWord("capture", word, ["on", "off", "status"]);
  if (word !== "on" && (flags.for !== undefined || flags.errors === true)) {
    throw new ClutchError("usage", `--for and --errors belong to capture on, not to ${word}`, {
      hint: "leave them out",
    });
  }
  const mode = word === "on" ? readMode(flags) : undefined;
  const asked = word === "status" ? undefined : (mode ?? { what: "off" });
  const answer = await askGateway(homes, env, "/capture", asked === undefined ? undefined : { ...asked });
  if (!answer.ok && word !== "status") writeCaptureMode(homes.stateDir, mode);
  const report = answer.ok ? (answer.body as unknown as CaptureReport) : await readCaptureReport(homes);
  if (flags.json === true) console.log(JSON.stringify({ ...report, source: answer.ok ? "gateway" : "ledger" }));
  else {
    console.log(describeCapture(report));
    if (!answer.ok && word === "on") console.log(paint.dim(`it begins with the gateway: ${answer.reason}`));
  }
  return 0;
}

function readMode({ for: span = "1h", errors }: CaptureFlags): CaptureMode {
  const ms = parseSpan(span);
  if (ms === undefined || ms === 0 || ms > maxCaptureMs) {
    throw new ClutchError("usage", `--for is "${span}", which is no span of up to 7 days`, { hint: "as in 30m or 2h" });
  }
  return { what: errors === true ? "errors" : "all", until: Date.now() + ms };
}

async function readCaptureReport({ stateDir, database }: Homes): Promise<CaptureReport> {
  const mode = readCaptureMode(stateDir, Date.now());
  const kept = existsSync(database) ? await readBeside(database, sumCaptures) : { count: 0, bytes: 0 };
  return {
    mode: mode?.what ?? "off",
    until: mode === undefined ? null : new Date(mode.until).toISOString(),
    captured: kept.count,
    stored_bytes: kept.bytes,
  };
}

function describeCapture({ mode, until, captured, stored_bytes: bytes }: CaptureReport): string {
  const kept = `${renderNumber(captured, "request")} kept (${Math.ceil(bytes / 1024)} KB)`;
  if (mode === "off" || until === null) return `bodies are not captured; ${kept}`;
  const what = mode === "all" ? "of all requests" : "of requests that fail";
  return `bodies ${what} are captured until ${renderClock(Date.parse(until), Date.now())}, without keys; ${kept}`;
}

/** Rows that are in memory at a time. */
const pageSize = 1_000;

/** The oldest first, page by page, however long the ledger is. */
export async function exportRequests(flags: ExportFlags, env: Env): Promise<number> {
  const homes = resolveHomes(env);
  const filter = readFilter(flags, Date.now());
  const limit = readCount(flags.limit, "--limit") ?? Number.POSITIVE_INFINITY;
  const format = readFormat(flags);
  const render = format === "csv" ? renderRequestAsCsv : (report: RequestReport) => `${JSON.stringify(report)}\n`;
  return readBeside(homes.database, async (db) => {
    const list = requestList(db);
    const folder = foldersOf(homes.stateDir);
    const sink = openSink(flags.output);
    let behind = "";
    let count = 0;
    try {
      if (format === "csv") sink.write(renderCsvHead());
      while (count < limit) {
        const wanted = Math.min(pageSize, limit - count);
        const rows = await list.page(filter, behind, wanted);
        sink.write(rows.map((row) => render(reportRequest(row, folder(row)))).join(""));
        count += rows.length;
        behind = rows.at(-1)?.id ?? behind;
        if (rows.length < wanted) break;
      }
    } finally {
      sink.close();
    }
    if (flags.output !== undefined) console.error(`${count} requests written to ${flags.output}`);
    return 0;
  });
}

function readFormat({ format, output }: ExportFlags): "jsonl" | "csv" {
  if (format === undefined) return output?.toLowerCase().endsWith(".csv") === true ? "csv" : "jsonl";
  return format === "csv" ? "csv" : "jsonl";
}

interface Sink {
  write(text: string): void;
  close(): void;
}

/** What was asked of models, and for whom, is nobody else's business: a new file is its owner's. */
function openSink(path: string | undefined): Sink {
  if (path === undefined) return { write: (text) => writeAll(1, text), close: () => {} };
  try {
    const file = openSync(path, "w", 0o600);
    return { write: (text) => writeAll(file, text), close: () => closeSync(file) };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw new ClutchError("failed", `cannot write ${path} (${code})`, { hint: "choose another place", cause });
  }
}

/** Waits for a slow reader; one that has gone needs no more. */
function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(file, bytes, written);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === "EPIPE") process.exit(0);
      if (code !== "EAGAIN") throw cause;
      Bun.sleepSync(5);
    }
  }
}

/** How often the ledger is looked at (ms): asking whether it has changed costs some microseconds. */
const pollMs = 250;

/** Rows that are shown first. */
const usualTail = 10;

/** Each request as it ends. Reads the ledger, never the gateway: nothing on a request's way knows that somebody looks. */
export async function tailRequests(flags: TailFlags, env: Env): Promise<never> {
  const homes = resolveHomes(env);
  const filter = readFilter(flags, Date.now());
  if (filter.until !== undefined)
    throw new ClutchError("usage", "tail has no --until", { hint: "use clutch requests list" });
  const count = readCount(flags.lines, "-n") ?? usualTail;
  const isJson = flags.json === true;
  const print = (rows: readonly ListedRequest[]) => {
    const folder = foldersOf(homes.stateDir);
    for (const row of rows) {
      const report = reportRequest(row, folder(row));
      writeAll(
        1,
        `${isJson ? JSON.stringify(report) : renderTailLine(report, { paint, now: Date.now(), columns: terminalColumns() })}\n`,
      );
    }
  };
  const tail = new RequestTail(filter);
  let isFirst = true;
  for (;;) {
    // A ledger that was moved away and made anew is another file.
    const file = fileOf(homes.database);
    await readBeside(homes.database, async (db) => {
      const list = requestList(db);
      let version: number | undefined;
      if (isFirst) {
        if (!isJson) writeAll(1, `${renderTailHead({ paint, columns: terminalColumns() })}\n`);
        print(await tail.begin(list, count, Date.now()));
        isFirst = false;
      }
      while (fileOf(homes.database) === file) {
        const current = list.version();
        if (current !== version) print(await tail.look(list, Date.now()));
        version = current;
        await Bun.sleep(pollMs);
      }
    });
  }
}

function fileOf(path: string): string {
  const facts = statSync(path, { throwIfNoEntry: false });
  return facts === undefined ? "none" : `${facts.dev}:${facts.ino}`;
}

/** What a list says where there is nothing to list. */
function describeNothing(filter: RequestFilter): string {
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  return isFiltered ? "no request in the ledger is like that" : "the ledger holds no request yet";
}

/** @throws {ClutchError} `usage` */
export function readFilter(flags: FilterFlags, now: number): RequestFilter {
  const { agent, model, servedBy, session, launch, since, until } = flags;
  return {
    ...(agent !== undefined && { agents: readAgents(agent) }),
    ...(model !== undefined && { model }),
    ...(servedBy !== undefined && { servedBy }),
    ...readStatuses(flags),
    ...(session !== undefined && { session }),
    ...(launch !== undefined && { launchId: launch }),
    ...(since !== undefined && { since: parseMoment(since, "--since", now) }),
    ...(until !== undefined && { until: parseMoment(until, "--until", now) }),
  };
}

function readStatuses({ status, errors }: FilterFlags): Pick<RequestFilter, "statuses"> {
  if (status === undefined) return errors === true ? { statuses: ["error"] } : {};
  if (errors === true) {
    throw new ClutchError("usage", "--errors and --status say the same", { hint: "--errors is --status error" });
  }
  const statuses = splitList(status).map((word) => {
    const known = requestStatuses.find((one) => one === word);
    if (known !== undefined) return known;
    throw unknownWord("--status", word, requestStatuses);
  });
  return { statuses };
}
