/**
 * Writes docs/screens/*.txt: what `clutch status` and `clutch watch` show, taken from a real terminal. The chain is a real
 * one, started by `clutch up`; the upstreams are played, and so is the agent.
 *
 *     npm run build && bun scripts/capture-screens.ts [folder]
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import { free, openRouterList, openRouterModel } from "../test/models/samples.ts";
import { paths, pieces, requestBody, whole } from "../test/support/answers.ts";
import { json, type Reply, startFakeUpstream } from "../test/support/fake-upstream.ts";
import { programs } from "../test/support/gateway.ts";
import { startTerminal, type Terminal } from "../test/support/terminal.ts";

const root = join(import.meta.dir, "..");

/** Ports differ from run to run and would change every screen; all have as many digits as the one that stands for them. */
const shownPort = 8082;

const paidModel = "meta-llama/llama-3.3-70b-instruct";

/** What the played OpenRouter has; a model of the tiers that it had not would be told of on every screen. */
const listed = [
  paidModel,
  "moonshotai/kimi-k2.6:free",
  "deepseek/deepseek-v4-flash:free",
  "nvidia/nemotron-3-super-120b-a12b:free",
  "qwen/qwen3-next-80b-a3b-thinking",
];

const ends: (() => unknown)[] = [];

try {
  await capture(process.argv[2] ?? join(root, "docs/screens"));
} finally {
  for (const end of ends.reverse()) await end();
}

async function capture(target: string): Promise<void> {
  const stage = await setStage();
  const save = (name: string, text: string) => {
    const shown = text
      .replaceAll(String(stage.port), String(shownPort))
      .replaceAll(stage.home, "/home/you")
      .replace(/^\$ .*\n/, "")
      .replace(/\n\$ *$/, "");
    mkdirSync(target, { recursive: true });
    writeFileSync(join(target, `${name}.txt`), `${shown.trimEnd()}\n`);
    console.log(join(target, `${name}.txt`));
  };

  const shell = stage.open(120, 40);
  shell.enter("clutch up --no-headroom");
  await shell.shows(/gateway +ready/, 30_000);
  const agent = stage.open(80, 24);
  agent.enter("clutch run -- xx cip");
  await agent.shows("agent ready", 20_000);
  await stage.ask("cip", "messages", "claude-sonnet-4-5");
  await stage.ask("xip", "responses", "gpt-5.1-codex");
  const slow = [
    stage.ask("cip", "messages", "clutch-small", true),
    stage.ask("qip", "chat", "clutch-big", true),
    stage.ask("oip", "chat", "mistral:devstral-medium", true),
  ];
  await Bun.sleep(1_500);

  shell.enter("clear; clutch status");
  await shell.shows(/^today/m);
  save("status", shell.screen());

  const dense = stage.open(80, 24);
  dense.enter("clear; clutch watch");
  await dense.shows(/streaming from .* [1-9]\d*$/m, 10_000);
  save("watch", dense.screen());
  dense.press("G", "Enter");
  await dense.shows("attempts");
  save("watch-why", dense.screen());
  dense.press("Escape", "q");

  const sparse = stage.open(110, 34);
  sparse.enter("clear; clutch watch");
  await sparse.shows("under way (3)");
  sparse.press("d");
  await sparse.shows(/streaming from .* [1-9]\d*$/m, 10_000);
  save("watch-sparse", sparse.screen());
  sparse.press("q");

  shell.enter("clear; clutch status --line");
  await shell.shows(/\d today( · .*)?\n\$/);
  save("status-line", shell.screen());
  stage.release();
  await Promise.all(slow);
  shell.enter("clear; clutch down");
  await shell.shows(/gateway/, 20_000);
  await untilRefused(stage.port);
  shell.enter("clear; clutch status");
  await shell.shows(/^today/m);
  save("status-down", shell.screen());
}

function asListed(id: string): object {
  return openRouterModel(id, id.endsWith(":free") ? { price: free } : {});
}

function withCost(cost: number): JsonObject {
  const { usage } = whole.chat;
  return { ...whole.chat, usage: { ...(isObject(usage) ? usage : {}), cost } };
}

interface Stage {
  home: string;
  port: number;
  open(columns: number, rows: number): Terminal;
  /** As the agent of that launch code does; resolves at the end of the answer. */
  ask(code: string, protocol: keyof typeof paths, model: string, stream?: boolean): Promise<void>;
  /** Lets the slow answers end. */
  release(): void;
}

