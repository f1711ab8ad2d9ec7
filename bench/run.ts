/**
 * `npm run bench`: Clutch beside the direct path and two minimal gateways, in one run, held against its gates.
 * Everything it starts listens on loopback and is stopped by pid; everything it writes is outside the source tree.
 */

import { Database } from "bun:sqlite";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ClutchError } from "../src/errors.ts";
import { buildBody } from "./bodies.ts";
import {
  buildFolder,
  compileNative,
  median,
  type RouteName,
  type RunningTarget,
  residentMb,
  runLoad,
  type Sample,
  startMock,
  startTarget,
  stopEverything,
  type TargetSpec,
} from "./harness.ts";
import { measureHeadroom, renderHeadroom } from "./headroom.ts";
import { portkeyTarget } from "./peers.ts";
import { decimals, renderTable } from "./report.ts";
import {
  judge,
  type LoadSection,
  loadSections,
  type Results,
  type Round,
  renderSection,
  renderVerdicts,
  startSections,
  subject,
} from "./sections.ts";
import { measureCommands, ownCommands, renderTimes, startRatio } from "./startup.ts";
import { baselineTargets, clutchTarget, direct, findFault, unrecordedTarget, unroutedTarget } from "./targets.ts";
import { measureUsage } from "./usage.ts";

interface Settings {
  rounds: number;
  /** Length of one load (seconds). */
  seconds: number;
  /** Ids of the sections to run. */
  sections: ReadonlySet<string>;
  commandRuns: number;
  coldStarts: number;
  /** Undefined measures the baselines alone. */
  clutch: string | undefined;
  /** Whose translation routing is held against; the same one when left out. */
  before: string | undefined;
  /** Headroom's program; undefined leaves it out. */
  headroom: string | undefined;
  withPeers: boolean;
  mustMeetGates: boolean;
  output: string | undefined;
}

const help = `usage: npm run bench -- [options]

  --rounds N     rounds per section (5); the middle one counts
  --secs S       length of one load in seconds (1.2)
  --only ID      a section or the start of its name, may be repeated: same, translate-2k, start, ...
  --quick        one short round of everything: shows that it works, proves nothing
  --gate         exit 1 when a gate is missed
  --out FILE     every sample as JSON
  --peers        with Portkey's gateway from npm (installs it on first use)
  --clutch FILE  the executable to measure (dist/clutch)
  --before FILE  an earlier executable, for routed-100k to be held against (the same one)
  --headroom FILE  Headroom's program: what going through it adds to a session, and what it saves
  --baselines    measure only the direct path and the baselines
`;

