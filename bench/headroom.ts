/**
 * What Headroom adds to an agent's session and what it saves: a session that grows to about 100 KB, turn by turn, each
 * turn asked straight and through `/front`. The upstream answers what the session goes on with, since Headroom follows a
 * conversation by its answers.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildHeadroomStart, probeHeadroom } from "../src/lifecycle/chain/headroom.ts";
import { writeTokenizerTables } from "../src/lifecycle/chain/tokenizer-tables.ts";
import type { Dialect } from "./bodies.ts";
import { freePort, median, startTarget } from "./harness.ts";
import { decimals, renderTable } from "./report.ts";

export interface HeadroomFigures {
  /** What the tools have answered in it: what this repository's files really print, or what can be made much smaller. */
  session: "recorded" | "played";
  dialect: Dialect;
  turns: number;
  /** Time to a whole answer (ms), the middle one of all turns; the upstream answers at once. */
  straightMs: number;
  frontMs: number;
  /** Of each turn's pair, the middle one (ms). */
  addedMs: number;
  /** What the upstream got in a session, all turns together (bytes). */
  straightBytes: number;
  frontBytes: number;
}

type Json = Record<string, unknown>;

interface Turn {
  /** The conversation so far, ending in the agent's own words or a tool's output. */
  messages: readonly Json[];
  /** What the model goes on with. */
  reply: Json;
}

const turnsPerSession = 16;
/** Of each output: together about 100 KB. */
const outputBytes = 6_000;
const recordedBytes = 14_000;

