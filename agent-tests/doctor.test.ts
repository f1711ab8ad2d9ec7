/**
 * `clutch doctor --agents` with the real agents: in a fresh home all of them are on the gateway, and in homes whose files
 * point elsewhere it says so, or finds that the launch wins. What cannot run here is skipped with its reason, but fails
 * when `CI` is `true`.
 */

import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RouteCheck } from "../launcher/doctor/agent-check.ts";
import type { AgentReport } from "../launcher/doctor/render.ts";
import { executables, missingExecutables } from "./gateway.ts";
import { installAgents, lockedVersion } from "./install.ts";
import { skipAloud } from "./skip-aloud.ts";

const installed = await installAgents();
const obstacle = installed.ok ? missingExecutables() : `the agents cannot be installed: ${installed.reason}`;
const root = mkdtempSync(join(tmpdir(), "clutch-doctor-agents-"));

/** Six agents, two at a time, two routes each, each launch bounded by the doctor itself. */
const limitMs = 180_000;

if (obstacle !== undefined) skipAloud("the agents and the executables are there", obstacle);

afterAll(() => rmSync(root, { recursive: true, force: true }));

function isMissing(program: string): boolean {
  const reason = installed.ok ? installed.missing[program] : obstacle;
  if (reason !== undefined && obstacle === undefined) skipAloud(`${program} is there`, reason);
  return reason !== undefined;
}

interface Home {
  files?: Readonly<Record<string, string | object>>;
  env?: Readonly<Record<string, string>>;
}

