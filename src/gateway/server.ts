/** Puts a gateway together and on a port: config, providers, ledger and HTTP face. */

import { dirname } from "node:path";
import { Lessons } from "../../providers/lessons.ts";
import { parseModelReference, renderModelReference } from "../../providers/model-reference.ts";
import { buildProviders, keyReader, type Providers, secretName } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";
import type { LoadedConfig } from "../config/load.ts";
import type { Env } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { ClutchError } from "../errors.ts";
import { reportBreakers } from "../explain/breakers.ts";
import { listServices, readChainSettings } from "../lifecycle/chain/services.ts";
import { readLaunchNote } from "../lifecycle/launch-notes.ts";
import { describePortHolder } from "../lifecycle/port-holder.ts";
import { type Log, Secrets } from "../log.ts";
import type { ModelBook } from "../models/catalogue.ts";
import { captureQueries } from "../store/captures.ts";
import { checkpointBeside } from "../store/checkpoint.ts";
import { circuitQueries } from "../store/circuits.ts";
import { keyQueries } from "../store/keys.ts";
import { lookups } from "../store/lookups.ts";
import { castDoubt, isBroken, type Store } from "../store/open.ts";
import { requestQueries } from "../store/requests.ts";
import { dayOf } from "../store/rollup.ts";
import type { RequestRow } from "../store/schema.ts";
import { sessionsSince, spentSince } from "../store/spent.ts";
import type { LaunchRow } from "../store/sums-schema.ts";
import { version } from "../version.ts";
import { Affinity } from "./affinity.ts";
import { type App, createApp } from "./app.ts";
import { Budgets, hasLimit, hasLimits, maxSessions, sessionMemoryMs } from "./budgets.ts";
import { Captures } from "./capture.ts";
import type { CascadeDeps } from "./cascade.ts";
import type { CircuitPolicy } from "./circuit.ts";
import { CircuitSaver, fromRow } from "./circuit-saver.ts";
import { TokenCounter } from "./count-endpoint.ts";
import { CustomRoute } from "./custom-route.ts";
import { TodaysTotals } from "./day-totals.ts";
import { Front } from "./front.ts";
import { Gate } from "./gate.ts";
import { isLoopback } from "./guard.ts";
import { GuessBrake } from "./guess-brake.ts";
import { HeadroomWatch } from "./headroom-watch.ts";
import { Health } from "./health.ts";
import { markHops } from "./hops.ts";
import { Housekeeping } from "./housekeeping.ts";
import { describeKey, type Key, Keyring } from "./keyring.ts";
import { Ledger } from "./ledger.ts";
import { Metrics } from "./metrics.ts";
import { isApiKey } from "./open-entry.ts";
import { OpenRouterAccount } from "./openrouter-account.ts";
import { OverflowBrake } from "./overflow-brake.ts";
import { PriceTags } from "./price-tags.ts";
import type { QuotaRules } from "./quota-windows.ts";
import { type Loop, Readiness } from "./ready.ts";
import type { Caller } from "./recognise.ts";
import { Repricing } from "./repricing.ts";
import { type Routing, type Target, targetsOf } from "./router.ts";
import { configuredRules, type HitStore, hitFile, type RuleHit, RuleHits } from "./rule-hits.ts";
import { ruleProblems } from "./rules-check.ts";
import type { Purse } from "./screen.ts";
import { SecretMemory } from "./secret-memory.ts";
import { SessionSavings } from "./session-savings.ts";
import { compressBeside } from "./sidecar.ts";
import { SignatureMemory } from "./signature-memory.ts";
import { Spending, startOfDay } from "./spending.ts";
import { SubagentFinder } from "./subagents.ts";
import { reportTiers } from "./tier-status.ts";
import { Calibration } from "./token-count.ts";

