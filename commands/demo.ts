/** `clutch demo`: one real-sized request through a real gateway whose first three upstreams fail. No keys, no network. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { parseConfig } from "../src/config/schema.ts";
import recordedRequest from "../src/demo/recorded-request.txt" with { type: "text" };
import { type DemoModel, demoModels, expectedAnswer, startDemoUpstreams } from "../src/demo/upstreams.ts";
import { describeFailure } from "../src/gateway/cascade.ts";
import { startGateway } from "../src/gateway/server.ts";
import { exemptLoopback } from "../src/loopback-direct.ts";
import type { Json } from "../src/protocols/chat.ts";
import { SseReader } from "../src/protocols/sse.ts";
import { openStore } from "../src/store/open.ts";
import { requestQueries } from "../src/store/requests.ts";
import type { AttemptRow, RequestRow } from "../src/store/schema.ts";
import { runXx } from "./xx.ts";

/** Shortened, so that nobody waits a minute for the hanging candidate. */
const firstTokenMs = 900;

/** @returns 0 only if the right answer arrived by the expected way */
export async function demo(env: Env): Promise<number> {
  // Read by Bun at every fetch, so it must stand before the first one.
  Object.assign(process.env, exemptLoopback(process.env));
  const home = mkdtempSync(join(tmpdir(), "clutch-demo-"));
  const removeHome = () => rmSync(home, { recursive: true, force: true });
  const onSignal = () => {
    removeHome();
    process.exit(130);
  };
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  try {
    const wrong = await play(home);
    await showLaunch(env);
    if (wrong.length === 0)
      console.log(`${pc.green("ok")}: the agent would have noticed nothing. Nothing was left behind.`);
    for (const line of wrong) console.log(`${pc.red("wrong")}: ${line}`);
    return wrong.length === 0 ? 0 : 1;
  } finally {
    removeHome();
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** @returns what was not as it should be */
async function play(home: string): Promise<string[]> {
  const upstreams = startDemoUpstreams();
  const store = openStore(resolveHomes({ CLUTCH_HOME: home }).database);
  let attempt = 0;
  const gateway = await startGateway({
    loaded: { config: parseConfig(buildConfig(upstreams.port), "the demo's config"), path: undefined, notices: [] },
    tierLetters: {},
    env: {},
    store,
    fetch,
    factsOf: () => undefined,
    launchSecret: () => undefined,
    log: (line) => console.error(line),
    onLeft: (_exchange, { target, failure, durationMs }) => {
      attempt += 1;
      console.log(
        `  ${attempt}. ${pc.red("left")}   ${pad(target.model)} ${padMs(durationMs)}  ${describeFailure(failure)}`,
      );
    },
  });
  let isStopped = false;
  const stopGateway = async () => {
    if (!isStopped) await gateway.stop(1000);
    isStopped = true;
  };
  try {
    console.log(pc.bold("One recorded Claude Code request through a cascade that misbehaves (no keys, no network)"));
    console.log(`  gateway   ${gateway.url}, in a temporary home`);
    console.log(
      `  request   POST /v1/messages, ${Math.round(recordedRequest.length / 1024)} KB, streaming, model claude-opus-5-5\n`,
    );
    const startedAt = Date.now();
    const answer = await ask(gateway.url, () => {
      const served = Object.keys(demoModels).at(-1) ?? "";
      console.log(
        `  ${attempt + 1}. ${pc.green("serves")} ${pad(served)} ${padMs(Date.now() - startedAt)}  first token, ${Date.now() - startedAt} ms after the request`,
      );
    });
    console.log(`\n  answer    ${answer.text}`);
    await stopGateway();
    const recorded = await readLedger(home, answer.requestId);
    console.log(`  cost      ${renderCost(recorded?.request)}`);
    console.log(
      `  ledger    request ${answer.requestId}: ${recorded?.request.status ?? "missing"}, ${recorded?.attempts.length ?? 0} attempts, served by ${answer.servedBy}\n`,
    );
    return findWrongs(answer, upstreams.calls, recorded);
  } finally {
    await stopGateway();
    await upstreams.stop();
  }
}

function buildConfig(port: number): Json {
  const base = `http://127.0.0.1:${port}/v1`;
  const models = Object.entries(demoModels).map(([model, { protocol }]) => `${protocol}:${model}`);
  const [first = "", ...cascade] = models;
  return {
    server: { port: 0 },
    providers: {
      chat: { protocol: "chat", base_url: base, api_key: "demo" },
      messages: { protocol: "messages", base_url: base, api_key: "demo" },
    },
    default_provider: "chat",
    model_tiers: { BIG: { default: first, cascade } },
    timeouts: { first_token_ms: firstTokenMs },
  };
}

interface Answer {
  text: string;
  requestId: string;
  servedBy: string;
  stopReason: string | undefined;
  isWhole: boolean;
}

async function ask(url: string, onFirstToken: () => void): Promise<Answer> {
  const response = await fetch(`${url}/v1/messages?beta=true`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: "Bearer xx-cip-demo",
      "anthropic-version": "2023-06-01",
    },
    body: recordedRequest,
  });
  const answer: Answer = {
    text: "",
    requestId: response.headers.get("x-clutch-request-id") ?? "",
    servedBy: response.headers.get("x-clutch-served-by") ?? "",
    stopReason: undefined,
    isWhole: false,
  };
  if (!response.ok) return { ...answer, text: `HTTP ${response.status}: ${await response.text()}` };
  const reader = new SseReader();
  for await (const chunk of response.body ?? []) {
    for (const message of reader.push(chunk)) {
      const event = JSON.parse(message.data) as { type: string; delta?: { text?: string; stop_reason?: string } };
      if (event.type === "content_block_delta" && event.delta?.text !== undefined) {
        if (answer.text === "") onFirstToken();
        answer.text += event.delta.text;
      }
      if (event.type === "message_delta") answer.stopReason = event.delta?.stop_reason;
      if (event.type === "message_stop") answer.isWhole = true;
    }
  }
  return answer;
}

