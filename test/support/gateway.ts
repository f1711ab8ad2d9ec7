/** A gateway with a home of its own in front of a scripted upstream: in this process, or as a process of its own. */

import { Database } from "bun:sqlite";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Fetch } from "../../providers/upstream.ts";
import { resolveHomes } from "../../src/config/paths.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { type Gateway, type GatewayInput, startGateway } from "../../src/gateway/server.ts";
import type { Json, JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { isObject } from "../../src/protocols/json.ts";
import { openStore, type Store } from "../../src/store/open.ts";
import { paths, requestBody } from "./answers.ts";
import { type FakeUpstream, type Script, startFakeUpstream } from "./fake-upstream.ts";

export const upstreamKey = "sk-upstream-key";

/** A row as it stands in the table. */
export type Row = Record<string, string | number | null>;

export interface LedgerView {
  /** Waits until the request's row has its end on disk. */
  request(id: string | null): Promise<Row>;
  attempts(id: string | null): Promise<Row[]>;
  /** The same for the only request so far, of which no id is known. */
  onlyRequest(): Promise<Row>;
  requests(): Row[];
  /** What was out of order when it was last written, by id; that is soon after it changes, and when the gateway stops. */
  circuits(): Record<string, Row>;
}

export interface TestGateway extends AsyncDisposable, LedgerView {
  url: string;
  home: string;
  upstream: FakeUpstream;
  gateway: Gateway;
  store: Store;
  /** What the person who runs it was told. */
  lines: string[];
  /** Stops the gateway as a signal would; only the first call counts. */
  stop(limitMs: number): Promise<void>;
  /** POSTs a request of that protocol to the gateway. */
  ask(protocol: Protocol, model: string, stream: boolean, init?: AskOptions): Promise<Response>;
}

export interface AskOptions {
  /** Overrides fields of the body. */
  body?: JsonObject;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface GatewaySetup {
  replies: Script;
  /** BIG's models, first to last. */
  cascade?: readonly string[];
  timeouts?: JsonObject;
  /** Ids of further providers that speak Chat. */
  more?: readonly string[];
  /** Top-level keys, over the ones made here; providers beside them. A function is told the upstream's base URL. */
  config?: JsonObject | ((baseUrl: string) => JsonObject);
  env?: Record<string, string>;
  launchSecret?: string;
  /** In place of the real one, for upstreams whose address is fixed. */
  fetch?: Fetch;
  /** In place of the machine's clock. */
  now?: GatewayInput["now"];
  /** What is known of a target's model; nothing when left out. */
  factsOf?: GatewayInput["factsOf"];
  /** Its state folder is `<home>/state`; without it nothing is read or kept there. */
  hasState?: boolean;
  /** Prices; none when left out. */
  modelBook?: GatewayInput["modelBook"];
  onLeft?: GatewayInput["onLeft"];
  loops?: GatewayInput["loops"];
  reloadConfig?: NonNullable<GatewayInput["reloadConfig"]>;
  /** One that an earlier gateway has used, with its database; it is left for the caller to remove. */
  home?: string;
}

/**
 * Providers `messages`, `chat` and `responses`, each speaking the protocol of its name; `other` speaks Chat too, with a key
 * of its own; `dead` refuses connections.
 */
export function buildConfig(upstreamPort: number, setup: Omit<GatewaySetup, "replies">): JsonObject {
  const base_url = `http://127.0.0.1:${upstreamPort}/v1`;
  const provider = (protocol: Protocol) => ({ protocol, base_url, api_key: upstreamKey });
  const [first = "", ...cascade] = setup.cascade ?? [];
  const { providers, ...config } = typeof setup.config === "function" ? setup.config(base_url) : (setup.config ?? {});
  return {
    server: { port: 0 },
    default_provider: "chat",
    providers: {
      messages: provider("messages"),
      chat: provider("chat"),
      responses: provider("responses"),
      other: provider("chat"),
      ...Object.fromEntries((setup.more ?? []).map((id) => [id, provider("chat")])),
      dead: { protocol: "chat", base_url: "http://127.0.0.1:1/v1" },
      ...(isObject(providers) ? providers : {}),
    },
    model_tiers: { BIG: { default: first, cascade } },
    ...(setup.timeouts === undefined ? {} : { timeouts: setup.timeouts }),
    ...config,
  };
}

export function makeHome(): string {
  return mkdtempSync(join(tmpdir(), "clutch-test-"));
}

export async function startTestGateway(setup: GatewaySetup): Promise<TestGateway> {
  const upstream = await startFakeUpstream(setup.replies);
  const home = setup.home ?? makeHome();
  const lines: string[] = [];
  const { database } = resolveHomes({ CLUTCH_HOME: home });
  const store = openStore(database);
  const gateway = await startGateway({
    loaded: { config: parseConfig(buildConfig(upstream.port, setup), "test"), path: undefined, notices: [] },
    tierLetters: {},
    env: setup.env ?? {},
    store,
    fetch: setup.fetch ?? fetch,
    ...(setup.now === undefined ? {} : { now: setup.now }),
    ...(setup.reloadConfig !== undefined && { reloadConfig: setup.reloadConfig }),
    ...(setup.loops !== undefined && { loops: setup.loops }),
    factsOf: setup.factsOf ?? (() => undefined),
    ...(setup.hasState === true ? { stateDir: resolveHomes({ CLUTCH_HOME: home }).stateDir } : {}),
    ...(setup.modelBook === undefined ? {} : { modelBook: setup.modelBook }),
    launchSecret: () => setup.launchSecret,
    log: (line) => lines.push(line),
    onLeft: setup.onLeft ?? (() => {}),
  });
  const { url } = gateway;
  let stopped: Promise<void> | undefined;
  const stop = (limitMs: number) => {
    stopped ??= gateway.stop(limitMs);
    return stopped;
  };
  return {
    url,
    home,
    upstream,
    gateway,
    store,
    lines,
    stop,
    ask: (protocol, model, stream, init) => ask(url, protocol, model, stream, init),
    ...readLedger(database),
    async [Symbol.asyncDispose]() {
      await stop(0);
      await upstream.stop();
      if (setup.home === undefined) rmSync(home, { recursive: true, force: true });
    },
  };
}

export function ask(
  url: string,
  protocol: Protocol,
  model: string,
  stream: boolean,
  init: AskOptions = {},
): Promise<Response> {
  return fetch(url + paths[protocol], {
    method: "POST",
    headers: { "content-type": "application/json", ...init.headers },
    body: JSON.stringify(requestBody(protocol, model, stream, init.body)),
    // Bun's client would otherwise hand a connection that the gateway is closing to the next request.
    keepalive: false,
    ...(init.signal === undefined ? {} : { signal: init.signal }),
  });
}

export function readLedger(database: string): LedgerView {
  const query = (sql: string, ...values: string[]): Row[] => {
    const db = new Database(database, { readonly: true });
    try {
      return db.query(sql).all(...values) as Row[];
    } finally {
      db.close();
    }
  };
  const all = () => query("SELECT * FROM requests ORDER BY started_at");
  const request = async (id: string | null): Promise<Row> => {
    let row: Row | undefined;
    // Rows are written behind the answer, and nothing tells when.
    await eventually(`the end of request ${id} in the ledger`, () => {
      [row] = query("SELECT * FROM requests WHERE id = ?", id ?? "");
      return row !== undefined && row["status"] !== "pending";
    });
    return row ?? {};
  };
  return {
    request,
    async attempts(id) {
      await request(id);
      return query("SELECT * FROM every_attempt WHERE request_id = ? ORDER BY number", id ?? "");
    },
    async onlyRequest() {
      await eventually("a request in the ledger", () => all().length > 0);
      return request(String(all()[0]?.["id"]));
    },
    requests: all,
    circuits: () => Object.fromEntries(query("SELECT * FROM circuits").map((row) => [String(row["id"]), row])),
  };
}

/** For what nothing announces: looks again every few milliseconds. */
export async function eventually(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await isSo())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}`);
    await Bun.sleep(4);
  }
}

/** Fails when it takes longer: for what should happen at once. */
export async function within<Value>(limitMs: number, what: string, promise: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const root = join(import.meta.dir, "../..");
const entry = join(root, "src/main.ts");
const compiled = join(root, "dist/clutch");

/** An executable that is older than any source would tell of code that is no more. */
function isCompiledCurrent(): boolean {
  if (!existsSync(compiled)) return false;
  const builtAt = statSync(compiled).mtimeMs;
  const sources = new Bun.Glob("{src,commands,providers,launcher,migrations}/**/*").scanSync(root);
  return [...sources].every((path) => statSync(join(root, path)).mtimeMs <= builtAt);
}

/** How a gateway process can be started here: from source always, and as the executable where a current one was built. */
export const programs: readonly { name: string; argv: readonly string[] }[] = [
  { name: "from source", argv: [process.execPath, entry] },
  ...(isCompiledCurrent() ? [{ name: "compiled", argv: [compiled] }] : []),
];

export interface ServeProcess {
  url: string;
  pid: number;
  home: string;
  /** All it has said so far. */
  output(): string;
  kill(signal: NodeJS.Signals): void;
  exited: Promise<number>;
}

export interface ServeOptions {
  home: string;
  config?: Json;
  args?: readonly string[];
  argv?: readonly string[];
}

export function writeConfig(home: string, config: Json | string): void {
  writeFileSync(join(home, "config.json"), typeof config === "string" ? config : JSON.stringify(config));
}

/** Runs `clutch serve` to its end, for starts that must fail. */
export async function runServe(options: ServeOptions): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawnServe(options);
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { code, stdout, stderr };
}

/** Starts `clutch serve` and waits until it listens. */
export async function startServe(options: ServeOptions): Promise<ServeProcess> {
  const child = spawnServe(options);
  let output = "";
  const listening = Promise.withResolvers<string>();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      output += decoder.decode(chunk, { stream: true });
      const url = /serves on (http:\/\/\S+)/.exec(output)?.[1];
      if (url !== undefined) listening.resolve(url);
    }
  };
  void read(child.stdout);
  void read(child.stderr);
  const ended = child.exited.then((code) => {
    throw new Error(`serve ended with ${code} before it listened: ${output}`);
  });
  const url = await Promise.race([listening.promise, ended]);
  ended.catch(() => {
    // Later on the tests end it themselves.
  });
  return {
    url,
    pid: child.pid,
    home: options.home,
    output: () => output,
    kill: (signal) => child.kill(signal),
    exited: child.exited,
  };
}

function spawnServe(options: ServeOptions) {
  if (options.config !== undefined) writeConfig(options.home, options.config);
  const [program = process.execPath, ...first] = options.argv ?? [process.execPath, entry];
  return Bun.spawn([program, ...first, "serve", ...(options.args ?? [])], {
    cwd: options.home,
    env: { PATH: process.env["PATH"] ?? "", HOME: options.home, CLUTCH_HOME: options.home, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}