export interface GatewayInput {
  loaded: LoadedConfig;
  /** Launch letters and the models they mean. */
  tierLetters: Readonly<Record<string, string>>;
  /** What they meant before. */
  formerLetters?: Routing["formerLetters"];
  env: Env;
  store: Store;
  fetch: Fetch;
  /** Milliseconds since 1970; the machine's own clock when left out. */
  now?(): number;
  /** Read from its file; undefined while there is none. */
  launchSecret(): string | undefined;
  /** What is known of a target's model. */
  factsOf: CascadeDeps["factsOf"];
  /** Prices and where they are from; none when left out. */
  modelBook?(): ModelBook;
  /** Named where nobody else can be asked; no model when left out. */
  localModel?: CascadeDeps["localModel"];
  /** Reads the config file and goes by it, as when it changes; undefined where there is none. @returns the keys that are others now */
  reloadConfig?: () => Promise<string[]>;
  /** What else goes on in the background, for /ready; nothing when left out. */
  loops?(): readonly Loop[];
  /** Where counts outlive the gateway; undefined keeps them in memory. */
  stateDir?: string;
  /** For the person who runs the gateway. */
  log: Log;
  /** Told of keys before they are used, so that no line of the log and no captured body can hold one; its own when left out. */
  secrets?: Secrets;
  onLeft: CascadeDeps["onLeft"];
  /** Told of every request as it ends, with its whole row. */
  onEnded?(row: RequestRow): void;
}

export interface Gateway {
  /** `http://127.0.0.1:8082` */
  url: string;
  port: number;
  /** Requests that an ended gateway had left pending. */
  recovered: number;
  inFlight(): number;
  /** Replaces config and providers; requests under way keep theirs. @throws {ClutchError} and then changes nothing */
  reload(loaded: LoadedConfig, letters: Pick<GatewayInput, "tierLetters" | "formerLetters">): Promise<void>;
  /** Those of the config in force, their keys read. */
  providers(): Providers;
  /** How often each routing rule has decided, the configured ones first. */
  ruleHits(): RuleHit[];
  /** Things a person should know; they stand in /health until replaced. */
  report(problems: string[]): void;
  /** Refuses new requests, lets streams finish for at most `limitMs`, writes every row, closes the port and the store. */
  stop(limitMs: number): Promise<void>;
}