function readSettings(argv: string[]): Settings | undefined {
  const { values } = parseArgs({
    args: argv,
    options: {
      rounds: { type: "string" },
      secs: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      quick: { type: "boolean", default: false },
      gate: { type: "boolean", default: false },
      out: { type: "string" },
      peers: { type: "boolean", default: false },
      clutch: { type: "string" },
      before: { type: "string" },
      headroom: { type: "string" },
      baselines: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    rounds: positive("--rounds", values.rounds, values.quick ? 1 : 5),
    seconds: positive("--secs", values.secs, values.quick ? 0.4 : 1.2),
    sections: chooseSections(values.only.flatMap((list) => list.split(","))),
    commandRuns: values.quick ? 8 : 40,
    coldStarts: values.quick ? 2 : 9,
    clutch: values.baselines ? undefined : findClutch(values.clutch ?? join(import.meta.dir, "../dist/clutch")),
    before: values.before === undefined ? undefined : findClutch(values.before),
    headroom: values.headroom === undefined ? undefined : findClutch(values.headroom),
    withPeers: values.peers,
    mustMeetGates: values.gate,
    output: values.out,
  };
}

function positive(option: string, text: string | undefined, fallback: number): number {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new ClutchError("usage", `${option} ${text} is not a number above 0`);
}

function chooseSections(wanted: readonly string[]): ReadonlySet<string> {
  const all = [...startSections, ...loadSections.map((section) => section.id)];
  if (wanted.length === 0) return new Set(all);
  const chosen = new Set<string>();
  for (const prefix of wanted) {
    const found = all.filter((id) => id === prefix || id.startsWith(`${prefix}-`));
    if (found.length === 0) {
      throw new ClutchError("usage", `--only ${prefix} is no section`, { hint: `choose from ${all.join(", ")}` });
    }
    for (const id of found) chosen.add(id);
  }
  return chosen;
}

function findClutch(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return absolute;
  throw new ClutchError("failed", `${absolute} does not exist`, {
    hint: "build it with `npm run build`, or pass --baselines to measure without it",
  });
}

async function main(settings: Settings): Promise<boolean> {
  if (process.platform !== "linux") {
    throw new ClutchError("not-supported", `the bench reads /proc, which ${process.platform} lacks`, {
      hint: "run it on Linux",
    });
  }
  mkdirSync(buildFolder, { recursive: true });
  const runFolder = mkdtempSync(join(buildFolder, "run-"));
  onSignals(runFolder);
  try {
    return await measure(settings, runFolder);
  } finally {
    stopEverything();
    rmSync(runFolder, { recursive: true, force: true });
  }
}

/** A person who is tired of waiting gets the ports and the folder back too. */
function onSignals(runFolder: string): void {
  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const) {
    process.once(signal, () => {
      stopEverything();
      rmSync(runFolder, { recursive: true, force: true });
      process.exit(status);
    });
  }
}

async function measure(settings: Settings, runFolder: string): Promise<boolean> {
  const startedAtMs = performance.now();
  const home = join(runFolder, "home");
  const results: Results = { loads: {}, cold: {}, idleMb: {}, afterLoadMb: {} };
  const machine = {
    at: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    bun: Bun.version,
    loadBefore: loadavg()[0] ?? 0,
  };
  console.log(`# Clutch bench, ${machine.at.slice(0, 10)}\n`);
  console.log(`${machine.cores} x ${machine.cpu}, Bun ${machine.bun}, load before ${machine.loadBefore.toFixed(2)};`);
  console.log(`${settings.rounds} round(s) of ${settings.seconds} s. Only ratios inside this run mean anything.\n`);

  compileNative("load");
  const mock = await startMock(runFolder);
  const specs = [
    direct,
    ...baselineTargets(mock.baseUrl),
    ...(settings.clutch === undefined ? [] : [clutchTarget(settings.clutch, home, mock.baseUrl)]),
    ...(settings.clutch === undefined || !settings.sections.has("routed-100k")
      ? []
      : [unroutedTarget(settings.before ?? settings.clutch, join(runFolder, "unrouted"), mock.baseUrl)]),
    ...(settings.clutch === undefined || !settings.sections.has("ledger-2k")
      ? []
      : [unrecordedTarget(settings.clutch, join(runFolder, "unrecorded"), mock.baseUrl)]),
    ...(settings.withPeers ? [portkeyTarget(mock.baseUrl, runFolder)] : []),
  ];

  const ownSpec = specs.find((spec) => spec.name === subject);
  if (settings.sections.has("start-command") && ownSpec !== undefined) {
    await measureStartOfCommands(settings, ownSpec, mock.baseUrl, runFolder, results);
  }
  if (settings.sections.has("start-cold")) await measureColdStarts(settings, specs, mock.baseUrl, runFolder, results);

  const running: RunningTarget[] = [];
  for (const spec of specs) running.push(await startTarget(spec, mock.baseUrl, runFolder));
  const gateways = running.filter((target) => target.pid > 0);
  await Bun.sleep(1000);
  for (const target of gateways) results.idleMb[target.spec.name] = residentMb(target.pid).now;

  let answered = 0;
  for (const route of ["same", "translate", "routed", "recorded"] as const) {
    const sections = loadSections.filter((section) => section.route === route && settings.sections.has(section.id));
    if (sections.length > 0) answered += await measureRoute(settings, route, sections, running, runFolder, results);
  }
  for (const target of gateways) results.afterLoadMb[target.spec.name] = residentMb(target.pid);
  if (settings.sections.has("start-memory")) console.log(`${renderMemory(results)}\n`);
  if (settings.sections.has("state-memory") && settings.clutch !== undefined) results.stateMb = measureState();
  if (settings.sections.has("usage-month") && settings.clutch !== undefined) {
    const times = await measureUsage(settings.clutch, join(runFolder, "usage"), settings.commandRuns);
    const [, month] = times;
    if (month !== undefined && month.bad === 0) results.usageMs = median(month.runsMs);
    console.log(`### sums over a million requests (usage-month)\n\n${renderTimes(times)}\n`);
  }
  for (const target of running) await target.stop();
  await mock.stop();
  if (settings.headroom !== undefined && settings.clutch !== undefined) {
    results.headroom = await measureHeadroom(settings.clutch, settings.headroom, runFolder, settings.rounds);
    console.log(
      `### a session of 100 KB, straight and through Headroom (headroom)\n\n${renderHeadroom(results.headroom)}\n`,
    );
  }
  if (settings.clutch !== undefined && answered > 0) {
    results.ledger = { rows: countLedgerRows(join(home, "clutch.db")), answered };
  }

  const verdicts = settings.clutch === undefined ? [] : judge(results, settings.sections);
  const isLedgerWhole = results.ledger === undefined || results.ledger.rows >= results.ledger.answered;
  if (settings.clutch !== undefined) {
    console.log("## Gates\n");
    for (const issue of [2, 3, 4, 5, 7] as const) console.log(`${renderVerdicts(verdicts, issue)}\n`);
    if (results.ledger !== undefined) {
      const { rows } = results.ledger;
      console.log(
        `Ledger on: ${rows} rows for ${answered} answers, ${isLedgerWhole ? "ok" : "MISS (rows are lacking)"}.`,
      );
    }
  }
  const seconds = Math.round((performance.now() - startedAtMs) / 1000);
  console.log(`Took ${seconds} s; load on the machine after it ${decimals(loadavg()[0], 2)}.`);
  if (settings.output !== undefined) {
    const summary = verdicts.map(({ gate, value, isMet, note }) => {
      const { measure: _, ...terms } = gate;
      return { ...terms, value, isMet, note };
    });
    mkdirSync(dirname(resolve(settings.output)), { recursive: true });
    const { rounds, seconds: loadSeconds } = settings;
    writeFileSync(settings.output, JSON.stringify({ machine, rounds, loadSeconds, gates: summary, results }, null, 1));
  }
  return isLedgerWhole && verdicts.every((verdict) => verdict.isMet);
}

/** The launch of an agent needs a gateway that answers, and an agent that costs nothing itself. */
async function measureStartOfCommands(
  settings: Settings,
  clutch: TargetSpec,
  upstreamUrl: string,
  runFolder: string,
  results: Results,
): Promise<void> {
  const home = join(runFolder, "empty-home");
  const bin = join(runFolder, "bin");
  for (const folder of [home, bin]) mkdirSync(folder, { recursive: true });
  // Not /bin/true: its help would list flags, and none of those that a launch uses.
  writeFileSync(join(bin, "claude"), "#!/bin/sh\n", { mode: 0o755 });
  const gateway = await startTarget(clutch, upstreamUrl, runFolder);
  const launch = { home, agent: join(bin, "claude"), gatewayPort: new URL(gateway.baseUrl).port };
  const program = settings.clutch ?? "";
  const times = measureCommands(ownCommands(program, join(dirname(program), "xx"), launch), settings.commandRuns);
  await gateway.stop();
  const [floor, version, agent, launched] = times;
  if (floor !== undefined && version !== undefined && version.bad === 0) {
    results.versionRatio = startRatio(version, floor);
  }
  if (agent !== undefined && launched !== undefined && launched.bad === 0) {
    results.launchMs = median(launched.runsMs.map((ms, run) => ms - (agent.runsMs[run] ?? Number.NaN)));
  }
  console.log(`### commands from start to end (start-command)\n\n${renderTimes(times)}\n`);
}

/** The first start of each target is not counted: it fills the page cache and creates the database. */
async function measureColdStarts(
  settings: Settings,
  specs: readonly TargetSpec[],
  upstreamUrl: string,
  runFolder: string,
  results: Results,
): Promise<void> {
  const gateways = specs.filter(
    ({ launch, routes }) => launch !== undefined && (routes.same ?? routes.translate) !== undefined,
  );
  for (const spec of gateways) results.cold[spec.name] = { upMs: [], answerMs: [] };
  for (let start = -1; start < settings.coldStarts; start++) {
    for (const spec of gateways) {
      const target = await startTarget(spec, upstreamUrl, runFolder);
      const answerMs = target.upMs + (await timeOneAnswer(target));
      await target.stop();
      if (start < 0) continue;
      results.cold[spec.name]?.upMs.push(target.upMs);
      results.cold[spec.name]?.answerMs.push(answerMs);
    }
  }
  const rows = Object.entries(results.cold).map(([name, cold]) => [
    name,
    decimals(median(cold.upMs), 1),
    decimals(Math.min(...cold.upMs), 1),
    decimals(Math.max(...cold.upMs), 1),
    decimals(median(cold.answerMs), 1),
  ]);
  const head = ["target", "first answer ms", "least", "most", "first model answer ms"];
  console.log(`### spawn to first answer, page cache warm (start-cold)\n\n${renderTable(head, rows)}\n`);
}

async function timeOneAnswer(target: RunningTarget): Promise<number> {
  const route = target.spec.routes.same ?? target.spec.routes.translate;
  if (route === undefined) return Number.NaN;
  const options = { dialect: route.dialect, bytes: 2048, stream: false, model: route.model, script: "n=1" };
  const body = buildBody(options);
  const startedAtMs = performance.now();
  const answer = await fetch(target.baseUrl + route.path, {
    method: "POST",
    headers: { "content-type": "application/json", ...route.headers },
    body,
    signal: AbortSignal.timeout(10_000),
  });
  await answer.arrayBuffer();
  return answer.status === 200 ? performance.now() - startedAtMs : Number.NaN;
}

/** @returns how many requests Clutch answered 200 meanwhile: as many rows the ledger must hold */
async function measureRoute(
  settings: Settings,
  routeName: RouteName,
  sections: readonly LoadSection[],
  targets: readonly RunningTarget[],
  runFolder: string,
  results: Results,
): Promise<number> {
  let answered = 0;
  const sample = async (target: RunningTarget, section: LoadSection, seconds: number): Promise<Sample | undefined> => {
    const route = target.spec.routes[routeName];
    if (route === undefined) return undefined;
    const bodyFile = join(runFolder, `${target.spec.name}-${section.id}.json`);
    if (!existsSync(bodyFile)) {
      const { bytes, stream } = section;
      const script = stream?.script ?? "n=20";
      const { dialect, model } = route;
      writeFileSync(bodyFile, buildBody({ dialect, bytes, stream: stream !== undefined, model, script }));
    }
    const chunksPerAnswer = section.stream?.chunks ?? 0;
    const result = await runLoad(target, route, { bodyFile, parallel: section.parallel, seconds, chunksPerAnswer });
    if (target.spec.name === subject) answered += result.status["200"] ?? 0;
    return result;
  };

  const sound: RunningTarget[] = [];
  for (const target of targets) {
    const route = target.spec.routes[routeName];
    if (route === undefined) continue;
    const fault = await findFault(target, route);
    if (fault === undefined) sound.push(target);
    else console.log(`! left out: ${fault}\n`);
  }
  for (const target of sound) {
    for (const section of warmUps[routeName]) await sample(target, section, settings.seconds);
  }
  for (const section of sections) {
    for (const target of sound) await sample(target, section, settings.seconds / 4);
    const rounds: Round[] = [];
    for (let count = 0; count < settings.rounds; count++) {
      const round: Record<string, Sample> = {};
      for (const target of sound) {
        const result = await sample(target, section, settings.seconds * section.length);
        if (result !== undefined) round[target.spec.name] = result;
        await Bun.sleep(50);
      }
      rounds.push(round);
    }
    results.loads[section.id] = rounds;
    console.log(`${renderSection(section, rounds)}\n`);
  }
  return answered;
}

/** Short answers and streams as fast as they go, until the compiler has seen the hot paths. */
const warmUps: Record<RouteName, LoadSection[]> = {
  same: warmUpsFor("same"),
  translate: warmUpsFor("translate"),
  routed: warmUpsFor("routed"),
  recorded: warmUpsFor("recorded"),
};

function warmUpsFor(route: RouteName): LoadSection[] {
  const common = { title: "warm-up", route, bytes: 2048, length: 1 };
  return [
    { ...common, id: `warm-${route}`, parallel: 16 },
    { ...common, id: `warm-${route}-stream`, parallel: 32, stream: { script: "n=200", chunks: 200 } },
  ];
}

/** In a process of its own, which says it in its one line. */
function measureState(): number {
  const done = Bun.spawnSync([process.execPath, join(import.meta.dir, "state.ts")], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return done.exitCode === 0 ? Number(done.stdout.toString()) : Number.NaN;
}

function renderMemory(results: Results): string {
  const rows = Object.entries(results.idleMb).map(([name, idle]) => [
    name,
    decimals(idle, 0),
    decimals(results.afterLoadMb[name]?.now, 0),
    decimals(results.afterLoadMb[name]?.peak, 0),
  ]);
  return `### resident memory (start-memory)\n\n${renderTable(["target", "idle MB", "after load MB", "peak MB"], rows)}`;
}

/** Rows of the largest table: one per request, whatever else the database keeps. */
function countLedgerRows(path: string): number {
  if (!existsSync(path)) return 0;
  const database = new Database(path, { readonly: true });
  try {
    const tables = database.query<{ name: string }, []>("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    const counts = tables.map(({ name }) => {
      const row = database.query<{ rows: number }, []>(`SELECT count(*) AS rows FROM "${name}"`).get();
      return row?.rows ?? 0;
    });
    return Math.max(0, ...counts);
  } finally {
    database.close();
  }
}

try {
  const settings = readSettings(process.argv.slice(2));
  if (settings === undefined) console.log(help);
  else if (!(await main(settings)) && settings.mustMeetGates) process.exitCode = 1;
} catch (error) {
  const isUsage = error instanceof TypeError && "code" in error;
  if (!(error instanceof ClutchError) && !isUsage) throw error;
  const hint = error instanceof ClutchError && error.hint !== undefined ? `; ${error.hint}` : "";
  console.error(`bench: ${error.message}${hint}`);
  process.exitCode = error instanceof ClutchError ? error.exitStatus : 2;
}