async function setStage(): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), "clutch-screens-"));
  ends.push(() => rmSync(home, { recursive: true, force: true }));
  const freed = Promise.withResolvers<void>();
  const dayIsOver = { error: { code: 429, message: "Rate limit exceeded: free-models-per-day" } };
  const upstream = await startFakeUpstream({
    "moonshotai/kimi-k2.6:free": json(dayIsOver, 429),
    "openai/gpt-oss-120b": ({ body }) => (body["stream"] === true ? dripping(freed.promise) : json(whole.chat)),
    // What is asked without a model: the list of all.
    undefined: json(openRouterList(...listed.map(asListed)) as JsonObject),
    // OpenRouter alone says with each answer what it has cost.
    [paidModel]: json(withCost(0.0031)),
    "devstral-medium": { body: [freed.promise], end: "reset" },
    "qwen3-32b": json({ error: { message: "The model is overloaded. Please try again later." } }, 503),
  });
  ends.push(() => upstream.stop());
  const port = await fourDigitPort();
  const base_url = `http://127.0.0.1:${upstream.port}/v1`;
  const provider = { protocol: "chat", base_url, api_key: "no-key-of-anybody" };
  const config = {
    server: { port },
    headroom: { mode: "front" },
    providers: { openrouter: provider, groq: provider, mistral: provider },
    model_tiers: {
      BIG: { default: "moonshotai/kimi-k2.6:free", cascade: ["groq:openai/gpt-oss-120b"] },
      MIDDLE: { default: "groq:qwen3-32b", cascade: [paidModel] },
      SMALL: { default: "groq:openai/gpt-oss-120b", cascade: [] },
    },
    breaker: { failures: 2 },
  };
  writeFileSync(join(home, "config.json"), JSON.stringify(config));
  const bin = join(home, "bin");
  mkdirSync(bin);
  const argv = (programs.at(-1) ?? programs[0])?.argv ?? [];
  const words = argv.map((word) => `'${word}'`).join(" ");
  const program = (name: string, line: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  program("clutch", `exec ${words} "$@"`);
  program("xx", `exec ${words} xx "$@"`);
  program(
    "claude",
    'case "$*" in *--version*) echo "2.1.0 (Claude Code)";; *--help*) ;; *) echo "agent ready"; exec sleep 600;; esac',
  );
  const env = {
    PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`,
    HOME: home,
    CLUTCH_HOME: join(home, "h"),
    CLUTCH_CONFIG: join(home, "config.json"),
    IS_SANDBOX: "1",
    LANG: "C.UTF-8",
    TERM: "xterm-256color",
    PS1: "$ ",
  };
  const projects = join(home, "projects/api");
  mkdirSync(projects, { recursive: true });
  const terminals: Terminal[] = [];
  ends.push(async () => {
    for (const terminal of terminals) terminal.stop();
    // Only what was started in this home: the chain by its own command, the guard by its socket.
    Bun.spawnSync([join(bin, "clutch"), "down"], {
      env,
      cwd: home,
      stdio: ["ignore", "ignore", "ignore"],
      timeout: 30_000,
    });
    const guard = join(env.CLUTCH_HOME, "state/xx.sock");
    Bun.spawnSync(["tmux", "-S", guard, "kill-server"], { env, stdio: ["ignore", "ignore", "ignore"], timeout: 5_000 });
  });
  return {
    home,
    port,
    open(columns, rows) {
      const terminal = startTerminal(["/bin/sh", "-i"], env, projects, { columns, rows });
      terminals.push(terminal);
      return terminal;
    },
    async ask(code, protocol, model, stream = false) {
      const response = await fetch(`http://127.0.0.1:${port}${paths[protocol]}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer xx-${code}-${code}aaa` },
        body: JSON.stringify(requestBody(protocol, model, stream)),
      });
      await response.text().catch(() => "");
    },
    release: freed.resolve,
  };
}

/** Some words every tenth of a second, until it is let go. */
function dripping(freed: Promise<void>): Reply {
  const { opening, words, ending } = pieces.chat;
  const text = words("and some more of the answer ");
  const drops = Array.from({ length: 300 }, (_, at) => [Promise.race([Bun.sleep(100 * at), freed]), text]).flat();
  return {
    head: { status: 200, headers: { "content-type": "text/event-stream" } },
    body: [opening, ...drops, ending],
    end: "complete",
  };
}

async function fourDigitPort(): Promise<number> {
  for (let port = 8100 + Math.floor(Math.random() * 1500); port < 9999; port++) {
    if (await isFree(port)) return port;
  }
  throw new Error("no port of four digits is free");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

async function untilRefused(port: number): Promise<void> {
  for (let attempt = 0; attempt < 400 && !(await isFree(port)); attempt++) await Bun.sleep(25);
}
