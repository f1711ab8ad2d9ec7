/** `clutch doctor --agents`, and the way to the other looks: `--rtk`, and all at once without either. */

import pc from "picocolors";
import { type AgentRow, agents } from "../launcher/agents.ts";
import { describeUnlaunched, isFault, type RouteCheck, type Verdict } from "../launcher/doctor/agent-check.ts";
import { probeRoute } from "../launcher/doctor/probe.ts";
import { probeTraits } from "../launcher/doctor/probe-traits.ts";
import { type AgentReport, renderReports, renderReportsJson } from "../launcher/doctor/render.ts";
import { type AgentCheck, writeAgentChecks } from "../launcher/doctor/results.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { askInstalled, type Installed } from "../src/installed.ts";
import { type AgentLetter, isAgentLetter } from "../src/launch-code.ts";

export interface DoctorFlags {
  agents?: boolean;
  rtk?: boolean;
  fix?: boolean;
  json?: boolean;
}

/** @returns 0 when all that was checked is well, 3 when something is not, 128+n when a signal ended it */
export async function doctor(names: readonly string[], flags: DoctorFlags, env: Env): Promise<number> {
  if (flags.agents === true && flags.rtk === true) {
    throw new ClutchError("usage", "--agents and --rtk are two checks", { hint: "ask for one at a time" });
  }
  if (flags.fix === true && (flags.agents === true || flags.rtk === true)) {
    throw new ClutchError("usage", "--fix mends what clutch doctor finds by itself", {
      hint: "leave out --agents and --rtk",
    });
  }
  if (flags.rtk === true) {
    const { checkRtk } = await import("./doctor-rtk.ts");
    return checkRtk(names, flags.json === true, env);
  }
  if (flags.agents !== true) {
    if (names.length > 0) {
      throw new ClutchError("usage", `clutch doctor looks at everything, not at "${names[0]}" alone`, {
        hint: `clutch doctor --agents ${names.join(" ")} launches agents and tells where they talk to`,
      });
    }
    const { checkUp } = await import("./check-up.ts");
    return checkUp({ isJson: flags.json === true, mends: flags.fix === true }, env);
  }
  return checkAgents(parseAgentNames(names), flags.json === true, env);
}

/** An agent by letter, program or name; all of them for no name. @throws {ClutchError} `usage` */
function parseAgentNames(names: readonly string[]): AgentLetter[] {
  const letters = Object.keys(agents).filter(isAgentLetter);
  if (names.length === 0) return letters;
  const wanted = names.map((name) => {
    const typed = name.toLowerCase();
    const found = letters.find((letter) =>
      [letter, agents[letter].binary, agents[letter].name.toLowerCase()].includes(typed),
    );
    if (found !== undefined) return found;
    throw new ClutchError("usage", `there is no agent "${name}"`, {
      hint: `use ${letters.map((letter) => agents[letter].binary).join(", ")}, or the letter of a launch code`,
    });
  });
  return [...new Set(wanted)];
}

const routes = ["p", "b"] as const;

/** Agents that are checked at the same time; one agent's routes share files of its own, so they follow each other. */
const lanes = 2;

/** Of one launch. */
const launchLimitMs = 60_000;

async function checkAgents(letters: readonly AgentLetter[], isJson: boolean, env: Env): Promise<number> {
  const { stateDir, cacheDir } = resolveHomes(env);
  const interrupt = catchSignals();
  try {
    const reports = await inLanes(letters, lanes, (letter) => checkAgent(letter, cacheDir, env, interrupt.signal));
    const status = interrupt.status();
    if (status !== undefined) return status;
    console.log(isJson ? renderReportsJson(reports) : renderReports(reports, paint));
    store(stateDir, reports.flatMap(toStored));
    return reports.some((report) => report.routes.some((check) => isFault(check.verdict))) ? 3 : 0;
  } finally {
    interrupt.stop();
  }
}