/** @throws {ClutchError} `unsafe-bind`, `port-busy`, `config-invalid`, `unknown-provider` */
export async function startGateway(input: GatewayInput): Promise<Gateway> {
  const { host, port, require_key: requireKey } = input.loaded.config.server;
  if (!isLoopback(host) && !requireKey) {
    throw new ClutchError("unsafe-bind", `server.host is "${host}": others on the network could use your models`, {
      hint: `set server.require_key to true, or listen on 127.0.0.1`,
    });
  }
  const now = input.now ?? Date.now;
  let problems: string[] = [];
  const commandKeys = new CommandKeys();
  const instance = crypto.randomUUID();
  let routing = await buildRouting(input.loaded, input, input.env, commandKeys, instance);
  const secrets = input.secrets ?? new Secrets();
  secrets.add(listSecrets(routing.providers));
  let headroom = findHeadroom(input.loaded.config);
  const watch = new HeadroomWatch(now, input.log);
  const savings = new SessionSavings(input.log);
  const { HOME: home, CLAUDE_CONFIG_DIR: claudeFolder = home === undefined ? undefined : `${home}/.claude` } =
    input.env;
  const script = new CustomRoute({ log: input.log });
  const helpers = { script, subagents: new SubagentFinder({ home, userFolder: claudeFolder, now }) };
  const hits = new RuleHits(
    input.stateDir === undefined ? forgetful : hitFile(`${input.stateDir}/rule-hits.json`),
    now,
  );
  await hits.restore();
  let ruleMistakes: string[] = [];
  const takeRules = (loaded: LoadedConfig) => {
    const known = ruleMistakes;
    ruleMistakes = ruleProblems(routing);
    for (const line of ruleMistakes) if (!known.includes(line)) input.log(line, { level: "warn" });
    hits.configure(configuredRules(loaded.config));
    script.configure(loaded.config, loaded.path === undefined ? undefined : dirname(loaded.path));
  };
  takeRules(input.loaded);
  const { movedAside } = input.store;
  if (movedAside !== undefined) input.log(`the ledger was broken: it is now ${movedAside}, and a new one was begun`);
  const queries = requestQueries(input.store.db);
  const recovered = await queries.recoverPending();
  const ledgerLookups = lookups(input.store.db);
  const newestStart = (await ledgerLookups.newestRequest())?.startedAt;
  const soFar = await ledgerLookups.sumsOfDay(dayOf(now()));
  const spending = new Spending();
  const today = new TodaysTotals(now, soFar);
  const notices = new Set<string>();
  const metrics = new Metrics();
  const priceTags = new PriceTags(() => ({
    book: input.modelBook?.() ?? noBook,
    overrides: routing.config.prices,
    providers: routing.providers,
  }));
  const priceOf = (reference: string) => priceTags.find(reference);
  const save: typeof queries.save = async (...rows) => {
    await captures.flush();
    if (!routing.config.ledger.enabled) return;
    await queries.save(...rows);
    housekeeping.wrote(rows[0].length + rows[1].length);
  };
  const housekeeping = new Housekeeping({
    client: input.store.db.$client,
    now,
    elapsed: () => performance.now(),
    retentionDays: () => routing.config.ledger.retention_days,
    bodyDays: () => routing.config.ledger.body_days,
    newest: () => newestStart,
    checkpoint: () => checkpointBeside(input.store.path),
    log: input.log,
  });
  const captures = new Captures({
    queries: captureQueries(input.store.db),
    now,
    hide: (text) => secrets.hide(text),
    stateDir: input.stateDir,
    onError: (reason) => input.log(reason, { level: "error" }),
  });
  const ledger = new Ledger({
    queries: { save },
    now,
    priceOf,
    onAttempt: (attempt, request) => {
      metrics.attempted(attempt);
      budgets.attempted(attempt, request);
      today.attempted(attempt, request);
    },
    launchOf: (id) => (input.stateDir === undefined ? undefined : readLaunch(input.stateDir, id)),
    onFinish: (row) => {
      input.onEnded?.(row);
      captures.ended(row);
      savings.note(row);
      budgets.ended(row);
      metrics.ended(row);
      today.ended(row);
      const { servedBy, costUsd } = row;
      const notice = costUsd ? spending.paid(servedBy ?? "", costUsd) : undefined;
      if (notice === undefined) return;
      notices.add(notice);
      input.log(notice);
    },
    onWriteError: (error, waiting) => {
      const reason = error instanceof Error ? error.message : String(error);
      if (isBroken(error)) castDoubt(input.store.path);
      const next = isBroken(error) ? "; the next start puts it aside and begins a new one" : "";
      input.log(`the ledger cannot be written (${reason}): requests go on, ${waiting} rows wait${next}`, {
        level: "error",
      });
    },
  });
  const keyring = new Keyring({ queries: keyQueries(input.store.db), now });
  await keyring.restore();
  const budgets = new Budgets({
    now,
    limits: () => routing.config.budgets,
    keyOf: (id) => keyring.get(id),
    log: (line) => input.log(line, { level: "warn" }),
  });
  /** What was used before, where anybody is limited: nothing is counted where nobody is. @param before what was limited until now */
  const lookUpSpent = async ({ budgets: limits }: Config, before?: Config["budgets"]) => {
    const { db } = input.store;
    // What has been counted stands: the ledger may be off, or its disk full.
    const isCounted = before !== undefined && hasLimits(before);
    const isWanted = hasLimits(limits) || keyring.list().some(({ budget }) => budget !== undefined);
    if (isWanted && !isCounted) budgets.restoreDay(await spentSince(db, startOfDay(now())));
    if (hasLimit(limits.per_session) && !(isCounted && hasLimit(before.per_session))) {
      budgets.restoreSessions(await sessionsSince(db, now() - sessionMemoryMs, maxSessions));
    }
  };
  await lookUpSpent(routing.config);
  const readSecret = () => {
    const read = input.launchSecret();
    secrets.add([read]);
    return read;
  };
  const secret = requireKey ? new SecretMemory(readSecret) : undefined;
  const gate = new Gate({
    requireKey,
    keyring,
    brake: new GuessBrake(now, (line) => input.log(line, { level: "warn" })),
    launchSecret: () => secret?.known(),
    freshLaunchSecret: () => secret?.fresh(),
  });
  const lessons = new Lessons();
  const signatures = new SignatureMemory();
  const calibration = new Calibration();
  const circuits = circuitQueries(input.store.db);
  const health = new Health({
    now,
    policy: () => policyOf(routing.config.breaker),
    quotas: () => routing.quotas,
    onChange: (id, circuit) => saver.note(id, circuit),
  });
  const saver = new CircuitSaver({ queries: circuits, now, onError: (reason) => input.log(reason, { level: "warn" }) });
  health.restore((await circuits.load()).map(fromRow));
  const affinity = new Affinity();
  const account = new OpenRouterAccount({
    fetch: input.fetch,
    now,
    provider: () => routing.providers.get("openrouter"),
    health,
    wasUsed: async (since) => (await ledgerLookups.countAttempts(since, "openrouter")).length > 0,
    log: input.log,
  });
  account.start();
  const repricing = new Repricing({
    queries,
    tags: priceTags,
    now,
    // What waits in memory may be what is looked for.
    flush: () => ledger.flush(),
    onPriced: (row) => {
      today.priced(row);
      budgets.priced(row);
    },
    onLeftPriced: (attempt, request) => {
      today.pricedLeft(attempt, request);
      budgets.pricedLeft(attempt, request);
    },
    log: input.log,
  });
  repricing.start();
  housekeeping.start();
  const configured = ({ provider, model }: Target) => {
    const reference = renderModelReference({ provider: provider.id, model });
    return Object.hasOwn(routing.config.prices, reference) ? priceOf(reference) : undefined;
  };
  const purse = (caller?: Caller): Purse => {
    const { allow_paid: allowPaid } = routing.config.budgets;
    const spent = caller === undefined ? budgets.judge(undefined).spent : caller.spent;
    const key = caller?.grant;
    const open: Purse = { allowPaid, isLoginBilled: isApiKey(caller?.key), configured };
    if (spent !== undefined) open.spent = spent;
    return key?.models === undefined ? open : { ...open, ...forbidBy(key) };
  };
  const listProblems = () => [
    ...problems,
    ...notices,
    ...budgets.problems(),
    ...ruleMistakes,
    ...script.problems(),
    ...hits.problems(),
    ...(headroom.mode === "off" ? [] : watch.problems()),
    ...(ledger.refusedRows === 0 ? [] : [`the ledger cannot be written: ${ledger.refusedRows} rows wait`]),
    ...(ledger.lostRows === 0 ? [] : [`${ledger.lostRows} ledger rows were lost`]),
    ...(movedAside === undefined ? [] : [`the ledger was broken: it is now ${movedAside}, and a new one was begun`]),
  ];
  const startedAt = now();
  const listTiers = (names?: readonly string[]) =>
    reportTiers({ routing, health, factsOf: input.factsOf, purse: purse() }, names);
  const readiness = new Readiness({
    now,
    fetch: input.fetch,
    isDraining: () => app.isDraining(),
    ledger: () => ledger.backlog,
    readDatabase: () => input.store.db.run("SELECT count(*) FROM circuits"),
    pricesAt: (provider) => input.modelBook?.().lists[provider]?.checkedAt,
    tiers: () => listTiers(),
    targetsOf: ({ tier }) => targetsOf(`clutch-${tier.toLowerCase()}`, routing),
    loops: () => input.loops?.() ?? [],
  });
  const app: App = createApp({
    ready: () => readiness.report(),
    onRefused: (kind) => metrics.refused(kind),
    metrics: () =>
      metrics.render({
        version,
        now: now(),
        startedAt,
        inFlight: app.inFlight(),
        isDraining: app.isDraining(),
        circuits: reportBreakers(health.list(), now(), null),
        ledger: ledger.backlog,
        budgets: budgets.list(),
        keys: keyring.list().map((key) => ({ state: keyring.stateOf(key) })),
        problems: listProblems().length,
      }),
    counter: new TokenCounter(input.fetch, now, calibration),
    calibration,
    brake: new OverflowBrake(now),
    routing: () => routing,
    ledger,
    cascade: (caller) => {
      const { first_token_ms, idle_ms, patience_ms } = routing.config.timeouts;
      return {
        fetch: input.fetch,
        now,
        firstTokenMs: first_token_ms,
        idleMs: idle_ms,
        lessons,
        signatures,
        patienceMs: patience_ms,
        fallbackMethod: routing.config.fallback_method,
        hedgeMs: routing.config.hedge.after_ms,
        health,
        affinity,
        factsOf: input.factsOf,
        localModel: input.localModel ?? (() => undefined),
        purse: () => purse(caller),
        onLeft: input.onLeft,
      };
    },
    now,
    log: input.log,
    captures,
    budgets,
    host,
    admit: (caller, findAddress) => gate.admit(caller, findAddress),
    admin: async () => {
      // Its schemas are worth some milliseconds of a start.
      const [{ createAdmin }, { requestList }, { readUsage }] = await Promise.all([
        import("./admin.ts"),
        import("../store/request-list.ts"),
        import("../store/usage.ts"),
      ]);
      return createAdmin({
        now,
        admit: (caller, findAddress) => gate.admitAdmin(caller, findAddress),
        health,
        failuresLimit: () => routing.config.breaker.failures,
        account: () => ((routing.providers.get("openrouter")?.keys.length ?? 0) === 0 ? undefined : account),
        ledger: ledgerLookups,
        keyring,
        flush: () => ledger.flush(),
        database: input.store.path,
        ruleHits: () => hits.list(),
        budgets: () => budgets.list(),
        listRequests: (filter, limit) => requestList(input.store.db).newest(filter, limit),
        readUsage: (span, by) => readUsage(input.store.db.$client, span, by),
        reload: input.reloadConfig,
        headroom: () => ({ ...headroom, ...watch.report(), sessions: savings.report() }),
        startedAt,
        isDraining: () => app.isDraining(),
        inFlight: () => app.inFlight(),
        flights: () => app.flights(),
        captures,
        problems: listProblems,
        tiers: listTiers,
        today: () => today.report(),
      });
    },
    front: new Front({
      fetch: input.fetch,
      watch,
      url: () => (headroom.mode === "front" ? headroom.url : undefined),
    }),
    sidecar: () => {
      const { mode, url } = headroom;
      if (mode !== "sidecar") return undefined;
      return (protocol, body, session) => compressBeside(protocol, body, session, { fetch: input.fetch, url, watch });
    },
    isHarmful: (session) => savings.isHarmful(session),
    instance,
    problems: listProblems,
    helpers,
    hits,
  });

  const server = await listen(host, port, app.fetch);
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    recovered,
    inFlight: app.inFlight,
    async reload(loaded, letters) {
      const before = routing;
      const services = findHeadroom(loaded.config);
      routing = await buildRouting(loaded, letters, input.env, commandKeys, instance);
      secrets.add(listSecrets(routing.providers));
      headroom = services;
      const renewed = providersWithNewKeys(before.providers, routing.providers);
      health.reset((id) => renewed.some((name) => id === `account:${name}` || id.startsWith(`key:${name}#`)));
      takeRules(loaded);
      if (Bun.deepEquals(before.config.budgets, loaded.config.budgets)) return;
      await ledger.flush();
      await lookUpSpent(loaded.config, before.config.budgets);
    },
    providers: () => routing.providers,
    ruleHits: () => hits.list(),
    report(lines) {
      problems = lines;
    },
    async stop(limitMs) {
      account.stop();
      repricing.stop();
      secret?.close();
      housekeeping.stop();
      await app.drain(limitMs);
      await sentOut(server);
      await server.stop(true);
      await saver.close();
      await keyring.close();
      script.close();
      await hits.close();
      const lost = await ledger.close();
      await captures.flush();
      if (lost > 0) input.log(`${lost} ledger rows could not be written`, { level: "error" });
      input.store.close();
    },
  };
}

