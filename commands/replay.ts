/** `clutch replay`: a captured request, or a saved case, asked of other models through the gateway, and compared. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseModelReference, renderModelReference } from "../providers/model-reference.ts";
import { buildProviders, keyReader } from "../providers/registry.ts";
import { loadConfig } from "../src/config/load.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import type { Config } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import {
  parseCase,
  type ReplayCase,
  type ReplayReport,
  type ReplayRun,
  readAnswer,
  renderReplay,
  reportRun,
} from "../src/explain/replay.ts";
import { buildLaunchToken, launchSecretFile } from "../src/launch-token.ts";
import { readCliProxyKey, withCliProxyKey } from "../src/lifecycle/chain/cliproxyapi.ts";
import { readAdmin } from "../src/lifecycle/gateway-admin.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { readBeside } from "../src/store/beside.ts";
import { findCapture, newestCaptured } from "../src/store/captures.ts";
import { lookups } from "../src/store/lookups.ts";
import { type ListedRequest, requestList } from "../src/store/request-list.ts";
import { version } from "../src/version.ts";
import { gatewayUrlOf } from "./chain-place.ts";
import { notCaptured, tooLarge } from "./not-captured.ts";
import { paint } from "./paint.ts";
import { splitList } from "./row-filters.ts";
import { findTheWanted } from "./wanted-request.ts";

export interface ReplayFlags {
  against?: string;
  save?: string;
  json?: boolean;
}

/** @returns 1 when a run failed, or a saved case was answered with other tools than it expects */
export async function replay(wanted: string, flags: ReplayFlags, env: Env): Promise<number> {
  // Read by Bun at every fetch: calls to this machine stay on it.
  Object.assign(process.env, exemptLoopback(process.env));
  const homes = resolveHomes(env);
  const isFile = wanted.endsWith(".json") && existsSync(wanted);
  const subject = isFile ? readCaseFile(wanted) : await readCaptured(wanted, homes);
  if (flags.save !== undefined) {
    saveCase(flags.save, subject.asked);
    if (flags.against === undefined) return 0;
  }
  const { config } = await loadConfig(homes, env);
  const targets = chooseTargets(flags.against, subject, config, env);
  await using place = await findGateway(config, homes, env);
  const runs: ReplayRun[] = [];
  // One after the other: what runs beside another is slower than it is.
  for (const target of targets) {
    tell(`asking ${target} ...`);
    runs.push(await run(target, subject, place));
  }
  const { id, protocol, model_requested, request } = subject.asked;
  const streamed = (request as JsonObject)["stream"] === true;
  const report: ReplayReport = {
    request: { id, protocol, model_requested, streamed },
    original: subject.original,
    runs,
  };
  console.log(flags.json === true ? JSON.stringify(report, null, 2) : renderReplay(report, paint));
  const isBad = ({ verdict, error }: ReplayRun) =>
    error !== null || (isFile && (verdict === "other-tools" || verdict === "no-tools"));
  return runs.some(isBad) ? 1 : 0;
}

interface Subject {
  asked: ReplayCase;
  original: ReplayRun | null;
}

/** @throws {ClutchError} `failed` when its body was not kept */
async function readCaptured(wanted: string, homes: Homes): Promise<Subject> {
  return readBeside(homes.database, async (db) => {
    // The newest of all may be a replay's own, which nobody means.
    const row = await findTheWanted(wanted === "last" ? ((await newestCaptured(db)) ?? "last") : wanted, lookups(db));
    const captured = await findCapture(db, row.id);
    if (captured === undefined) throw notCaptured(row.id);
    if (captured.request === undefined) throw tooLarge(row.id, captured.requestBytes);
    const { protocol, query, headers, response } = captured;
    const answer = response === undefined ? undefined : readAnswer(protocol, response);
    const expected = answer === undefined || answer.error !== null ? null : answer.tool_calls;
    const asked: ReplayCase = {
      clutch_case: 1,
      id: row.id,
      protocol,
      query,
      headers,
      model_requested: row.modelRequested,
      request: JSON.parse(captured.request) as Json,
      tool_calls: expected,
    };
    const target = row.servedBy ?? row.modelRequested;
    return { asked, original: answer === undefined ? null : reportRun(target, answer, row, undefined) };
  });
}

function readCaseFile(path: string): Subject {
  const asked = parseCase(readFileSync(path, "utf8"));
  if (asked !== undefined) return { asked, original: null };
  throw new ClutchError("failed", `${path} is no saved case`, { hint: "clutch replay <id> --save <file> makes one" });
}

