/** `clutch serve`: the gateway in the foreground, until a signal. */

import { readFileSync } from "node:fs";
import pc from "picocolors";
import { readLaunchSecret } from "../launcher/exec.ts";
import { readPinnedLetters, readTierLetters } from "../launcher/settings.ts";
import { findModel } from "../providers/model-facts.ts";
import { renderModelReference } from "../providers/model-reference.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type LoadedConfig, loadConfig, type ServerFlags } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { changedKeys, watchConfigFile } from "../src/config/watch.ts";
import { renderError } from "../src/errors.ts";
import { describeFailure } from "../src/gateway/cascade.ts";
import { type Gateway, type GatewayInput, startGateway } from "../src/gateway/server.ts";
import { launchSecretFile } from "../src/launch-token.ts";
import { readCliProxyKey, withCliProxyKey } from "../src/lifecycle/chain/cliproxyapi.ts";
import { createLogger, type Log, parseLogSettings, Secrets } from "../src/log.ts";
import { exemptLoopback, fetchDirectly } from "../src/loopback-direct.ts";
import { ModelKeeper } from "../src/models/keeper.ts";
import type { LetterModels } from "../src/models/launch-models.ts";
import { localLook } from "../src/models/local-servers.ts";
import { measuredMs } from "../src/models/rank.ts";
import { scanPath } from "../src/models/scan.ts";
import { describeWorld, type ModelWorld } from "../src/models/world.ts";
import { readMeasured } from "../src/store/measured.ts";
import { openStore } from "../src/store/open.ts";
import type { RequestRow } from "../src/store/schema.ts";

/** Asking around on this machine and reading what is known of models takes some ten milliseconds, for which nobody who has just started a launch should wait. */
const modelsAfterMs = 100;

/** How long streams may go on after the first signal. */
const drainLimitMs = 30_000;

export async function serve(flags: ServerFlags, env: Env): Promise<number> {
  const secrets = new Secrets();
  const { log, isOn } = createLogger({
    ...parseLogSettings(env["CLUTCH_LOG"], process.stderr.isTTY === true),
    write: (line) => console.error(line),
    now: Date.now,
    paint: pc,
    secrets,
  });
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const homes = resolveHomes(env);
  const load = async (): Promise<LoadedConfig> => {
    const read = await loadConfig(homes, env, flags);
    return { ...read, config: withCliProxyKey(read.config, () => readCliProxyKey(homes.stateDir)) };
  };
  let loaded = await load();
  secrets.add([readIfThere(launchSecretFile(homes.stateDir))]);
  const world = await modelWorld(loaded, homes, env);
  const store = openStore(homes.database);
  // Commands show it under /admin, and may ask before any launch has made it.
  if (loaded.config.server.require_key) readLaunchSecret(homes.stateDir);
  let configProblems: string[] = [];
  const models = new ModelKeeper(world, {
    place: { ...homes, scanFile: scanPath(env) },
    fetch,
    now: Date.now,
    random: Math.random,
    measured: () => readMeasured(homes.database, Date.now() - measuredMs),
    lookAround: localLook({ providers: () => gateway.providers(), fetch: fetchDirectly, now: Date.now }),
    log,
    onChange: () => void takeOverModels(),
  });
  const gateway: Gateway = await startGateway({
    loaded,
    ...(await tierLetters(homes, models.letters())),
    env,
    store,
    fetch,
    factsOf: ({ provider, model }) => findModel(provider.id, model, models.catalogue()),
    modelBook: () => models.book(),
    localModel: () => models.localModel(),
    reloadConfig: () => takeOverConfig(),
    loops: () => {
      const { lookedAt, everyMs } = models.pulse();
      return lookedAt === undefined ? [] : [{ name: "model lists", lastAt: lookedAt, everyMs }];
    },
    stateDir: homes.stateDir,
    launchSecret: () => {
      const secret = readIfThere(launchSecretFile(homes.stateDir));
      secrets.add([secret]);
      return secret;
    },
    log,
    secrets,
    onLeft: (exchange, { target, failure, durationMs }) => {
      const reference = renderModelReference({ provider: target.provider.id, model: target.model });
      log(`left ${reference} after ${durationMs} ms: ${describeFailure(failure)}`, {
        request: exchange.input.id,
        target: reference,
        kind: failure.kind,
        status: failure.status,
        duration_ms: durationMs,
      });
    },
    // Nearly every request: the words for it are put together only where they are read.
    onEnded: (row) => (row.status === "completed" && !isOn("debug") ? undefined : tellEnd(row, log)),
  }).catch((error: unknown) => {
    store.close();
    throw error;
  });

  console.log(`${pc.green("clutch")} serves on ${pc.bold(gateway.url)}`);
  console.log(`config ${loaded.path ?? `${homes.configFile} (not there: defaults)`}, ledger ${homes.database}`);
  if (gateway.recovered > 0)
    log(`${gateway.recovered} requests were pending when the last gateway ended: marked as aborted`);
  for (const notice of loaded.notices) log(notice, { level: "warn" });

  const report = () => gateway.report([...configProblems, ...models.problems()]);
  const takeOverModels = async () => {
    report();
    try {
      await gateway.reload(loaded, await tierLetters(homes, models.letters()));
    } catch {
      // The config file is broken at this moment, which its own watcher tells.
    }
  };
  const takeOverConfig = async (): Promise<string[]> => {
    const fresh = await load();
    const world = await modelWorld(fresh, homes, env);
    await gateway.reload(fresh, await tierLetters(homes, models.letters()));
    configProblems = [];
    const changed = changedKeys(loaded.config, fresh.config);
    logChange(changed, log);
    loaded = fresh;
    models.configure(world);
    return changed;
  };
  report();
  // What is known of models is read when the first requests are on their way, not before the port is open.
  const reading = setTimeout(async () => {
    await models.lookAround();
    models.start();
  }, modelsAfterMs);

  const stopWatching = watchConfigFile(homes, async () => {
    try {
      await takeOverConfig();
    } catch (error) {
      configProblems = [`the config file was not taken over: ${renderError(error)}`];
      report();
      log(`kept the last good config: ${renderError(error)}`, { level: "error" });
    }
  });

  // One forgotten rejection must not take every other agent's stream down with it.
  process.on("unhandledRejection", (reason) => log("unexpected", { level: "error", error: reason }));
  const code = await untilSignal(gateway, log);
  stopWatching();
  clearTimeout(reading);
  models.stop();
  return code;
}