type Recorded = { request: RequestRow; attempts: AttemptRow[] } | undefined;

async function readLedger(home: string, id: string): Promise<Recorded> {
  const store = openStore(resolveHomes({ CLUTCH_HOME: home }).database);
  try {
    return await requestQueries(store.db).find(id);
  } finally {
    store.close();
  }
}

function findWrongs(answer: Answer, calls: readonly { model: string; tools: number }[], recorded: Recorded): string[] {
  const wrong: string[] = [];
  const expect = (what: string, isRight: boolean) => {
    if (!isRight) wrong.push(what);
  };
  const models = Object.keys(demoModels) as DemoModel[];
  expect("the answer's text", answer.text === expectedAnswer);
  expect("the answer's end (message_stop with end_turn)", answer.isWhole && answer.stopReason === "end_turn");
  expect(
    `the order of the calls: ${calls.map((call) => call.model).join(", ")}`,
    Bun.deepEquals(
      calls.map((call) => call.model),
      models,
    ),
  );
  expect("the tools did not reach the model that answered", (calls.at(-1)?.tools ?? 0) > 10);
  expect("the ledger's row", recorded?.request.status === "completed" && recorded.request.outputTokens === 17);
  expect(
    "the ledger's attempts",
    Bun.deepEquals(
      recorded?.attempts.map((row) => row.failureKind),
      ["quota", "empty", "timeout", null],
    ),
  );
  return wrong;
}

async function showLaunch(env: Env): Promise<void> {
  console.log(pc.bold("What `xx cip --dry-run` would run here"));
  const status = await runXx(["cip", "--dry-run"], env);
  if (status !== 0) console.log("  (your config stands in the way of a launch: see the line above)");
  console.log("");
}

function renderCost(request: RequestRow | undefined): string {
  if (request === undefined) return "unknown";
  const cost =
    request.costUsd === null || request.costUsd === undefined
      ? "price unknown"
      : `$${request.costUsd.toFixed(5)} as the upstream billed it`;
  return `${request.inputTokens ?? "?"} tokens in, ${request.outputTokens ?? "?"} out, ${cost}`;
}

function pad(text: string): string {
  return text.padEnd(Math.max(...Object.keys(demoModels).map((model) => model.length)));
}

function padMs(ms: number): string {
  return `${ms} ms`.padStart(7);
}
