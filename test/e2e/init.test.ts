/** `clutch init` as a program: what it finds, carries over, tests and writes, and a gateway that serves what it wrote. */

import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipAloud } from "../../agent-tests/skip-aloud.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { findBinary } from "../../src/find-binary.ts";
import { whole } from "../support/answers.ts";
import { json, type Script, startFakeUpstream } from "../support/fake-upstream.ts";
import { ask, eventually, startServe } from "../support/gateway.ts";
import { nobodyHere, ollama, serveLocal } from "../support/local-servers.ts";
import { runClutch } from "../support/run-clutch.ts";
import { startTerminal, type Terminal } from "../support/terminal.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-init-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const newHome = () => mkdtempSync(join(root, "home-"));
const quiet = { BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" };
const init = (home: string, args: readonly string[], env: Record<string, string> = {}) =>
  runClutch(home, ["init", ...args], { ...quiet, ...env });

function write(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));

// ---- the set-up of the predecessors' documents

const kimi = "moonshotai/kimi-k2.6:free";
const gptOss = "openai/gpt-oss-120b:free";
const nemotron = "nvidia/nemotron-3-super-120b-a12b:free";
const nano = "nvidia/nemotron-3-nano-omni-30b-a3b-reasoning:free";
const deepseek = "deepseek/deepseek-v4-flash:free";
const qwen = "qwen/qwen3-next-80b-a3b-thinking";

const xxFile = {
  proxy: { base_url: "http://127.0.0.1:8082", health_url: "http://127.0.0.1:8082/health", auto_start: true },
  model_tiers: {
    BIG: { default: kimi, cascade: [gptOss, nemotron, deepseek] },
    MIDDLE: { default: nemotron, cascade: [nemotron, gptOss] },
    SMALL: { default: nano, cascade: [gptOss, nemotron] },
  },
  fallbacks: [deepseek, nemotron, gptOss],
  toolcall_models: [qwen, deepseek, nemotron, gptOss],
  quotas: { [deepseek]: { max_requests_per_minute: 30, cooldown_seconds: 10 } },
};

const envFile = (baseUrl: string) => `# the old proxy
PROVIDER_API_KEY="sk-or-v1-predecessor"
PROVIDER_BASE_URL="${baseUrl}"
BIG_MODEL="${kimi}"
MIDDLE_MODEL="${nemotron}"
SMALL_MODEL="${nano}"
FALLBACK_METHOD="cascade"
ROUTER_LONG_CONTEXT_THRESHOLD="60000"
CUSTOM_HEADER_X_TEAM="agents"
REASONING_EFFORT="high"
HOST="127.0.0.1"
LOG_LEVEL="INFO"
`;

const chainFile = {
  schema_version: "2.0.0",
  entries: [
    {
      id: "gateway",
      name: "Gateway",
      type: "http",
      port: 8082,
      health_path: "/health",
      enabled: true,
      order: 0,
      service_cmd: "python start_proxy.py",
    },
    {
      id: "headroom",
      name: "Headroom",
      type: "http",
      port: 8787,
      health_path: "/health",
      enabled: true,
      order: 1,
      service_cmd: "headroom proxy --port 8787",
    },
    {
      id: "cliproxyapi",
      name: "CLIProxyAPI",
      type: "http",
      port: 8317,
      health_path: "/v1/models",
      enabled: false,
      order: 2,
    },
    { id: "rtk", name: "RTK", type: "cli_wrapper", enabled: true, order: 3 },
  ],
  router: { background: { assignment_id: "small" }, long_context_threshold: 60000 },
  assignments: [{ id: "small", kind: "tier", model: nano, enabled: true, cascade: [gptOss, nemotron] }],
  identifier_mappings: [{ incoming_identifier: "coder-model", assignment_id: "small", enabled: true, priority: 1 }],
};

function predecessors(folder: string, baseUrl: string): string[] {
  return [
    "--from-env",
    write(folder, "old/.env", envFile(baseUrl)),
    "--from-xx",
    write(folder, "old/config.json", JSON.stringify(xxFile)),
    "--from-chain",
    write(folder, "old/proxy_chain.json", JSON.stringify(chainFile)),
  ];
}