async function examine(programs: readonly string[], { files = {}, env = {} }: Home = {}) {
  const place = mkdtempSync(join(root, "home-"));
  const temp = join(place, "tmp");
  mkdirSync(temp);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(place, name)), { recursive: true });
    writeFileSync(join(place, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  const child = Bun.spawn([executables.clutch, "doctor", "--agents", "--json", ...programs], {
    cwd: place,
    env: {
      HOME: place,
      TMPDIR: temp,
      CLUTCH_HOME: join(place, "clutch"),
      PATH: [...(installed.ok ? installed.binFolders : []), "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
      SHELL: "/bin/sh",
      LANG: "C.UTF-8",
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    timeout: limitMs,
  });
  const [text, status] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  const { agents } = JSON.parse(text) as { agents: AgentReport[] };
  return { status, agents, checks: agents.flatMap(({ routes }) => routes), left: readdirSync(temp) };
}

/** Of a check, what a home decides. */
function outline({ route, verdict, destination, protocol, model, key, extras, tool_dialect }: RouteCheck): string {
  const extra = extras.map((call) => `${call.purpose} on ${call.model}`).join(", ");
  return [route, verdict, destination, protocol, model, key, extra, tool_dialect].join(" | ");
}

describe.skipIf(obstacle !== undefined)("clutch doctor --agents", () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    claude: [
      "p | ok | canary | messages | clutch-big | launch token |  | plain",
      "b | ok | canary | messages | claude-opus-5-5 | launch token |  | plain",
    ],
    hermes: [
      "p | ok | canary | chat | clutch-big | launch token |  | plain",
      "b | ok | canary | chat | anthropic/claude-opus-4.6 | launch token |  | plain",
    ],
    codex: [
      "p | ok | canary | responses | clutch-big | launch token |  | plain",
      "b | ok | canary | responses | gpt-6.1-sol | launch token |  | additional_tools",
    ],
    qwen: [
      "p | ok | canary | chat | clutch-big | launch token | memory on clutch-small | plain",
      "b | ok | canary | chat | qwen3.7-max | launch token | memory on qwen3.7-max | plain",
    ],
    pi: [
      "p | ok | canary | chat | clutch-big | launch token |  | plain",
      "b | ok | canary | messages | claude-opus-4-8 | launch token |  | plain",
    ],
    opencode: [
      "p | ok | canary | chat | clutch-big | launch token | title on clutch-small | plain",
      "b | ok | canary | messages | claude-sonnet-4-6 | launch token | title on claude-haiku-4-5-20251001 | plain",
    ],
  };

  const programs = Object.keys(expected).filter((program) => !isMissing(program));

  test(
    "in a fresh home every agent is on the gateway, and nothing is left behind",
    async () => {
      const { status, agents, left } = await examine(programs);
      const found = agents.map(({ version, routes }) => ({ version, routes: routes.map(outline) }));
      expect(found).toEqual(
        programs.map((program) => ({ version: lockedVersion(program), routes: [...(expected[program] ?? [])] })),
      );
      expect(status).toBe(0);
      expect(left.filter((name) => name.startsWith("clutch-"))).toEqual([]);
    },
    limitMs,
  );

  const key = "sk-or-v1-0123456789abcdef";
  const chatProvider = (baseURL: string, model: string) => ({
    npm: "@ai-sdk/openai-compatible",
    options: { baseURL, apiKey: key },
    models: { [model]: {} },
  });

  /** Homes whose files point elsewhere, and what has to be said of them. */
  const hostile: readonly { name: string; program: string; home: Home; checks: readonly string[]; says?: string }[] = [
    {
      name: "Hermes with an address in its .env",
      program: "hermes",
      home: { files: { ".hermes/.env": "KILOCODE_BASE_URL=http://127.0.0.1:9/v1\n" } },
      checks: ["p | wrong-destination", "b | wrong-destination"],
      says: "Hermes still talks to 127.0.0.1:9 because ~/.hermes/.env sets KILOCODE_BASE_URL",
    },
    {
      name: "Hermes with a key in its .env",
      program: "hermes",
      home: { files: { ".hermes/.env": `KILOCODE_API_KEY=${key}\n` } },
      checks: ["p | wrong-key", "b | wrong-key"],
      says: "Hermes sent a key of yours (authorization sk-or…) in place of the launch's because ~/.hermes/.env sets KILOCODE_API_KEY",
    },
    {
      name: "Hermes with other addresses and a key in its .env",
      program: "hermes",
      home: {
        files: {
          ".hermes/.env": `CUSTOM_BASE_URL=http://127.0.0.1:9/v1\nOPENROUTER_BASE_URL=http://127.0.0.1:9/v1\nOPENROUTER_API_KEY=${key}\n`,
        },
      },
      checks: ["p | ok", "b | ok"],
    },
    {
      name: "Claude Code with an address and a key in its settings",
      program: "claude",
      home: {
        files: {
          ".claude/settings.json": { env: { ANTHROPIC_BASE_URL: "https://model.example.com", ANTHROPIC_API_KEY: key } },
        },
      },
      checks: ["p | ok", "b | ok"],
    },
    {
      name: "Codex with another provider, and one of our name",
      program: "codex",
      home: {
        files: {
          ".codex/config.toml": ["mine", "clutch"]
            .map(
              (id) =>
                `[model_providers.${id}]\nname = "${id}"\nbase_url = "https://model.example.com/v1"\nenv_key = "MINE_KEY"\n`,
            )
            .reduce((text, table) => text + table, 'model_provider = "mine"\nmodel = "gpt-5.5"\n'),
        },
        env: { MINE_KEY: key },
      },
      checks: ["p | ok", "b | ok"],
    },
    {
      name: "Qwen Code with another provider for our model, and variables",
      program: "qwen",
      home: {
        files: {
          ".qwen/settings.json": {
            security: { auth: { selectedType: "openai" } },
            env: { OPENAI_BASE_URL: "https://model.example.com/v1", OPENAI_API_KEY: key },
            modelProviders: {
              openai: ["coder-model", "clutch-big"].map((id) => ({
                id,
                name: id,
                baseUrl: "https://model.example.com/v1",
                envKey: "OPENAI_API_KEY",
              })),
            },
            model: { name: "coder-model" },
          },
        },
      },
      checks: ["p | ok", "b | ok"],
    },
    {
      name: "Pi with a default of another provider",
      program: "pi",
      home: {
        files: {
          ".pi/agent/models.json": {
            providers: {
              mine: {
                baseUrl: "https://model.example.com/v1",
                api: "openai-completions",
                apiKey: key,
                models: [{ id: "m1", name: "m1" }],
              },
            },
          },
          ".pi/agent/settings.json": { defaultProvider: "mine", defaultModel: "m1" },
        },
      },
      checks: ["p | ok", "b | wrong-destination"],
      says: "Pi still talks to model.example.com because ~/.pi/agent/settings.json sets defaultProvider",
    },
    {
      name: "OpenCode with a default of another provider, and one of our name",
      program: "opencode",
      home: {
        files: {
          ".config/opencode/opencode.json": {
            model: "mine/m1",
            provider: {
              mine: chatProvider("https://model.example.com/v1", "m1"),
              clutch: chatProvider("https://model.example.com/v1", "clutch-big"),
            },
          },
        },
      },
      checks: ["p | ok", "b | wrong-destination"],
      says: "OpenCode still talks to model.example.com because ~/.config/opencode/opencode.json sets model",
    },
  ];

  for (const { name, program, home, checks, says } of hostile) {
    test.skipIf(isMissing(program))(
      name,
      async () => {
        const found = await examine([program], home);
        expect(found.checks.map(({ route, verdict }) => `${route} | ${verdict}`)).toEqual([...checks]);
        expect(found.status).toBe(checks.every((check) => check.endsWith("ok")) ? 0 : 3);
        expect(JSON.stringify(found.agents)).not.toContain(key.slice(8));
        const fixes = found.checks.map(({ fix }) => fix ?? "").join("\n");
        if (says === undefined) expect(fixes.trim()).toBe("");
        else expect(fixes).toContain(says);
      },
      limitMs,
    );
  }
});
