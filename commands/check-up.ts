/** `clutch doctor` by itself: looks at everything, tells what is not well and how to put it right, and with `--fix` does what is harmless. */

import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { type AgentRow, agents, claudeOtherBackends } from "../launcher/agents.ts";
import { findRivals } from "../launcher/exec.ts";
import { readLauncherSettings, readTierLetters } from "../launcher/settings.ts";
import { buildProviders, keyReader, type Providers } from "../providers/registry.ts";
import { checkConfigText } from "../src/config/check.ts";
import { readConfigFile } from "../src/config/file.ts";
import { holdsLiteralKey, loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { type Config, parseConfig } from "../src/config/schema.ts";
import { type GatewaySight, judgeChain, judgeGateway, judgeRtk, judgeTmux } from "../src/doctor/chain.ts";
import { judgeConfig } from "../src/doctor/config.ts";
import { checkFiles } from "../src/doctor/files.ts";
import { type Check, type Finding, fail, mendAll, ok, reportFindings, runChecks, warn } from "../src/doctor/finding.ts";
import { checkDatabase, judgeBreakers } from "../src/doctor/ledger.ts";
import { judgeLeftovers, type Leftover } from "../src/doctor/leftovers.ts";
import { checkPrices } from "../src/doctor/prices.ts";
import { checkProviders } from "../src/doctor/providers.ts";
import { renderDoctor } from "../src/doctor/render.ts";
import { ClutchError, renderError } from "../src/errors.ts";
import type { BreakerReport } from "../src/explain/breakers.ts";
import { findBinary } from "../src/find-binary.ts";
import type { GatewayStatus } from "../src/gateway/status-report.ts";
import { runBriefly } from "../src/lifecycle/brief-run.ts";
import { describeHarm, probeHeadroom } from "../src/lifecycle/chain/headroom.ts";
import { observeChain } from "../src/lifecycle/chain/observe.ts";
import { observePassive } from "../src/lifecycle/chain/passive.ts";
import { readPlan } from "../src/lifecycle/chain/record.ts";
import { observeRtk } from "../src/lifecycle/chain/rtk.ts";
import { chainSocket } from "../src/lifecycle/chain/tmux-stage.ts";
import type { ChainPlace } from "../src/lifecycle/chain/up.ts";
import { readAdmin } from "../src/lifecycle/gateway-admin.ts";
import { probeGateway } from "../src/lifecycle/gateway-probe.ts";
import { hintTmuxInstall } from "../src/lifecycle/guard.ts";
import { describePortHolder, isListening } from "../src/lifecycle/port-holder.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import { describeWorld } from "../src/models/world.ts";
import type { Json } from "../src/protocols/chat.ts";
import { version } from "../src/version.ts";
import { inspectAgents } from "./agents.ts";
import { gatewayUrlOf } from "./chain-place.ts";
import { paint } from "./paint.ts";

/** @returns 0 when nothing is broken, 3 when something is; warnings alone are no fault */
export async function checkUp({ isJson, mends }: { isJson: boolean; mends: boolean }, env: Env): Promise<number> {
  // Read by Bun at every fetch: calls to this machine stay on it.
  Object.assign(process.env, exemptLoopback(process.env));
  const homes = resolveHomes(env);
  const basis = await readBasis(homes, env);
  const found = await runChecks(listChecks(basis, homes, env));
  const findings = [...basis.findings, ...found];
  const report = reportFindings(mends ? mendAll(findings) : findings);
  console.log(isJson ? JSON.stringify(report, null, 2) : renderDoctor(report, paint));
  return report.healthy ? 0 : 3;
}

/** What most looks begin with. */
interface Basis {
  config: Config;
  path: string | undefined;
  /** What is in the file; empty where it cannot be read. */
  raw: Json;
  providers: Providers;
  /** The config's own. */
  findings: Finding[];
  chain: ChainPlace;
}

/** A config that cannot be read is one finding; what does not hang on it is looked at all the same. */
async function readBasis(homes: Homes, env: Env): Promise<Basis> {
  try {
    const file = await readConfigFile(homes);
    const { config, path, notices } = await loadConfig(homes, env);
    const providers = await readProviders(config, env);
    const source = path ?? homes.configFile;
    const launch = readLauncherSettings(file.value, source, env).gatewayUrl;
    const serve = gatewayUrlOf(config.server);
    const tierLetters = readTierLetters(file.value, source);
    const routing = { config, providers, tierLetters, quotas: new Map() };
    const findings = judgeConfig({ config, path, isLegacy: file.legacy, notices, urls: { serve, launch }, routing });
    return { config, path, raw: file.value, providers, findings, chain: chainOf(config, homes, env) };
  } catch (error) {
    const config = parseConfig({}, "defaults");
    const broken = describeBroken(error, homes);
    const note = warn("config", "what follows goes by the defaults, since the config cannot be used", broken[0]?.fix);
    const path = existsSync(homes.configFile) ? homes.configFile : undefined;
    const providers = buildProviders(
      config,
      keyReader(env, () => undefined),
    );
    return { config, path, raw: {}, providers, findings: [...broken, note], chain: chainOf(config, homes, env) };
  }
}

/** Each mistake with its place, where it is one of the file's. */
function describeBroken(error: unknown, { configFile }: Homes): Finding[] {
  const { message, hint } = error instanceof ClutchError ? error : { message: renderError(error), hint: undefined };
  const told = fail("config", message, hint ?? "correct it in the file");
  if (!(error instanceof ClutchError) || error.code !== "config-invalid" || !existsSync(configFile)) return [told];
  const { problems } = checkConfigText(readFileSync(configFile, "utf8"), false);
  const errors = problems.filter(({ kind }) => kind === "error");
  if (errors.length === 0) return [told];
  return errors.map((problem) =>
    fail("config", `${configFile}:${problem.line}:${problem.column}: ${problem.message}`, problem.hint ?? told.fix),
  );
}

function chainOf(config: Config, { stateDir, cacheDir, database }: Homes, env: Env): ChainPlace {
  return { stateDir, cacheDir, database, config, env, gatewayUrl: gatewayUrlOf(config.server) };
}

/** How long a `cmd:` key may take: a password manager may ask its owner first (ms). */
const keyCommandMs = 30_000;

async function readProviders(config: Config, env: Env): Promise<Providers> {
  const specs = Object.values(config.providers).flatMap(({ api_key, api_keys }) => [
    api_key ?? "",
    ...(api_keys ?? []),
  ]);
  const commands = [...new Set(specs.filter((spec) => spec.startsWith("cmd:")).map((spec) => spec.slice(4)))];
  const printed = new Map<string, string>();
  await Promise.all(
    commands.map(async (command) => {
      const run = { argv: ["/bin/sh", "-c", command], cwd: "/", env, limitMs: keyCommandMs };
      const { exitCode, stdout } = await runBriefly(run);
      if (exitCode === 0) printed.set(command, stdout);
    }),
  );
  return buildProviders(
    config,
    keyReader(env, (command) => printed.get(command)),
  );
}

function listChecks(basis: Basis, homes: Homes, env: Env): Check[] {
  const { config, path, providers, chain } = basis;
  const { stateDir, database, cacheDir } = homes;
  const now = Date.now();
  const home = env["HOME"] ?? homedir();
  const gateway = askGateway(chain);
  return [
    checkFiles({
      stateDir,
      database,
      configPath: path,
      holdsKey: holdsLiteralKey(config),
      uid: process.getuid?.() ?? 0,
      now,
    }),
    checkDatabase(database),
    checkPrices(cacheDir, listsOf(config, env), now),
    checkProviders({ config, providers, deps: { fetch, now: Date.now } }),
    {
      area: "breakers",
      look: async () => judgeBreakers(await readBreakers(await gateway, homes, env), now),
    },
    { area: "chain", look: () => lookAtChain(chain, gateway, cacheDir) },
    { area: "headroom", look: () => lookAtHeadroom(config, cacheDir, env) },
    { area: "rtk", look: async () => judgeRtk(await observeRtk({ env, home, cacheDir })) },
    { area: "tmux", look: () => lookAtTmux(stateDir, env) },
    { area: "agents", look: () => lookAtAgents(homes, env) },
    { area: "leftovers", look: () => judgeLeftovers(findLeftovers(env), claudeOtherBackends, env) },
  ];
}

function listsOf(config: Config, env: Env): ("openrouter" | "models.dev")[] {
  return Object.keys(describeWorld(config, {}, env).wanted) as ("openrouter" | "models.dev")[];
}

interface GatewayAnswer {
  sight: GatewaySight;
  status: GatewayStatus | undefined;
}

/** How long it may take to tell (ms). */
const gatewayLimitMs = 2_000;

async function askGateway({ gatewayUrl: url, database, stateDir, config }: ChainPlace): Promise<GatewayAnswer> {
  const place = { url, database, stateDir, requireKey: config.server.require_key };
  const state = await probeGateway(url);
  const port = Number(new URL(url).port);
  if (state.kind === "down") {
    const isHeld = port !== 0 && (await isListening(port));
    const sight = isHeld
      ? ({ kind: "mute", holder: await describePortHolder(port) } as const)
      : { kind: "none" as const };
    return { sight, status: undefined };
  }
  if (state.kind === "foreign") {
    return {
      sight: { kind: "foreign", answer: state.answer, holder: await describePortHolder(port) },
      status: undefined,
    };
  }
  const answer = await readAdmin(place, "/status", gatewayLimitMs);
  if (!answer.ok) {
    const { reason, isForeign } = answer;
    return { sight: { kind: isForeign === true ? "other-home" : "closed", reason }, status: undefined };
  }
  // Of a gateway of this version or a near one.
  const status = answer.body as unknown as GatewayStatus;
  return { sight: { kind: "ours", version: status.version, problems: status.problems }, status };
}

async function readBreakers({ status }: GatewayAnswer, homes: Homes, env: Env): Promise<BreakerReport[] | undefined> {
  if (status !== undefined) return [...status.breakers, ...status.domains];
  if (!existsSync(homes.database)) return undefined;
  const { lookIntoLedger } = await import("./status-ledger.ts");
  const view = await lookIntoLedger(homes, env);
  return view === undefined ? undefined : [...view.breakers, ...view.domains];
}

async function lookAtChain(chain: ChainPlace, gateway: Promise<GatewayAnswer>, cacheDir: string): Promise<Finding[]> {
  const isUp = readPlan(chain.stateDir) !== undefined;
  const [{ members, notes }, { sight }] = await Promise.all([
    observeChain(chain, (service) => observePassive(service, { env: chain.env, cacheDir })),
    gateway,
  ]);
  return [...judgeGateway(sight, chain.gatewayUrl, version, isUp), ...judgeChain({ members, notes, isUp })];
}

/** One that runs tells by its health; this is about the one that would be started. */
async function lookAtHeadroom(config: Config, cacheDir: string, env: Env): Promise<Finding[]> {
  if (config.headroom.mode === "off") return [ok("headroom", "switched off in the config")];
  const file = findBinary("headroom", env);
  if (file === undefined) return [ok("headroom", "not installed: requests go on as they are")];
  const program = await probeHeadroom(file, cacheDir, env);
  const harm = describeHarm(program.version);
  if (harm !== undefined) return [fail("headroom", `${file}: ${harm.why}`, harm.hint)];
  if (program.version === undefined) {
    return [
      warn(
        "headroom",
        `${file} does not tell its version`,
        "uv tool upgrade headroom-ai (or pipx upgrade headroom-ai)",
      ),
    ];
  }
  return [ok("headroom", `${program.version} (${file})`)];
}

async function lookAtTmux(stateDir: string, env: Env): Promise<Finding[]> {
  const path = findBinary("tmux", env);
  const answer =
    path === undefined ? undefined : await runBriefly({ argv: [path, "-V"], cwd: "/", env, limitMs: 3_000 });
  return judgeTmux({
    path,
    version: answer?.exitCode === 0 ? answer.stdout.trim() : undefined,
    socket: chainSocket(stateDir),
    install: hintTmuxInstall(process.platform, existsSync),
  });
}

async function lookAtAgents(homes: Homes, env: Env): Promise<Finding[]> {
  const states = await inspectAgents(homes, env);
  const installed = states.filter(({ path }) => path !== null);
  if (installed.length === 0) {
    const [first] = states;
    return [warn("agents", "none is installed that xx could start", first?.install)];
  }
  const findings = installed.flatMap(({ name, version: its, missing_flags: missing, checked, install }) => {
    const faults = Object.entries(checked?.routes ?? {}).filter(([, verdict]) => !["ok", "refused"].includes(verdict));
    return [
      ...(missing === null ? [warn("agents", `the help of ${name} could not be read`, install)] : []),
      ...(missing === null || missing.length === 0
        ? []
        : [
            warn(
              "agents",
              `${name} ${its ?? ""} no longer has ${missing.join(", ")}, which launches use`,
              "update Clutch; until then xx leaves them out",
            ),
          ]),
      ...(faults.length === 0
        ? []
        : [
            fail(
              "agents",
              `${name} was not on the gateway when it was last tried (${faults.map((fault) => fault.join(": ")).join(", ")})`,
              "clutch doctor --agents tells more",
            ),
          ]),
    ];
  });
  const names = installed.map(({ name, version: its }) => (its === null ? name : `${name} ${its}`)).join(", ");
  const unproven = installed.some(({ checked }) => checked === null);
  const offer = unproven ? "; clutch doctor --agents proves where they talk to" : "";
  return [...findings, ok("agents", `installed: ${names}${offer}`)];
}

/** In this folder, and in the user's own. A provider that an agent was given for its own models is no leftover. */
function findLeftovers(env: Env): Leftover[] {
  const rows: readonly AgentRow[] = Object.values(agents);
  return rows.flatMap(({ name: agent, rivals }) => {
    if (rivals === undefined || rivals.unlessModel === true) return [];
    const { routes } = rivals;
    return findRivals(rivals, env, process.cwd()).map((file) => ({ ...file, agent, routes }));
  });
}
