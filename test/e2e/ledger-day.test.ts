/**
 * A day of the six agents' recorded requests against upstreams that bill: the ledger's sums are what was billed, to the
 * token and to the cent, with cascades, aborts, retries, streams that break, and a crash in the middle.
 */

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { paths } from "../support/answers.ts";
import { type Bill, startBillingUpstream } from "../support/billing-upstream.ts";
import { eventually, makeHome, programs, type ServeProcess, startServe } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const home = makeHome();
afterAll(() => rmSync(home, { recursive: true, force: true }));

interface Agent {
  letter: string;
  protocol: Protocol;
  fixture: string;
  /** As it names models itself. */
  models: readonly string[];
  headers: Record<string, string>;
}

/** User agents and session headers as recorded. */
const agents: readonly Agent[] = [
  {
    letter: "c",
    protocol: "messages",
    fixture: "messages/claude-code-tool-result",
    models: ["claude-opus-4-5", "claude-sonnet-5", "claude-haiku-4-5"],
    headers: { "user-agent": "claude-cli/2.1.328 (external, cli)", "x-claude-code-session-id": "session-c" },
  },
  {
    letter: "x",
    protocol: "responses",
    fixture: "responses/codex-plain",
    models: ["gpt-5.5", "gpt-5.4-mini"],
    headers: { "user-agent": "codex_exec/0.169.0", "session-id": "session-x" },
  },
  {
    letter: "q",
    protocol: "chat",
    fixture: "chat/qwen-tool-result",
    models: ["coder-model"],
    headers: { "user-agent": "QwenCode/0.24.4 (linux; x64)" },
  },
  {
    letter: "p",
    protocol: "messages",
    fixture: "messages/pi-tool-result",
    models: ["clutch-big", "clutch-small"],
    headers: { "user-agent": "pi 0.1", session_id: "session-p" },
  },
  { letter: "h", protocol: "chat", fixture: "chat/hermes-tool-result", models: ["clutch-middle"], headers: {} },
  {
    letter: "o",
    protocol: "chat",
    fixture: "chat/opencode-tool-result",
    models: ["clutch-big", "clutch-middle"],
    headers: { "user-agent": "opencode/1.18.33", "x-session-id": "session-o" },
  },
];

const rounds = 18;

const tariffs = {
  dear: { input: 3, output: 15, cacheRead: 0.3, cacheWrite: 3.75 },
  listed: { input: 1.25, output: 10, cacheRead: 0.125, cacheWrite: 1.25 },
  telling: { input: 0.6, output: 2.4, cacheRead: 0.06, cacheWrite: 0.6 },
  gift: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
} as const;