/** What goes out with requests and is nobody else's business. */
function listSecrets(providers: Providers): string[] {
  return [...providers.values()].flatMap(({ keys, headers }) => [
    ...keys.map(({ value }) => value),
    ...Object.entries(headers).flatMap(([name, value]) => (secretName.test(name) ? [value] : [])),
  ]);
}

const noBook: ModelBook = { catalogue: {}, lists: {} };

function readLaunch(stateDir: string, id: string): LaunchRow | undefined {
  const note = readLaunchNote(stateDir, id);
  if (note === undefined) return undefined;
  const { started_at: startedAt, ...facts } = note;
  return { id, startedAt, ...facts };
}

/** Counts that end with the gateway. */
const forgetful: HitStore = { load: async () => [], save: async () => {} };

async function buildRouting(
  loaded: LoadedConfig,
  { tierLetters, formerLetters = {} }: Pick<GatewayInput, "tierLetters" | "formerLetters">,
  env: Env,
  commandKeys: CommandKeys,
  instance: string,
): Promise<Routing> {
  const { config } = loaded;
  const specs = Object.values(config.providers).flatMap(({ api_key, api_keys }) => [
    api_key ?? "",
    ...(api_keys ?? []),
  ]);
  await commandKeys.run(specs.flatMap((spec) => (spec.startsWith("cmd:") ? spec.slice(4) : [])));
  const providers = buildProviders(
    config,
    keyReader(env, (command) => commandKeys.find(command)),
  );
  return {
    config,
    providers: markHops(providers, instance),
    tierLetters,
    formerLetters,
    quotas: quotaRules(config, providers),
  };
}

