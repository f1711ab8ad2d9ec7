/** `clutch serve`, `clutch models` and `xx` on a machine without any key, where an Ollama runs: programs of their own. */

import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readLaunchModels } from "../../src/models/launch-models.ts";
import { ask, eventually, type ServeProcess, startServe } from "../support/gateway.ts";
import { type LocalServerScript, nobodyHere, ollama, serveLocal } from "../support/local-servers.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-local-"));
let home = "";
let count = 0;
let here: LocalServerScript;
let serving: ServeProcess | undefined;
beforeEach(() => {
  home = join(root, String(count++));
  mkdirSync(home);
  here = serveLocal(ollama);
  configure();
});
afterEach(async () => {
  serving?.kill("SIGKILL");
  await serving?.exited;
  serving = undefined;
  await here.server.stop(true);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function configure(more: object = {}): void {
  const dead = { base_url: "http://127.0.0.1:1/v1", api_key: "k" };
  const providers = { ...nobodyHere, ollama: { base_url: here.root }, dead };
  const model_tiers = {
    BIG: { default: "v/one", cascade: ["v/two"] },
    SMALL: { default: "v/one", cascade: ["dead:m"] },
  };
  writeFileSync(join(home, "config.json"), JSON.stringify({ providers, model_tiers, ...more }));
}

async function run(program: string, ...args: string[]) {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, program), ...args], {
    cwd: home,
    // A proxy that would see what is asked, if anything went there.
    env: { PATH: "/usr/bin:/bin", HOME: home, CLUTCH_HOME: home, NO_COLOR: "1", HTTP_PROXY: "http://127.0.0.1:1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, stdout, stderr };
}
const models = (...args: string[]) => run("../../src/main.ts", "models", ...args);
const xx = (...args: string[]) => run("../support/run-xx.ts", ...args);

describe("without a gateway, clutch models", () => {
  test("asks by itself what runs here, and would start launches with it where there is no key", async () => {
    const { status, stdout, stderr } = await models("--provider", "ollama");
    expect([status, stderr]).toEqual([0, ""]);
    const why = "no key is configured: the best that Ollama has on this machine";
    expect(stdout.split("\n")).toEqual([
      "#  model             window  output  tools  vision  $ in/out per M  success  listed",
      "1  ollama:qwen3:8b      33K     33K  yes    no      free            -        local, running",
      "2  ollama:llama3:8b     16K     16K  no     no      free            -        local, running",
      "3  ollama:gone:1b         ?       ?  ?      no      free            -        local, running",
      "4  ollama:llava:7b   <= 33K       ?  no     yes     free            -        local, running",
      "",
      `tier m  ollama:qwen3:8b (${why})`,
      `tier f  ollama:qwen3:8b (${why})`,
      "",
    ]);
    const all = JSON.parse((await models("--json", "--search", "qwen3:8b")).stdout);
    expect(all.models[0]).toMatchObject({
      reference: "ollama:qwen3:8b",
      source: "local",
      free: true,
      context_tokens: 32768,
    });
  });

  test("says that a server is not there", async () => {
    expect(await models("--provider", "lmstudio")).toEqual({
      status: 1,
      stdout: "",
      stderr:
        "clutch: LM Studio does not answer at http://127.0.0.1:1: start it, or say where it is with providers.lmstudio.base_url\n",
    });
  });
});

describe("a running gateway", () => {
  test("tells xx and the agent what runs here, names it where no key is, and forgets it with the server", async () => {
    serving = await startServe({ home, args: ["--port", "0"] });
    const { url } = serving;
    const rows = () => readLaunchModels(join(home, "cache"))?.catalogue["ollama"];
    await eventually("the rows", () => rows() !== undefined);
    expect(rows()).toHaveProperty(["qwen3:8b"], { context: 32768, output: 32768, maxContext: 40960 });
    expect((await xx("cip", "-m", "ollama:qwen3:8b", "-n")).stdout).toContain("CLAUDE_CODE_MAX_CONTEXT_TOKENS=32768");
    expect((await xx("cipf", "-n")).stdout).toContain("ollama:qwen3:8b");

    const hint = ". A model on this machine could answer: -m ollama:qwen3:8b";
    const refusal = async (model: string) => {
      const response = await ask(url, "messages", model, false);
      return [response.status, ((await response.json()) as { error: { message: string } }).error.message];
    };
    const noKey = "no API key for OpenRouter: set OPENROUTER_API_KEY or providers.openrouter.api_key";
    expect(await refusal("v/one")).toEqual([401, `${noKey}${hint}`]);
    const [status, several] = await refusal("claude-opus-4");
    expect([status, String(several).split(noKey).length > 2, String(several).endsWith(hint)]).toEqual([
      401,
      true,
      true,
    ]);
    // Whoever is told of a failure that passes had better wait for it.
    expect((await refusal("claude-haiku-4"))[1]).not.toContain(hint);
    // Nothing is sent where nobody has asked for it.
    expect(here.asked.filter((call) => call.startsWith("POST /v1"))).toEqual([]);
    const health = async () => ((await (await fetch(`${url}/health`)).json()) as { problems: string[] }).problems;
    expect(await health()).toEqual([]);

    await here.server.stop(true);
    configure({ hedge: { after_ms: 1 } });
    await eventually("the end of the rows", () => rows() === undefined);
    expect(await refusal("v/one")).toEqual([401, noKey]);
    expect(await health()).toEqual([]);
    expect(serving.output()).not.toMatch(/ollama/i);
  }, 15_000);
});