/** The prompt is in it: it is its owner's alone. */
function saveCase(name: string, asked: ReplayCase): void {
  const path = name.endsWith(".json") ? name : `${name}.json`;
  try {
    writeFileSync(path, `${JSON.stringify(asked, null, 2)}\n`, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === "EEXIST" ? "it is there already" : code;
    throw new ClutchError("failed", `cannot write ${path} (${why})`, { hint: "choose another name", cause });
  }
  console.error(`saved as ${path}: clutch replay ${path} --against <models> asks it again`);
}

/** Complete references: a name alone would go by the rules, and its cascade. @throws {ClutchError} `usage` */
function chooseTargets(against: string | undefined, { asked, original }: Subject, config: Config, env: Env): string[] {
  if (against === undefined) {
    const served = original?.served_by ?? null;
    if (served !== null && !served.startsWith("clutch:")) return [served];
    throw new ClutchError("usage", `nobody is known to have answered ${asked.id}`, {
      hint: "name models: --against openrouter:moonshotai/kimi-k2.6:free,ollama:qwen3:8b",
    });
  }
  const providers = buildProviders(
    config,
    keyReader(env, () => "from a command"),
  );
  const names = splitList(against).filter((name) => name !== "");
  if (names.length === 0)
    throw new ClutchError("usage", "--against names no model", { hint: "as in --against openai:gpt-5" });
  return names.map((name) => {
    const reference = parseModelReference(name, (id) => providers.has(id), config.default_provider);
    return renderModelReference(reference);
  });
}

interface Place extends AsyncDisposable {
  url: string;
  database: string;
  /** What opens it, where it wants a key. */
  secret: string | undefined;
}

/** How long it may take to tell that it is this home's (ms). */
const probeLimitMs = 1_000;

/** The one that runs, so that its breakers, prices and budgets count; else one for the length of this command. */
async function findGateway(config: Config, homes: Homes, env: Env): Promise<Place> {
  const url = gatewayUrlOf(config.server);
  const { database, stateDir, cacheDir } = homes;
  const requireKey = config.server.require_key;
  const answer = await readAdmin({ url, database, stateDir, requireKey }, "", probeLimitMs);
  if (answer.ok) {
    const secret = requireKey ? readSecret(stateDir) : undefined;
    return { url, database, secret, async [Symbol.asyncDispose]() {} };
  }
  tell(`no gateway of this home runs (${answer.reason}): one is started for this`);
  const { startPassingGateway } = await import("../src/gateway/passing-gateway.ts");
  const read = await loadConfig(homes, env);
  const loaded = { ...read, config: withCliProxyKey(read.config, () => readCliProxyKey(stateDir)) };
  return Object.assign(await startPassingGateway(loaded, cacheDir, env), { secret: undefined });
}

function readSecret(stateDir: string): string | undefined {
  try {
    return readFileSync(launchSecretFile(stateDir), "utf8").trim();
  } catch {
    return undefined;
  }
}

const paths = {
  messages: "/v1/messages",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
} as const satisfies Record<Protocol, string>;

/** How long a model may take (ms). */
const answerLimitMs = 10 * 60_000;

async function run(target: string, { asked }: Subject, place: Place): Promise<ReplayRun> {
  const expected = asked.tool_calls ?? undefined;
  try {
    const response = await fetch(place.url + paths[asked.protocol] + asked.query, {
      method: "POST",
      headers: {
        ...asked.headers,
        "content-type": "application/json",
        // As itself: the gateway has its own ways with the agents that it knows.
        "user-agent": `clutch-replay/${version}`,
        ...(place.secret !== undefined && {
          authorization: `Bearer ${buildLaunchToken({ code: "cip", launchId: "replay", secret: place.secret })}`,
        }),
      },
      body: JSON.stringify({ ...(asked.request as JsonObject), model: target }),
      signal: AbortSignal.timeout(answerLimitMs),
      timeout: false,
    } as RequestInit);
    const answer = readAnswer(asked.protocol, await response.text());
    const row = await awaitRow(response.headers.get("x-clutch-request-id"), place.database);
    const failed = response.ok ? null : (answer.error ?? `HTTP ${response.status}`);
    return reportRun(target, { ...answer, error: failed ?? answer.error }, row, expected);
  } catch (cause) {
    const error = cause instanceof Error ? cause.message : String(cause);
    return reportRun(target, { tool_calls: [], text: "", finish: null, error }, undefined, expected);
  }
}

/** Rows are written behind the answer (ms). */
const rowLimitMs = 3_000;

async function awaitRow(id: string | null, database: string): Promise<ListedRequest | undefined> {
  if (id === null) return undefined;
  for (const deadline = Date.now() + rowLimitMs; Date.now() < deadline; await Bun.sleep(20)) {
    const [row] = await readBeside(database, (db) => requestList(db).byIds({}, [id]));
    if (row !== undefined && row.status !== "pending") return row;
  }
  return undefined;
}

/** Progress is for somebody who watches. */
function tell(line: string): void {
  if (process.stderr.isTTY === true) console.error(paint.dim(line));
}