/** As REASONING_EFFORT makes them. */
function thinking(tiers: Record<string, object>): Record<string, object> {
  return Object.fromEntries(
    Object.entries(tiers).map(([name, tier]) => [name, { ...tier, reasoning: { effort: "high" } }]),
  );
}

describe("a migrated predecessor's set-up", () => {
  const fails = json({ error: { message: "Internal Server Error" } }, 500);
  const tools = [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }];
  const cascades: [name: string, body: object, order: string[]][] = [
    ["clutch-big", {}, [kimi, gptOss, nemotron, deepseek]],
    ["clutch-middle", {}, [nemotron, gptOss, deepseek]],
    ["clutch-small", {}, [nano, gptOss, nemotron, deepseek]],
    ["claude-opus-4-8", {}, [kimi, gptOss, nemotron, deepseek]],
    ["claude-haiku-4-5", {}, [nano, gptOss, nemotron, deepseek]],
    ["coder-model", {}, [nano, gptOss, nemotron, deepseek]],
    ["clutch-big", { tools }, [kimi, qwen, deepseek, nemotron, gptOss]],
  ];
  test.each(cascades)(
    "%s %j is served by the same models in the same order",
    async (model, body, order) => {
      // Only the last of the order answers.
      const script: Script = Object.fromEntries(
        order.map((name, at) => [name, at === order.length - 1 ? json(whole.chat) : fails]),
      );
      const upstream = await startFakeUpstream(script);
      const home = newHome();
      try {
        const done = await init(home, [
          "--yes",
          "--no-test",
          "--json",
          ...predecessors(home, `http://127.0.0.1:${upstream.port}/v1`),
        ]);
        expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: "" });
        const gateway = await startServe({ home, args: ["--port", "0"] });
        try {
          const response = await ask(gateway.url, "chat", model, false, { body: body as never });
          expect(response.status).toBe(200);
          expect(upstream.models()).toEqual(order);
          for (const { headers, body: sent } of upstream.requests) {
            expect(headers["authorization"]).toBe("Bearer sk-or-v1-predecessor");
            expect(headers["x-team"]).toBe("agents");
            expect(sent["reasoning_effort"]).toBe("high");
          }
        } finally {
          gateway.kill("SIGTERM");
          await gateway.exited;
        }
      } finally {
        await upstream.stop();
      }
    },
    30_000,
  );

  test("is written as it was said, and what stayed behind is told with its reason", async () => {
    const home = newHome();
    const done = await init(home, [
      "--yes",
      "--no-test",
      "--json",
      ...predecessors(home, "https://openrouter.ai/api/v1"),
    ]);
    const { imported, written, created, backup } = JSON.parse(done.stdout);
    expect({ written, created, backup }).toEqual({ written: true, created: true, backup: null });
    const { $schema, ...config } = read(join(home, "config.json"));
    expect($schema).toBe("./config.schema.json");
    expect(config).toEqual({
      server: { host: "127.0.0.1", port: 8082 },
      proxy: { auto_start: true },
      providers: { openrouter: { api_key: "sk-or-v1-predecessor", headers: { "x-team": "agents" } } },
      model_tiers: thinking(xxFile.model_tiers),
      routes: { background: "SMALL", long_context: { threshold: 60000 } },
      mappings: { "coder-model": "SMALL" },
      fallbacks: xxFile.fallbacks,
      toolcall_models: xxFile.toolcall_models,
      fallback_method: "cascade",
      quotas: xxFile.quotas,
    });
    expect(
      imported.left.map(({ source, from, reason }: Record<string, string>) => `${source} ${from}: ${reason}`),
    ).toEqual([
      ".env LOG_LEVEL: it is no part of the config: CLUTCH_LOG sets it for one run",
      "proxy_chain.json entries.gateway.service_cmd: the gateway is Clutch's own now",
      "proxy_chain.json entries.headroom.service_cmd: Clutch starts headroom itself, in the way that its version wants",
      "config.json proxy.health_url: the gateway is asked where it is",
    ]);
    expect(done.stdout).not.toContain("sk-or-v1-predecessor");
    expect(statSync(join(home, "config.json")).mode & 0o777).toBe(0o600);
    expect((await runClutch(home, ["config", "check"], quiet)).code).toBe(0);
  });

  test("is found where it usually is, and read no more once it is carried over", async () => {
    const home = newHome();
    write(home, ".xx/config.json", JSON.stringify(xxFile));
    write(home, "claude-code-proxy/.env", envFile("https://openrouter.ai/api/v1"));
    write(home, "claude-code-proxy/proxy_chain.json", JSON.stringify(chainFile));
    const env = { CLUTCH_HOME: "" };
    const done = await init(home, ["--yes", "--no-test"], env);
    expect(done.stderr).toBe("");
    expect(done.stdout).toContain("claude-code-proxy/.env");
    expect(done.stdout).toContain(".env LOG_LEVEL: it is no part of the config");
    const ours = join(home, ".config/clutch/config.json");
    expect(read(ours).model_tiers).toEqual(thinking(xxFile.model_tiers));
    expect(readdirSync(join(home, ".config/clutch")).sort()).toEqual(["config.json", "config.schema.json"]);
    expect((await runClutch(home, ["config", "path"], { ...quiet, ...env })).stdout).toBe(`${ours}\n`);
    expect(read(join(home, ".xx/config.json"))).toEqual(xxFile);
    const none = newHome();
    write(none, ".xx/config.json", JSON.stringify(xxFile));
    const alone = JSON.parse((await init(none, ["--yes", "--no-test", "--no-import", "--json"], env)).stdout);
    expect(alone.imported.files).toEqual([]);
    expect(alone.notes).toEqual([
      `${none}/.xx/config.json is in force so far, and is not read once ${none}/.config/clutch/config.json is there`,
    ]);
    // Any project may have a .env.
    const other = newHome();
    write(other, "claude-code-proxy/.env", "DATABASE_URL=x\n");
    expect((await init(other, ["--yes", "--no-test", "--json"], env)).stdout).toContain('"files":[]');
  });

  test.each([
    ["--from-env", "gone/.env", "cannot read "],
    ["--from-xx", "broken.json", "broken.json:1:3 is not valid JSON"],
  ])("%s with %s is refused", async (flag, name, message) => {
    const home = newHome();
    write(home, "broken.json", "{ nonsense");
    const done = await init(home, ["--yes", "--no-test", flag, join(home, name)]);
    expect(done.code).not.toBe(0);
    expect(done.stderr).toContain(message);
    expect(existsSync(join(home, "config.json"))).toBe(false);
  });
});