async function checkAgent(letter: AgentLetter, cacheDir: string, env: Env, signal: AbortSignal): Promise<AgentReport> {
  const row: AgentRow = agents[letter];
  const file = findBinary(row.binary, env);
  const shows = probeTraits[letter].shows ?? null;
  const about = { agent: letter, name: row.name, path: file ?? null, shows };
  if (file === undefined) {
    const reason = `${row.binary} is not on PATH: install it with ${row.install}`;
    return {
      ...about,
      version: null,
      routes: routes.map((route) => describeUnlaunched(route, "not-installed", reason)),
    };
  }
  // After Ctrl-C nothing more is started.
  if (signal.aborted) return { ...about, version: null, routes: [] };
  const inquiry = { subcommands: [], ...(row.question && { question: row.question }) };
  const installed = await unlessAborted(askInstalled(file, inquiry, cacheDir, env), signal);
  if (installed === undefined) return { ...about, version: null, routes: [] };
  const version = installed.version ?? null;
  const checks: RouteCheck[] = [];
  for (const route of routes) {
    if (signal.aborted) break;
    report(`${row.name} ${version ?? ""} on route ${route} ...`);
    const check = await probeRoute({ letter, row, route, file, installed, env, limitMs: launchLimitMs, signal });
    if (!signal.aborted) report(`${row.name} ${version ?? ""} on route ${route}: ${renderProgress(check)}`);
    checks.push(check);
  }
  return { ...about, version, routes: checks };
}

/** Undefined as soon as the signal says so; what is under way has a limit of its own. */
async function unlessAborted(work: Promise<Installed>, signal: AbortSignal): Promise<Installed | undefined> {
  const aborted = new Promise<undefined>((resolve) =>
    signal.addEventListener("abort", () => resolve(undefined), { once: true }),
  );
  return Promise.race([work, aborted]);
}

function renderProgress({ verdict, duration_ms }: RouteCheck): string {
  const seconds = duration_ms === null ? "" : ` after ${(duration_ms / 1000).toFixed(1)} s`;
  return `${paint(verdict, verdict)}${seconds}`;
}

/** What was found is worth telling, even where it cannot be kept. */
function store(stateDir: string, checks: readonly AgentCheck[]): void {
  try {
    writeAgentChecks(stateDir, checks);
  } catch (error) {
    console.error(`clutch: the results cannot be kept in ${stateDir} (${renderError(error)})`);
  }
}

function toStored({ agent, path, version, routes: checks }: AgentReport): AgentCheck[] {
  if (path === null || !isAgentLetter(agent)) return [];
  return [{ agent, path, version, checked_at: new Date().toISOString(), routes: checks }];
}

/** Progress is for somebody who watches. */
function report(line: string): void {
  if (process.stderr.isTTY) console.error(pc.dim(line));
}

function paint(text: string, verdict: Verdict): string {
  if (verdict === "ok") return pc.green(text);
  return isFault(verdict) ? pc.red(text) : pc.dim(text);
}

/** In the order of the items, whenever each is done. */
async function inLanes<Item, Result>(
  items: readonly Item[],
  count: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = [...items.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [at, item] = next;
      results[at] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: count }, lane));
  return results;
}

/** Agents run in sessions of their own, so Ctrl-C does not reach them: the first signal ends them, and then this. */
function catchSignals(): { signal: AbortSignal; status(): number | undefined; stop(): void } {
  const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
  const controller = new AbortController();
  let status: number | undefined;
  const handlers = Object.entries(numbers).map(([name, number]) => {
    const onSignal = () => {
      status ??= 128 + number;
      controller.abort();
    };
    process.on(name as keyof typeof numbers, onSignal);
    return [name, onSignal] as const;
  });
  return {
    signal: controller.signal,
    status: () => status,
    stop: () => {
      for (const [name, onSignal] of handlers) process.off(name, onSignal);
    },
  };
}
