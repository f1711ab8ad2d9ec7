/** Whatever Clutch prints, writes into its logs, keeps in its ledger or answers: no key that it was given is in it. */

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { captureQueries } from "../../src/store/captures.ts";
import { requestBody, streamed, whole } from "../support/answers.ts";
import {
  type FakeUpstream,
  json,
  type Reply,
  sse,
  startFakeUpstream,
  text,
  type UpstreamRequest,
} from "../support/fake-upstream.ts";
import { eventually, makeHome } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

/** Each by where it comes from. None looks like a vendor's key: those are hidden by their look alone. */
const keys = {
  literal: "literal.0123456789/abcdef+ghi=",
  "of a pool": "pool-first-9876543210",
  "of a pool, the second": "pool-second-1122334455",
  "of the environment": "from-the-environment-5544332211",
  "of a command": "from-a-command-6677889900",
  "in a header": "header-secret-1020304050",
  "of an earlier config": "replaced-later-0908070605",
  "of the launcher": "launcher-secret-AbCdEfGhIjKl",
  "of the agent's own login": "sk-ant-own-login-0011223344556677",
};

/** A person may paste anything. */
const prompt = `my keys are ${Object.values(keys).join(", ")}`;

/** Says back what it was sent: the rudest upstream there is. */
function echo(request: UpstreamRequest, status: number): Reply {
  return json(
    { error: { message: `refused: ${JSON.stringify(request.headers)}`, code: request.headers["authorization"] ?? "" } },
    status,
  );
}

const replies = {
  wrong: (request: UpstreamRequest) => echo(request, 401),
  poor: (request: UpstreamRequest) => echo(request, 402),
  busy: (request: UpstreamRequest) => echo(request, 429),
  confused: (request: UpstreamRequest) => echo(request, 400),
  broken: (request: UpstreamRequest) => echo(request, 500),
  page: (request: UpstreamRequest) => text(`<title>${request.headers["authorization"]}</title>`, "text/html", 502),
  plain: (request: UpstreamRequest) => text(`no: ${request.headers["authorization"]}`, "text/plain", 503),
  "mid-stream": (request: UpstreamRequest) => {
    const error = { error: { message: `stopped: ${request.headers["authorization"]}`, code: 500 } };
    return sse([streamed("chat").split("\n\n")[1] ?? "", `\n\ndata: ${JSON.stringify(error)}\n\n`]);
  },
  "inside-200": (request: UpstreamRequest) =>
    json({ error: { message: `in 200: ${request.headers["authorization"]}` } }),
  good: json(whole.chat),
};