/** Where the chain has Headroom, and in which mode. @throws {ClutchError} `config-invalid` for a chain that is none */
function findHeadroom(config: Config): { mode: "front" | "sidecar" | "off"; url: string } {
  const settings = readChainSettings(config);
  const service = listServices(settings).find(({ id }) => id === "headroom");
  const mode = service?.enabled === true ? settings.headroomMode : "off";
  return {
    mode: mode === "front" && service?.isFront !== true ? "off" : mode,
    url: `http://127.0.0.1:${service?.port}`,
  };
}

/** What was refused with another key says nothing of a new one. */
function providersWithNewKeys(before: Providers, after: Providers): string[] {
  return [...after.values()].filter((now) => !Bun.deepEquals(before.get(now.id)?.keys, now.keys)).map(({ id }) => id);
}

/** The config's limits, by `provider:model`. */
export function quotaRules({ quotas, default_provider }: Config, providers: Providers): QuotaRules {
  return new Map(
    Object.entries(quotas).map(([name, rule]) => {
      const reference = parseModelReference(name, (id) => providers.has(id), default_provider);
      return [renderModelReference(reference), rule];
    }),
  );
}

function policyOf({ failures, cooldown_seconds, max_cooldown_seconds }: Config["breaker"]): CircuitPolicy {
  return { failures, cooldownMs: cooldown_seconds * 1000, maxCooldownMs: max_cooldown_seconds * 1000 };
}