test("the sums of a day are what the upstreams billed", async () => {
  const seed = Number(process.env["CLUTCH_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const upstream = startBillingUpstream(
    {
      dear: { tariff: tariffs.dear, tellsCost: false, isSteady: false },
      listed: { tariff: tariffs.listed, tellsCost: false, isSteady: false },
      telling: { tariff: tariffs.telling, tellsCost: true, isSteady: false },
      gift: { tariff: tariffs.gift, tellsCost: false, isSteady: true },
    },
    random,
  );
  leaveNotes();
  const options = { home, config: configFor(upstream.port), argv: programs.at(-1)?.argv ?? [] };
  let server = await startServe(options);
  try {
    await Promise.all(agents.map((agent) => workAs(agent, server, random)));
    // What was answered is on disk by now; what is under way when it is killed has been told nothing.
    await Bun.sleep(400);
    const held = upstream.held();
    const lost = agents.slice(0, 3).map((agent) => send(agent, server, "[[silent]]", random).catch(() => undefined));
    await eventually("requests under way", () => upstream.held() === held + lost.length);
    await Bun.sleep(400);
    server.kill("SIGKILL");
    await Promise.all([server.exited, ...lost]);
    server = await startServe(options);
    await eventually("a word", () => server.output().includes("3 requests were pending when the last gateway ended"));
    await Promise.all(agents.map((agent) => workAs(agent, server, random)));
    server.kill("SIGTERM");
    await server.exited;
  } finally {
    server.kill("SIGKILL");
    await upstream.stop();
  }
  console.log(JSON.stringify(upstream.drawn));
  for (const kind of ["good", "empty", "rate-limit", "overloaded", "cut", "hold"]) {
    expect([kind, upstream.drawn[kind] ?? 0]).toEqual([kind, expect.any(Number)]);
    expect(upstream.drawn[kind] ?? 0).toBeGreaterThan(2);
  }

  const byModel = await usage("model");
  const billed = Object.fromEntries([...upstream.book].map(([key, bill]) => [key, rounded(bill)]));
  const written = Object.fromEntries(
    byModel.rows.flatMap((row) => (row["model"] === null ? [] : [[String(row["model"]), rounded(billOf(row))]])),
  );
  // Models that were asked and never told of a token have taken nothing.
  const nothing = rounded({ input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0, usd: 0 });
  for (const key of Object.keys(written)) billed[key] ??= nothing;
  expect(written).toEqual(billed);

  const sum = [...upstream.book.values()].reduce((total, { usd }) => total + usd, 0);
  for (const by of ["agent", "provider", "session", "folder", "tier", "day"]) {
    const { totals } = await usage(by);
    expect([by, cents(Number(totals["cost_usd"]))]).toEqual([by, cents(sum)]);
    expect(totals).toMatchObject({ requests: 2 * rounds * agents.length + 3 });
  }
  const { rows: folders } = await usage("folder");
  expect(folders.map((row) => row["folder"]).sort()).toEqual(agents.map(({ letter }) => `/home/me/${letter}`).sort());
  const { stdout } = await runClutch(home, ["db", "check", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ pending: 0, problems: [] });
}, 60_000);

function configFor(port: number): JsonObject {
  const base_url = `http://127.0.0.1:${port}/v1`;
  const provider = (protocol: Protocol) => ({ protocol, base_url, api_key: "k" });
  const price = ({ input, output, cacheRead, cacheWrite }: (typeof tariffs)[keyof typeof tariffs]) => ({
    usd_per_million: { input, output, cache_read: cacheRead, cache_write: cacheWrite },
  });
  return {
    server: { port: 0 },
    default_provider: "chat",
    providers: { messages: provider("messages"), chat: provider("chat"), responses: provider("responses") },
    model_tiers: {
      BIG: { default: "messages:dear", cascade: ["responses:listed", "chat:telling", "chat:gift"] },
      MIDDLE: { default: "responses:listed", cascade: ["messages:dear", "chat:gift"] },
      SMALL: { default: "chat:telling", cascade: ["messages:dear", "chat:gift"] },
    },
    prices: {
      "messages:dear": price(tariffs.dear),
      "responses:listed": price(tariffs.listed),
      "chat:gift": { pays: "free" },
    },
    breaker: { failures: 0 },
    timeouts: { patience_ms: 2000 },
  };
}

/** As `xx` leaves them. */
function leaveNotes(): void {
  const folder = join(home, "state/launch", new Date().toISOString().slice(0, 10));
  mkdirSync(folder, { recursive: true });
  for (const { letter } of agents) {
    const note = {
      folder: `/home/me/${letter}`,
      agent: letter,
      code: `${letter}ip`,
      session: null,
      started_at: Date.now(),
    };
    writeFileSync(join(folder, `launch${letter}0-launch.json`), JSON.stringify(note));
  }
}

/** One request after the other; some are given up at the first word. */
async function workAs(agent: Agent, server: ServeProcess, random: () => number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    if (random() < 0.15) await send(agent, server, "[[hold]]", random);
    else await send(agent, server, "", random);
  }
}

async function send(agent: Agent, server: ServeProcess, mark: string, random: () => number): Promise<void> {
  const { letter, protocol, fixture, models, headers } = agent;
  const recorded = JSON.parse(readFileSync(join(import.meta.dir, `../fixtures/${fixture}.request.json`), "utf8"));
  const stream = mark !== "" || random() < 0.7;
  const model = models[Math.floor(random() * models.length)] ?? "";
  const { stream_options: _, ...plain } = recorded;
  const body = { ...(stream ? recorded : plain), model, stream };
  const text = JSON.stringify(body).replace("run echo", `run echo ${mark}`);
  const controller = new AbortController();
  const response = await fetch(server.url + paths[protocol], {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...headers,
      authorization: `Bearer xx-${letter}ip-launch${letter}0`,
    },
    body: mark === "" ? text : mustMark(text, mark),
    keepalive: false,
    signal: controller.signal,
  });
  if (mark !== "[[hold]]") {
    await response.text();
    return;
  }
  const reader = response.body?.getReader();
  await reader?.read();
  // Far enough for the gateway to have heard what the upstream has said so far.
  await Bun.sleep(60);
  controller.abort();
}

/** Wherever the recording has its user's words. */
function mustMark(text: string, mark: string): string {
  if (text.includes(mark)) return text;
  const marked = text.replace(/"text":"[^"]{3}/, (start) => `"text":"${mark} ${start.slice(8)}`);
  if (!marked.includes(mark)) throw new Error("there is no place for a mark in the recording");
  return marked;
}

async function usage(by: string): Promise<{ totals: JsonObject; rows: JsonObject[] }> {
  const { stdout, stderr } = await runClutch(home, ["usage", "7d", "--by", by, "--json"]);
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

function billOf(row: JsonObject): Bill {
  return {
    input: Number(row["input_tokens"]),
    cacheRead: Number(row["cache_read_tokens"]),
    cacheWrite: Number(row["cache_write_tokens"]),
    output: Number(row["output_tokens"]),
    reasoning: Number(row["reasoning_tokens"]),
    usd: Number(row["cost_usd"]),
  };
}

/** To a hundredth of a cent, since they are added up in another order. */
function rounded(bill: Bill): Bill {
  return { ...bill, usd: cents(bill.usd) };
}

function cents(usd: number): number {
  return Math.round(usd * 1e4) / 100;
}

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