describe.each(["debug,json", "debug,pretty"])("with CLUTCH_LOG=%s", (level) => {
  const home = makeHome();
  const told: [where: string, text: string][] = [];
  let upstream: FakeUpstream;

  beforeAll(async () => {
    upstream = await startFakeUpstream(replies);
    const base_url = `http://127.0.0.1:${upstream.port}/v1`;
    const provider = (api_key: string) => ({ base_url, api_key });
    const config = (first: string) => ({
      server: { port: 0 },
      default_provider: "literal",
      timeouts: { patience_ms: 50 },
      breaker: { failures: 0 },
      providers: {
        literal: provider(keys.literal),
        pool: { base_url, api_keys: [keys["of a pool"], keys["of a pool, the second"]] },
        env: provider("env:PLANTED_KEY"),
        command: provider(`cmd:cat ${join(home, "printed.key")}`),
        header: { base_url, headers: { "X-Auth-Token": keys["in a header"] } },
        changing: provider(first),
        anthropic: { protocol: "chat", base_url, api_key: keys.literal },
      },
      model_tiers: { BIG: { default: "pool:wrong", cascade: ["literal:broken", "env:plain", "command:page"] } },
    });
    mkdirSync(join(home, "state"), { recursive: true, mode: 0o700 });
    writeFileSync(join(home, "printed.key"), keys["of a command"], { mode: 0o600 });
    writeFileSync(join(home, "state/launch.key"), keys["of the launcher"], { mode: 0o600 });
    writeFileSync(join(home, "config.json"), JSON.stringify(config(keys["of an earlier config"])), { mode: 0o600 });
    const environment = { PLANTED_KEY: keys["of the environment"], CLUTCH_LOG: level };
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../src/main.ts"), "serve"], {
      env: { PATH: process.env["PATH"] ?? "", HOME: home, CLUTCH_HOME: home, NO_COLOR: "1", ...environment },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let output = "";
    const read = async (stream: ReadableStream<Uint8Array>) => {
      for await (const chunk of stream) output += new TextDecoder().decode(chunk);
    };
    const reading = [read(child.stdout), read(child.stderr)];
    try {
      await eventually("the gateway", () => /serves on http:\S+/.test(output), 15_000);
      const url = /serves on (http:\/\/\S+)/.exec(output)?.[1] ?? "";
      const ask = async (model: string, stream: boolean, headers: Record<string, string> = {}) => {
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify(requestBody("chat", model, stream, { messages: [{ role: "user", content: prompt }] })),
        });
        const answer = `${JSON.stringify([...response.headers])} ${await response.text()}`;
        told.push([`the answer to ${model}, streamed ${stream}`, answer]);
      };
      const init = { method: "POST", headers: { "content-type": "application/json" } };
      const mode = JSON.stringify({ what: "all", until: Date.now() + 600_000 });
      await (await fetch(`${url}/admin/capture`, { ...init, body: mode })).text();
      const models = Object.keys(replies);
      for (const [at, provider] of ["literal", "pool", "env", "command", "header", "changing"].entries()) {
        // All of them with the first; with the others some each.
        for (const model of models.filter((_, index) => at === 0 || (index + at) % 3 === 0)) {
          await ask(`${provider}:${model}`, model === "mid-stream");
          await runReset(url);
        }
      }
      const launch = { authorization: `Bearer xx-cip-k3j9aa11-${keys["of the launcher"]}` };
      await ask("clutch-big", true, launch);
      await ask("gpt-5", false, {
        authorization: `Bearer ${keys["of the agent's own login"]}`,
        "x-clutch-launch": "xx-xib-k3j9aa12",
      });
      // A config that no longer knows the key, and one that cannot be read and has keys in it.
      writeFileSync(join(home, "config.json"), JSON.stringify(config("another-key-5566")), { mode: 0o600 });
      await eventually("the new config", () => output.includes("config changed"), 5_000);
      writeFileSync(join(home, "config.json"), `{"providers": {"x": {"api_key": "${keys.literal}", "base_url": 5}}`);
      await eventually("the complaint", () => output.includes("kept the last good config"), 5_000);
      const config2 = { providers: { literal: { api_key: [keys.literal] } } };
      writeFileSync(join(home, "config.json"), JSON.stringify(config2));
      await Bun.sleep(1_200);
      writeFileSync(join(home, "config.json"), JSON.stringify(config("another-key-5566")), { mode: 0o600 });
      for (const path of [
        "/health",
        "/livez",
        "/ready",
        "/metrics",
        "/openapi.json",
        "/v1/models",
        "/admin/status?recent=50",
        "/admin/breakers",
        "/admin/quota",
        "/admin/routing",
        "/admin/headroom",
        "/admin/why/last",
      ]) {
        told.push([path, await (await fetch(url + path)).text()]);
      }
      const port = { CLUTCH_PORT: new URL(url).port, PLANTED_KEY: keys["of the environment"] };
      const commands = [
        ["requests", "list"],
        ["requests", "list", "--json", "--limit", "100"],
        ["requests", "show"],
        ["requests", "export", "--format", "csv"],
        ["why", "last"],
        ["why", "last", "--json"],
        ["breakers", "--json"],
        ["status", "--json"],
        ["doctor", "--json"],
        ["config", "show"],
        ["chain", "list", "--json"],
        ["xx", "cip", "--dry-run"],
      ];
      for (const command of commands) {
        const { stdout, stderr } = await runClutch(home, command, port);
        told.push([`clutch ${command.join(" ")}`, stdout + stderr]);
      }
    } finally {
      child.kill();
      await Promise.all([child.exited, ...reading]);
      await upstream.stop();
    }
    const bodies = await readBodies(join(home, "clutch.db"));
    told.push(["the captured bodies", bodies]);
    told.push(["the gateway's own output", output]);
  }, 90_000);

  afterAll(() => rmSync(home, { recursive: true }));

  /** They are compressed, so the file alone would show nothing. */
  async function readBodies(path: string): Promise<string> {
    const client = new Database(path, { readonly: true });
    const queries = captureQueries(drizzle({ client }));
    const rows = client.query("SELECT request_id FROM captures").values();
    const found = await Promise.all(rows.map(([id]) => queries.find(String(id))));
    client.close();
    return found.map((row) => JSON.stringify(row)).join("\n");
  }

  async function runReset(url: string): Promise<void> {
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"match":"all"}' };
    await (await fetch(`${url}/admin/breakers/reset`, init)).text();
  }

  test("every key was used, or this shows nothing", () => {
    const sent = JSON.stringify(upstream.requests.map(({ headers }) => headers));
    const used = Object.entries(keys).filter(
      ([name]) => !["of the launcher", "of the agent's own login"].includes(name),
    );
    for (const [name, key] of used) expect([name, sent.includes(key)]).toEqual([name, true]);
    expect(told.length).toBeGreaterThan(40);
    expect(told.at(-1)?.[1]).toContain("was answered");
    expect(told.at(-2)?.[1].match(/my keys are \(hidden\), \(hidden\)/g)?.length).toBeGreaterThan(20);
  });

  test.each(Object.entries(keys))("nothing that was said has the key %s in it", (_name, key) => {
    const where = told.filter(([, text]) => text.includes(key)).map(([place]) => place);
    expect(where).toEqual([]);
  });

  test.each(Object.entries(keys))("nothing that was kept has the key %s in it", (_name, key) => {
    const own = ["config.json", "launch.key", "printed.key"];
    const files = readdirSync(home, { recursive: true, encoding: "utf8" }).filter((name) => {
      return statSync(join(home, name)).isFile() && !own.some((end) => name.endsWith(end));
    });
    const found = files.filter((name) => readFileSync(join(home, name)).includes(key));
    expect([files.some((name) => name.startsWith("clutch.db")), found]).toEqual([true, []]);
  });
});