export async function measureHeadroom(
  clutch: string,
  file: string,
  runFolder: string,
  rounds: number,
): Promise<HeadroomFigures[]> {
  const upstream = startUpstream();
  const home = join(runFolder, "headroom-home");
  const [gatewayPort, headroomPort] = [freePort(), freePort()];
  const tables = join(runFolder, "tables");
  await writeTokenizerTables(tables);
  mkdirSync(home, { recursive: true });
  const provider = (protocol: Dialect) => ({ protocol, base_url: `${upstream.url}/v1`, api_key: "k" });
  const config = {
    providers: { chat: provider("chat"), messages: provider("messages") },
    default_provider: "chat",
    chain: { services: [{ id: "headroom", port: headroomPort }] },
  };
  writeFileSync(join(home, "config.json"), JSON.stringify(config), { mode: 0o600 });
  const argv = [clutch, "serve", "--host", "127.0.0.1", "--port", String(gatewayPort)];
  const gateway = await startTarget(
    { name: "clutch before Headroom", routes: {}, launch: () => ({ argv, env: { HOME: home, CLUTCH_HOME: home } }) },
    upstream.url,
    runFolder,
    gatewayPort,
  );
  const env = { HOME: home, PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
  const { flags } = await probeHeadroom(file, join(home, "cache"), env);
  const start = { file, flags, port: headroomPort, gatewayUrl: gateway.baseUrl, env, tokenizerDir: tables };
  const headroom = await startTarget(
    { name: "headroom", routes: {}, healthPath: "/livez", launch: () => buildHeadroomStart(start) },
    upstream.url,
    runFolder,
    headroomPort,
  );
  try {
    const figures: HeadroomFigures[] = [];
    const sessions = { recorded: recordOutputs(), played: playOutputs() } as const;
    for (const session of ["recorded", "played"] as const) {
      for (const dialect of ["messages", "chat"] as const) {
        const measured = await measureDialect(dialect, sessions[session], gateway.baseUrl, upstream, rounds);
        figures.push({ session, ...measured });
      }
    }
    return figures;
  } finally {
    await headroom.stop();
    await gateway.stop();
    await upstream.stop();
  }
}

async function measureDialect(
  dialect: Dialect,
  outputs: readonly Output[],
  gatewayUrl: string,
  upstream: Upstream,
  rounds: number,
): Promise<Omit<HeadroomFigures, "session">> {
  const times = { straight: [] as number[], front: [] as number[] };
  const bytes = { straight: 0, front: 0 };
  // The first session loads what Headroom loads on its first request of a kind.
  for (let round = -1; round < rounds; round++) {
    for (const turn of buildSession(dialect, outputs, `${dialect}${round}`)) {
      for (const way of ["straight", "front"] as const) {
        upstream.reply = turn.reply;
        const startedAtMs = performance.now();
        await ask(dialect, `${gatewayUrl}${way === "front" ? "/front" : ""}`, `${way}${round}`, turn.messages);
        const elapsedMs = performance.now() - startedAtMs;
        if (round < 0) continue;
        times[way].push(elapsedMs);
        bytes[way] += upstream.lastBytes;
      }
    }
  }
  return {
    dialect,
    turns: outputs.length,
    straightMs: median(times.straight),
    frontMs: median(times.front),
    addedMs: median(times.front.map((ms, index) => ms - (times.straight[index] ?? Number.NaN))),
    straightBytes: bytes.straight / rounds,
    frontBytes: bytes.front / rounds,
  };
}

async function ask(dialect: Dialect, base: string, launchId: string, messages: readonly Json[]): Promise<void> {
  const path = dialect === "messages" ? "/v1/messages" : "/v1/chat/completions";
  const answer = await fetch(base + path, {
    method: "POST",
    headers: { "content-type": "application/json", "user-agent": "bench", authorization: `Bearer xx-pip-${launchId}` },
    body: JSON.stringify({ model: `${dialect}:m`, max_tokens: 1000, stream: false, messages }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`the gateway answered ${answer.status}: ${text.slice(0, 200)}`);
}

function buildSession(dialect: Dialect, outputs: readonly Output[], seed: string): Turn[] {
  const messages: Json[] = [{ role: "user", content: `Find out why the build fails (${seed}).` }];
  const turns: Turn[] = [];
  for (const [index, { tool, text }] of outputs.entries()) {
    const id = `call_${seed}_${index}`;
    const reply = dialect === "messages" ? callOfMessages(id, tool) : callOfChat(id, tool);
    turns.push({ messages: [...messages], reply });
    messages.push(
      { role: "assistant", ...reply },
      dialect === "messages"
        ? { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: text }] }
        : { role: "tool", tool_call_id: id, content: text },
    );
  }
  return turns;
}

function callOfMessages(id: string, name: string): Json {
  return {
    content: [
      { type: "text", text: "Looking." },
      { type: "tool_use", id, name, input: { of: id } },
    ],
  };
}

function callOfChat(id: string, name: string): Json {
  const call = { id, type: "function", function: { name, arguments: JSON.stringify({ of: id }) } };
  return { content: "Looking.", tool_calls: [call] };
}

function lines(write: (index: number) => string): string {
  let text = "";
  for (let index = 0; text.length < outputBytes; index++) text += `${write(index)}\n`;
  return text;
}

interface Output {
  tool: string;
  text: string;
}

/** What an agent that looks for something in this repository asks its shell, in that order. */
const commands = [
  "ls -l src/gateway",
  "grep -rn headroom src --include=*.ts",
  "cat -n src/gateway/front.ts",
  "cat -n src/lifecycle/chain/headroom.ts",
  "find src commands providers -name '*.ts' | xargs wc -l | sort -n | tail -90",
  "cat -n src/gateway/compression.ts",
  "grep -rn 'compression' test | head -70",
  "cat -n test/gateway-units/compression.test.ts",
  "cat package.json tsconfig.json biome.json",
  "cat -n src/store/schema.ts",
  "ls -lR test/gateway test/gateway-units test/lifecycle",
  "cat migrations/meta/_journal.json",
  "grep -rn 'export function' src/gateway | head -80",
  "cat docs/chain.md",
  "cat -n commands/status.ts",
  "cat -n src/gateway/headroom-watch.ts",
] as const;

/** Cut at the end of a line, as agents cut what is long. */
function recordOutputs(): Output[] {
  return commands.map((command) => {
    const run = Bun.spawnSync(["/bin/sh", "-c", command], { cwd: join(import.meta.dir, ".."), timeout: 10_000 });
    const whole = run.stdout.toString();
    const text = whole.slice(0, whole.lastIndexOf("\n", recordedBytes) + 1);
    if (text === "") throw new Error(`"${command}" prints nothing: the session would not be what it says`);
    return { tool: command.startsWith("cat") ? "read" : "bash", text };
  });
}

function playOutputs(): Output[] {
  return Array.from({ length: turnsPerSession }, (_, turn) => {
    const { tool, write } = kinds[turn % kinds.length] as (typeof kinds)[number];
    return { tool, text: write(turn) };
  });
}

/** Half of it reads files, the other half is what compression is made for. */
const kinds = [
  {
    tool: "read",
    write: (turn) =>
      lines(
        (line) => `${line}\texport function part${turn}_${line}(input: Input): Output { return join(input, ${line}); }`,
      ),
  },
  {
    tool: "bash",
    write: (turn) =>
      lines(
        (line) => `./packages/gateway/source/handlers/part-${turn % 3}.ts:${line * 7}:  return join(input, ${line});`,
      ),
  },
  {
    tool: "bash",
    write: (turn) =>
      lines((line) => `\u001b[32m  ok\u001b[0m part ${turn} handles case ${line} \u001b[2m(${line % 9} ms)\u001b[0m`),
  },
  {
    tool: "read",
    write: (turn) => lines((line) => `${line}\t// ${turn}: the ${line}th line says why the one below it is as it is`),
  },
  {
    tool: "bash",
    write: (turn) =>
      JSON.stringify(
        Array.from({ length: 60 }, (_, line) => ({
          id: turn * 100 + line,
          name: `part ${line}`,
          state: line % 7 ? "done" : "failed",
          took_ms: line * 13,
        })),
        null,
        2,
      ),
  },
] as const satisfies readonly { tool: string; write: (turn: number) => string }[];

interface Upstream {
  url: string;
  /** What it answers next. */
  reply: Json;
  /** Of the newest request. */
  lastBytes: number;
  stop(): Promise<void>;
}

function startUpstream(): Upstream {
  const state = { reply: {} as Json, lastBytes: 0 };
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method !== "POST") return new Response(null);
      state.lastBytes = (await request.arrayBuffer()).byteLength;
      const isMessages = new URL(request.url).pathname === "/v1/messages";
      return Response.json(isMessages ? wholeOfMessages(state.reply) : wholeOfChat(state.reply));
    },
  });
  return Object.assign(state, { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) });
}

function wholeOfMessages(reply: Json): Json {
  const usage = { input_tokens: 100, output_tokens: 20 };
  return { id: "msg_1", type: "message", role: "assistant", model: "m", stop_reason: "tool_use", usage, ...reply };
}

function wholeOfChat(reply: Json): Json {
  const choice = { index: 0, message: { role: "assistant", ...reply }, finish_reason: "tool_calls" };
  const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
  return { id: "c1", object: "chat.completion", created: 1, model: "m", choices: [choice], usage };
}

export function renderHeadroom(figures: readonly HeadroomFigures[]): string {
  const head = [
    "session",
    "dialect",
    "turns",
    "straight p50 ms",
    "through Headroom p50 ms",
    "added p50 ms",
    "sent KB",
    "of that saved",
  ];
  const rows = figures.map((figure) => [
    figure.session,
    figure.dialect,
    String(figure.turns),
    decimals(figure.straightMs, 2),
    decimals(figure.frontMs, 2),
    decimals(figure.addedMs, 2),
    decimals(figure.straightBytes / 1000, 0),
    `${decimals(100 * (1 - figure.frontBytes / figure.straightBytes), 1)} %`,
  ]);
  return renderTable(head, rows);
}