/** How long a `cmd:` key may take: a password manager may ask its owner first (ms). */
const keyCommandMs = 60_000;

/** What `cmd:` keys printed. Each command runs once in the life of a gateway, and no stream waits for it. */
class CommandKeys {
  #printed = new Map<string, string>();

  async run(commands: readonly string[]): Promise<void> {
    const unknown = [...new Set(commands)].filter((command) => !this.#printed.has(command));
    await Promise.all(
      unknown.map(async (command) => {
        // Away from the folder the user happens to stand in.
        const child = Bun.spawn(["/bin/sh", "-c", command], {
          cwd: "/",
          stdin: "ignore",
          stderr: "inherit",
          timeout: keyCommandMs,
        });
        const text = await new Response(child.stdout).text();
        if ((await child.exited) === 0) this.#printed.set(command, text);
      }),
    );
  }

  find(command: string): string | undefined {
    return this.#printed.get(command);
  }
}

/** A key that is for some models only. */
function forbidBy(key: Key): Pick<Purse, "forbids"> {
  const reason = `the key ${describeKey(key)} is for ${key.models?.join(", ")} alone`;
  return { forbids: ({ provider, model }) => (key.admitsModel(provider.id, model) ? undefined : reason) };
}

/** Answers that are formed may still be on their way into the socket; they get a moment to leave. */
async function sentOut(server: { pendingRequests: number }): Promise<void> {
  for (let waitedMs = 0; server.pendingRequests > 0 && waitedMs < 5_000; waitedMs += 10) await Bun.sleep(10);
}

async function listen(host: string, port: number, fetch: App["fetch"]) {
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      // Bun cuts silent answers after 10 s by default; a thinking model may be silent for minutes.
      idleTimeout: 0,
      // Larger than what is taken, so that an oversized body gets an answer in its own protocol.
      maxRequestBodySize: 1024 * 1024 * 1024,
      error: () =>
        Response.json(
          { error: { message: "the gateway failed on this request", type: "server_error" } },
          { status: 500 },
        ),
    });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code !== "EADDRINUSE") {
      throw new ClutchError("failed", `cannot listen on ${host}:${port} (${code ?? String(cause)})`, {
        hint: "check --host and --port",
        cause,
      });
    }
    const holder = await describePortHolder(port);
    throw new ClutchError("port-busy", `port ${port} is taken by ${holder}`, {
      hint: "stop it, or choose another port with --port (0 takes any free one)",
      cause,
    });
  }
}