/** SIGTERM, SIGINT and SIGHUP drain; a second one ends at once. */
function untilSignal(gateway: Gateway, log: Log): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = async (signal: NodeJS.Signals) => {
      if (stopping) process.exit(128 + ({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }[signal as "SIGHUP"] ?? 0));
      stopping = true;
      const open = gateway.inFlight();
      if (open > 0)
        log(`${signal}: no new requests; ${open} under way may take ${drainLimitMs / 1000} s more (again: stop now)`);
      const isClean = await gateway.stop(drainLimitMs).then(
        () => true,
        (error: unknown) => {
          log(`not everything ended as it should: ${error instanceof Error ? error.stack : error}`);
          return false;
        },
      );
      resolve(isClean ? 0 : 1);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, onSignal);
  });
}

async function tierLetters(
  homes: Homes,
  chosen: LetterModels,
): Promise<Pick<GatewayInput, "tierLetters" | "formerLetters">> {
  const raw = await readConfigFile(homes);
  const tierLetters = readTierLetters(raw.value, raw.path ?? homes.configFile, chosen);
  return { tierLetters, formerLetters: { m: chosen.m?.former ?? [], f: chosen.f?.former ?? [] } };
}

async function modelWorld({ config }: LoadedConfig, homes: Homes, env: Env): Promise<ModelWorld> {
  const raw = await readConfigFile(homes);
  return describeWorld(config, readPinnedLetters(raw.value, raw.path ?? homes.configFile), env);
}

function logChange(keys: readonly string[], log: Log): void {
  log(keys.length === 0 ? "the config file was written, nothing changed" : `config changed: ${keys.join(", ")}`);
  if (keys.includes("server")) log("server.host, server.port and server.require_key take effect at the next start");
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** A request that nobody answered is worth a line by itself; what each candidate said is in the lines before it. */
function tellEnd({ id: request, status, servedBy, durationMs, attempts, error }: RequestRow, log: Log): void {
  const facts = { request, status, served_by: servedBy, duration_ms: durationMs, attempts };
  if (status === "completed") log("was answered", { level: "debug", ...facts });
  else if (status !== "error") log("was broken off", { level: "debug", ...facts });
  else {
    const what = servedBy ? "broke off while it was answered" : "was answered by nobody";
    log(attempts === 0 ? `${what}: ${error}` : what, { level: "warn", ...facts });
  }
}
