/**
 * Start-up time of command lines, interleaved (A B C A B C ...), without a shell in between, output discarded.
 *
 *     bun bench/startup.ts [--runs 40] "/bin/true" "dist/clutch --version" "dist/xx cip --dry-run"
 *
 * Without commands it takes two of Clutch's own. Ratios are to the first command.
 */

import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { compileProgram, median } from "./harness.ts";
import { decimals, renderTable } from "./report.ts";

export interface Command {
  name: string;
  argv: string[];
  /** Added to PATH and nothing else; a HOME of its own keeps the caller's config out. */
  env: Readonly<Record<string, string>>;
  /** The exit status that counts as done; default 0. */
  status?: number;
}

export interface CommandTimes {
  name: string;
  /** Wall time of each run (ms). */
  runsMs: number[];
  /** User and system time per run, mean (ms). */
  cpuMs: number;
  /** Runs that ended with another status than they should. */
  bad: number;
}

const warmUpRuns = 3;

/** Blocks the event loop while it runs, which keeps this process out of the way of what it times. */
export function measureCommands(commands: readonly Command[], runs: number): CommandTimes[] {
  const measured = commands.map((command) => ({
    command,
    times: { name: command.name, runsMs: [], cpuMs: 0, bad: 0 } as CommandTimes,
  }));
  for (let run = -warmUpRuns; run < runs; run++) {
    for (const { command, times } of measured) {
      const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ...command.env };
      const startedAtNs = Bun.nanoseconds();
      const result = Bun.spawnSync(command.argv, { env, stdio: ["ignore", "ignore", "ignore"] });
      const elapsedMs = (Bun.nanoseconds() - startedAtNs) / 1e6;
      if (run < 0) continue;
      times.runsMs.push(elapsedMs);
      times.cpuMs += Number(result.resourceUsage.cpuTime.total) / 1000 / runs;
      if (result.exitCode !== (command.status ?? 0)) times.bad++;
    }
  }
  return measured.map(({ times }) => times);
}

/** The ratio of each round's pair, then the middle one: slow moments of the machine hit both halves of a pair. */
export function startRatio(times: CommandTimes, floor: CommandTimes): number {
  return median(times.runsMs.map((ms, run) => ms / (floor.runsMs[run] ?? Number.NaN)));
}

export function renderTimes(all: readonly CommandTimes[]): string {
  const floor = all[0];
  const rows = all.map((times) => {
    const sorted = [...times.runsMs].sort((a, b) => a - b);
    return [
      times.name,
      decimals(median(sorted), 2),
      decimals(sorted[Math.floor((sorted.length - 1) * 0.95)], 2),
      decimals(sorted[0], 2),
      decimals(times.cpuMs, 2),
      floor === undefined ? "-" : decimals(startRatio(times, floor), 2),
      String(times.bad),
    ];
  });
  return renderTable(["command", "median ms", "p95 ms", "least ms", "CPU ms", "ratio", "bad"], rows);
}

/** What a launch is measured with. */
export interface LaunchPlace {
  home: string;
  /** Named as an agent's program, and ends at once. */
  agent: string;
  /** Of a gateway that answers. */
  gatewayPort: string;
}

/** What Clutch's commands cost over a compiled program that only prints a line, and a launch over the agent alone. */
export function ownCommands(clutch: string, xx: string, { home, agent, gatewayPort }: LaunchPlace): Command[] {
  const env = { HOME: home, CLUTCH_HOME: home, CLUTCH_PORT: gatewayPort, PATH: dirname(agent) };
  return [
    { name: "compiled hello", argv: [compileProgram("hello")], env },
    { name: "clutch --version", argv: [clutch, "--version"], env },
    { name: "the agent alone", argv: [agent], env },
    { name: "xx cip, then the agent", argv: [xx, "cip"], env },
    { name: "xx cip --dry-run", argv: [xx, "cip", "--dry-run"], env },
  ];
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    options: { runs: { type: "string", default: "40" } },
    allowPositionals: true,
  });
  const env = { HOME: process.env["HOME"] ?? "/" };
  const dist = `${import.meta.dir}/../dist`;
  const lines = positionals.length > 0 ? positionals : [`${dist}/clutch --version`, `${dist}/xx cip --dry-run`];
  const commands = lines.map((line) => ({ name: line, argv: line.split(/\s+/), env }));
  console.log(renderTimes(measureCommands(commands, Number(values.runs))));
}
