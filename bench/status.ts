/**
 * How long `clutch status` and `clutch status --line` take, on the compiled executable (`npm run build` first).
 *
 *     bun bench/status.ts [--runs 30]
 *
 * Up: a gateway, and stand-ins that answer as Headroom and CLIProxyAPI do. Dead: nothing listens. Hung: all three take
 * connections and say nothing, the worst that a member can do.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median } from "./harness.ts";
import { decimals, renderTable } from "./report.ts";
import type { Command, CommandTimes } from "./startup.ts";

const clutch = join(import.meta.dir, "../dist/clutch");

/** What the issue asks for (ms), of the median. */
const gates: Readonly<Record<string, number>> = {
  "status, all up": 150,
  "status, all dead": 1_200,
  "status, all hung": 1_200,
  "--line, up": 20,
  "--line, dead": 20,
};

interface Place extends AsyncDisposable {
  env: Record<string, string>;
}

async function openPlace(kind: "up" | "dead" | "hung"): Promise<Place> {
  const home = mkdtempSync(join(tmpdir(), "clutch-bench-status-"));
  const ends: (() => unknown)[] = [() => rmSync(home, { recursive: true, force: true })];
  const ports = [await freePort(), await freePort(), await freePort()] as const;
  const [gateway, headroom, proxy] = ports;
  const services = [
    { id: "headroom", port: headroom },
    { id: "cliproxyapi", port: proxy, enabled: true },
  ];
  const providers = { openrouter: { api_key: "no-key-of-anybody" } };
  writeFileSync(
    join(home, "config.json"),
    JSON.stringify({ server: { port: gateway }, providers, chain: { services } }),
  );
  const env = { HOME: home, CLUTCH_HOME: home, PATH: "/usr/bin:/bin" };
  if (kind === "up") {
    const url = `http://127.0.0.1:${gateway}`;
    const health = {
      service: "headroom-proxy",
      status: "healthy",
      version: "0.0.0",
      config: { anthropic_api_url: url, openai_api_url: url },
    };
    const front = Bun.serve({ hostname: "127.0.0.1", port: headroom, fetch: () => Response.json(health) });
    const side = Bun.serve({ hostname: "127.0.0.1", port: proxy, fetch: () => Response.json({ status: "ok" }) });
    const child = Bun.spawn([clutch, "serve"], { env, cwd: home, stdio: ["ignore", "ignore", "ignore"] });
    ends.push(
      () => front.stop(true),
      () => side.stop(true),
      async () => {
        child.kill("SIGKILL");
        await child.exited;
      },
    );
    await untilAnswers(`${url}/livez`);
  }
  if (kind === "hung") {
    for (const port of ports) {
      const server = await listenMutely(port);
      ends.push(() => server.close());
    }
  }
  return {
    env,
    async [Symbol.asyncDispose]() {
      for (const end of ends.reverse()) await end();
    },
  };
}

async function freePort(): Promise<number> {
  const server = await listenMutely(0);
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listenMutely(port: number): Promise<Server> {
  const server = createServer(() => {});
  return new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server)));
}

async function untilAnswers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (
      await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await Bun.sleep(25);
  }
  throw new Error(`nothing answers at ${url}`);
}

const { values } = parseArgs({ options: { runs: { type: "string", default: "30" } } });
const runs = Number(values.runs);
await using up = await openPlace("up");
await using dead = await openPlace("dead");
await using hung = await openPlace("hung");
const quick: Command[] = [
  { name: "--version", argv: [clutch, "--version"], env: up.env },
  { name: "--line, up", argv: [clutch, "status", "--line"], env: up.env },
  { name: "--line, dead", argv: [clutch, "status", "--line"], env: dead.env },
  { name: "status, all up", argv: [clutch, "status"], env: up.env },
  { name: "status, all dead", argv: [clutch, "status"], env: dead.env, status: 3 },
];
const slow: Command[] = [{ name: "status, all hung", argv: [clutch, "status"], env: hung.env, status: 3 }];
const measured = [...(await measureInSteps(quick, runs)), ...(await measureInSteps(slow, Math.ceil(runs / 5)))];
const row = ({ name, runsMs, cpuMs, bad }: CommandTimes) => {
  const sorted = [...runsMs].sort((one, other) => one - other);
  const p95 = sorted[Math.floor((sorted.length - 1) * 0.95)];
  const gate = gates[name];
  const verdict = gate === undefined ? "-" : median(sorted) < gate ? `< ${gate}` : `MISSED ${gate}`;
  return [
    name,
    decimals(median(sorted), 1),
    decimals(p95, 1),
    decimals(sorted[0], 1),
    decimals(cpuMs, 1),
    String(bad),
    verdict,
  ];
};
console.log(renderTable(["command", "median ms", "p95 ms", "least ms", "CPU ms", "bad", "gate"], measured.map(row)));
const isMissed = measured.some(
  ({ name, runsMs, bad }) => bad > 0 || median(runsMs) >= (gates[name] ?? Number.POSITIVE_INFINITY),
);
process.exitCode = isMissed ? 1 : 0;

/** The stand-ins live in this process, which measuring keeps busy: each round is one step, and they get their turn between. */
async function measureInSteps(commands: readonly Command[], rounds: number): Promise<CommandTimes[]> {
  const times = new Map<string, CommandTimes>();
  for (let round = -2; round < rounds; round++) {
    for (const command of commands) {
      const startedAtNs = Bun.nanoseconds();
      const child = Bun.spawn(command.argv, { env: { ...command.env }, stdio: ["ignore", "ignore", "ignore"] });
      const code = await child.exited;
      const elapsedMs = (Bun.nanoseconds() - startedAtNs) / 1e6;
      if (round < 0) continue;
      const known = times.get(command.name) ?? { name: command.name, runsMs: [], cpuMs: 0, bad: 0 };
      known.runsMs.push(elapsedMs);
      known.cpuMs += Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000 / rounds;
      if (code !== (command.status ?? 0)) known.bad++;
      times.set(command.name, known);
    }
  }
  return [...times.values()];
}