describe("clutch init --yes", () => {
  test("names the keys of the environment, and keeps them there", async () => {
    const home = newHome();
    const env = { OPENROUTER_API_KEY: "sk-or-v1-here", OPENAI_API_KEY: "sk-here", GITHUB_TOKEN: "ghp_x" };
    const done = await init(home, ["--yes", "--no-test", "--json"], env);
    expect(JSON.parse(done.stdout).found.keys).toEqual([
      { provider: "openrouter", variable: "OPENROUTER_API_KEY" },
      { provider: "openai", variable: "OPENAI_API_KEY" },
    ]);
    expect(read(join(home, "config.json"))).toEqual({
      $schema: "./config.schema.json",
      providers: {
        openrouter: { api_key: "env:OPENROUTER_API_KEY" },
        openai: { api_key: "env:OPENAI_API_KEY" },
      },
    });
  });

  test("asks the one provider that has a key, and for its best models", async () => {
    const home = newHome();
    await init(home, ["--yes", "--no-test"], { ANTHROPIC_API_KEY: "sk-ant-x" });
    const config = read(join(home, "config.json"));
    expect(config.default_provider).toBe("anthropic");
    expect(config.model_tiers.BIG.default).toMatch(/^anthropic:claude-opus-/);
    expect(config.model_tiers.SMALL.default).toMatch(/haiku/);
    expect(() => parseConfig(config, "here")).not.toThrow();
  });

  test("finds a server on this machine and its models", async () => {
    const server = serveLocal(ollama);
    const home = newHome();
    write(home, "config.json", JSON.stringify({ providers: { ...nobodyHere, ollama: { base_url: server.root } } }));
    try {
      const done = await init(home, ["--yes", "--no-test", "--json", "--mode", "local"]);
      const { found, template } = JSON.parse(done.stdout);
      expect(found.servers).toEqual([{ provider: "ollama", models: ["qwen3:8b", "llama3:8b", "llava:7b", "gone:1b"] }]);
      expect(template).toBe("local");
      expect(read(join(home, "config.json")).model_tiers.BIG.default).toBe("ollama:qwen3:8b");
    } finally {
      await server.server.stop(true);
    }
  });

  test("takes the template that is asked for", async () => {
    const home = newHome();
    const done = await init(home, ["--yes", "--no-test", "--mode", "free"], { OPENROUTER_API_KEY: "k" });
    expect(done.code).toBe(0);
    const config = read(join(home, "config.json"));
    expect(config.budgets).toEqual({ allow_paid: false });
    for (const { default: first, cascade } of Object.values<{ default: string; cascade: string[] }>(
      config.model_tiers,
    )) {
      for (const model of [first, ...cascade]) expect(model).toEndWith(":free");
    }
  });

  test("keeps what a config has already, adds what is missing, and keeps a copy", async () => {
    const home = newHome();
    const before = '{\n  // mine\n  "server": { "port": 9000 },\n}\n';
    const file = write(home, "config.json", before);
    const done = await init(home, [
      "--yes",
      "--no-test",
      "--json",
      ...predecessors(home, "https://openrouter.ai/api/v1"),
    ]);
    const { backup, kept, created } = JSON.parse(done.stdout);
    expect({ kept, created }).toEqual({ kept: ["server.port"], created: false });
    expect(readFileSync(backup, "utf8")).toBe(before);
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    const after = readFileSync(file, "utf8");
    expect(after).toStartWith('{\n  // mine\n  "server": { "port": 9000, "host": "127.0.0.1" },');
    // A second time there is nothing to do, and so nothing to keep.
    const again = JSON.parse(
      (await init(home, ["--yes", "--no-test", "--json", ...predecessors(home, "https://openrouter.ai/api/v1")]))
        .stdout,
    );
    expect({ written: again.written, backup: again.backup }).toEqual({ written: false, backup: null });
    expect(readFileSync(file, "utf8")).toBe(after);
  });

  test("a config that names providers goes on asking whom it asks, and a schema that is not ours stays", async () => {
    const home = newHome();
    const file = write(home, "config.json", '{ "providers": { "groq": { "api_key": "g" } } }\n');
    const foreign = write(home, "config.schema.json", "{}");
    await init(home, ["--yes", "--no-test"], { OPENAI_API_KEY: "k" });
    expect(read(file)).toEqual({ providers: { groq: { api_key: "g" }, openai: { api_key: "env:OPENAI_API_KEY" } } });
    expect(readFileSync(foreign, "utf8")).toBe("{}");
  });

  test("does not touch a broken config, unless it is to be replaced", async () => {
    const home = newHome();
    const file = write(home, "config.json", '{ "server": ');
    const refused = await init(home, ["--yes", "--no-test"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("have it replaced with --replace (a copy is kept)");
    expect(readFileSync(file, "utf8")).toBe('{ "server": ');
    const done = await init(home, ["--yes", "--no-test", "--replace", "--json"], { OPENROUTER_API_KEY: "k" });
    expect(done.code).toBe(0);
    expect(readFileSync(JSON.parse(done.stdout).backup, "utf8")).toBe('{ "server": ');
    expect(read(file).providers).toEqual({ openrouter: { api_key: "env:OPENROUTER_API_KEY" } });
  });

  test("--dry-run shows it and writes nothing", async () => {
    const home = newHome();
    const done = await init(home, ["--dry-run", "--no-test"], { OPENROUTER_API_KEY: "k" });
    expect(done.stdout).toContain('+    "openrouter": { "api_key": "env:OPENROUTER_API_KEY" }'.trim().slice(1).trim());
    expect(done.stdout).toEndWith("nothing was written\n");
    expect(existsSync(join(home, "config.json"))).toBe(false);
  });

  test("is asked for where there is no terminal", async () => {
    const home = newHome();
    const done = await init(home, []);
    expect(done.code).toBe(2);
    expect(done.stderr).toStartWith(
      "clutch: clutch init asks questions, and there is nobody to answer: call it at a terminal",
    );
    expect((await init(home, ["--yes", "--mode", "cheap"])).code).toBe(2);
  });
});

const good = "sk-good-0123456789";
/** Lists its models for whoever has the key. */
const serveModels = () =>
  Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      if (new URL(request.url).pathname !== "/v1/models") return new Response("", { status: 404 });
      const shown = request.headers.get("authorization")?.replace("Bearer ", "") ?? "";
      return shown === good
        ? Response.json({ data: [{ id: "m" }, { id: "n" }] })
        : Response.json({ error: { message: `Incorrect API key provided: ${shown}` } }, { status: 401 });
    },
  });

describe("keys are tested before they are saved", () => {
  test.each([
    [good, "works", "HTTP 200", true],
    ["sk-bad-0123456789", "refused", "HTTP 401: Incorrect API key provided: (the key)", false],
  ])("%s %s", async (key, verdict, detail, saved) => {
    const server = serveModels();
    const home = newHome();
    try {
      const env = write(
        home,
        "old.env",
        `PROVIDER_BASE_URL=http://127.0.0.1:${server.port}/v1\nPROVIDER_API_KEY=${key}\nBIG_MODEL=m\n`,
      );
      const done = await init(home, ["--yes", "--json", "--from-env", env]);
      expect(JSON.parse(done.stdout).keys).toEqual([{ provider: "own", source: "the file", verdict, detail, saved }]);
      expect(done.stdout).not.toContain(key);
      const config = read(join(home, "config.json"));
      expect(config.providers.own.api_key).toBe(saved ? key : undefined);
      expect(config.model_tiers.BIG.default).toBe("m");
    } finally {
      await server.stop(true);
    }
  });
});

const isWithoutTmux = findBinary("tmux", process.env) === undefined;
if (isWithoutTmux) skipAloud("clutch init at a terminal", "tmux is not on PATH");
describe.skipIf(isWithoutTmux)("at a terminal", () => {
  const entry = join(import.meta.dir, "../../src/main.ts");

  function open(home: string, env: Record<string, string> = {}, flags = "--no-test"): Terminal {
    const variables = { PATH: "/usr/bin:/bin", HOME: home, CLUTCH_HOME: home, NO_COLOR: "1", ...quiet, ...env };
    return startTerminal(
      ["/bin/sh", "-c", `trap : INT; ${process.execPath} ${entry} init ${flags}; echo ended $?; exec sleep 30`],
      variables,
      home,
    );
  }

  test("asks for a key, hides it, shows the config and writes it", async () => {
    const home = newHome();
    const terminal = open(home);
    try {
      await terminal.shows("Whose key do you have?");
      expect(terminal.screen()).toContain("none in the environment");
      terminal.press("Enter");
      await terminal.shows("The key for OpenRouter (not shown)");
      terminal.type("sk-or-v1-typed");
      terminal.press("Enter");
      await terminal.shows("Is there another key to add?");
      terminal.press("Enter");
      await terminal.shows("Which models shall answer?");
      terminal.press("Enter");
      await terminal.shows(/Write .*config\.json\?/);
      expect(terminal.screen()).toContain('"api_key": "(hidden, new)"');
      expect(existsSync(join(home, "config.json"))).toBe(false);
      terminal.press("Enter");
      await terminal.shows("ended 0");
      expect(terminal.screen()).not.toContain("sk-or-v1-typed");
      expect(read(join(home, "config.json"))).toEqual({
        $schema: "./config.schema.json",
        providers: { openrouter: { api_key: "sk-or-v1-typed" } },
      });
    } finally {
      terminal.stop();
    }
  }, 30_000);

  test("offers what a predecessor has left, and asks before it writes", async () => {
    const home = newHome();
    write(home, ".xx/config.json", JSON.stringify(xxFile));
    const terminal = open(home, { CLUTCH_HOME: "", OPENROUTER_API_KEY: "k" });
    try {
      await terminal.shows("What shall be carried over?");
      terminal.press("Enter");
      await terminal.shows("settings are carried over");
      await terminal.shows("Is there another key to add?");
      terminal.press("Enter");
      await terminal.shows(/Write .*config\.json\?/);
      terminal.press("Right", "Enter");
      await terminal.shows("ended 130");
      expect(terminal.screen()).toContain("nothing was written");
      expect(readdirSync(home)).toEqual([".xx"]);
    } finally {
      terminal.stop();
    }
  }, 30_000);

  test("a typed key that is refused can be typed again", async () => {
    const server = serveModels();
    const home = newHome();
    const file = write(
      home,
      "config.json",
      `{ "providers": { "openai": { "base_url": "http://127.0.0.1:${server.port}/v1" } } }\n`,
    );
    const terminal = open(home, {}, "");
    try {
      await terminal.shows("There is a config already");
      terminal.press("Enter");
      for (const key of ["sk-bad-0123456789", good]) {
        await terminal.shows(/◆ {2}Whose key do you have\?/);
        terminal.press("Down", "Down", "Enter");
        await terminal.shows(/◆ {2}The key for OpenAI/);
        terminal.type(key);
        terminal.press("Enter");
        if (key === good) break;
        await terminal.shows("OpenAI: the key was refused (HTTP 401: Incorrect API key provided: (the key))");
        await terminal.shows(/◆ {2}Keep it all the same\?/);
        terminal.press("Enter");
      }
      await terminal.shows("OpenAI: the key works (HTTP 200)");
      await terminal.shows(/◆ {2}Is there another key to add\?/);
      terminal.press("Enter");
      await terminal.shows(/◆ {2}Write /);
      terminal.press("Enter");
      await terminal.shows("ended 0");
      expect(read(file).providers.openai.api_key).toBe(good);
    } finally {
      terminal.stop();
      await server.stop(true);
    }
  }, 30_000);

  test("Ctrl-C while a key is tested leaves nothing", async () => {
    const home = newHome();
    // Accepts the connection and says nothing.
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const env = write(home, "old.env", `PROVIDER_BASE_URL=http://127.0.0.1:${server.port}/v1\nPROVIDER_API_KEY=k\n`);
    const terminal = open(home, {}, `--from-env ${env}`);
    try {
      await terminal.shows("asking the providers about the keys");
      terminal.press("C-c");
      await terminal.shows("ended 130");
      expect(readdirSync(home)).toEqual(["old.env"]);
    } finally {
      terminal.stop();
      server.stop(true);
    }
  }, 30_000);

  test.each(["Whose key do you have?", "The key for OpenRouter", "Which models shall answer?"])(
    "Ctrl-C at %s leaves nothing",
    async (question) => {
      const home = newHome();
      const terminal = open(home);
      try {
        await terminal.shows("Whose key do you have?");
        if (question.startsWith("The key")) terminal.press("Enter");
        if (question.startsWith("Which")) terminal.press("Up", "Enter");
        await terminal.shows(question);
        terminal.press("C-c");
        await terminal.shows("ended 130");
        expect(terminal.screen()).toContain("nothing was written");
        await eventually("no file", () => !existsSync(join(home, "config.json")));
        expect(readdirSync(home)).toEqual([]);
      } finally {
        terminal.stop();
      }
    },
    30_000,
  );
});
