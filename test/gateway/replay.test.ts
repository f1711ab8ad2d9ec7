import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ReplayCase, ReplayReport } from "../../src/explain/replay.ts";
import { launchSecretFile } from "../../src/launch-token.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { ledgerUsage, protocols } from "../support/answers.ts";
import { type FakeUpstream, json, type Reply, sse, startFakeUpstream } from "../support/fake-upstream.ts";
import {
  ask,
  buildConfig,
  makeHome,
  readLedger,
  type ServeProcess,
  startServe,
  writeConfig,
} from "../support/gateway.ts";
import { type RichAnswer, richStream, richWhole } from "../support/rich-answers.ts";
import { type Finished, runClutch } from "../support/run-clutch.ts";

const read = { id: "call_1", name: "Read", arguments: '{"path": "/etc/hosts", "lines": [1, 2]}' };
const bash = { id: "call_2", name: "Bash", arguments: '{"command":"ls"}' };

/** What each model makes of the same request. */
const answers = {
  original: { text: "I look.", calls: [read, bash] },
  // The same, its arguments written another way.
  alike: { reasoning: "Hm.", calls: [{ ...read, arguments: '{"lines":[1,2],"path":"/etc/hosts"}' }, bash] },
  careless: { calls: [{ ...read, arguments: '{"path":"/etc/passwd"}' }, bash] },
  hasty: { text: "Done.", calls: [bash] },
  chatty: { text: "I would look into the file." },
} satisfies Record<string, RichAnswer>;
type Model = keyof typeof answers;

/** By the protocol that the provider speaks, whole or streamed as it is asked. */
function replyOf(model: Model, body: JsonObject, path: string): Reply {
  const protocol: Protocol = path.includes("/messages")
    ? "messages"
    : path.includes("/responses")
      ? "responses"
      : "chat";
  return body["stream"] === true
    ? sse([richStream(protocol, answers[model])])
    : json(richWhole(protocol, answers[model]));
}

const script = {
  ...Object.fromEntries(
    (Object.keys(answers) as Model[]).map((model) => [
      model,
      ({ body, path }: { body: JsonObject; path: string }) => replyOf(model, body, path),
    ]),
  ),
  broken: json({ error: { message: "out of order" } }, 500),
  busy: json({ error: { message: "slow down" } }, 429, { "retry-after": "120" }),
};

const tools = {
  messages: [
    { name: "Read", description: "reads", input_schema: { type: "object", properties: { path: { type: "string" } } } },
    {
      name: "Bash",
      description: "runs",
      input_schema: { type: "object", properties: { command: { type: "string" } } },
    },
  ],
  chat: ["Read", "Bash"].map((name) => ({ type: "function", function: { name, parameters: { type: "object" } } })),
  responses: ["Read", "Bash"].map((name) => ({ type: "function", name, parameters: { type: "object" } })),
} satisfies Record<Protocol, JsonObject[]>;

describe("clutch replay", () => {
  const home = makeHome();
  let upstream: FakeUpstream;
  let serving: ServeProcess;
  let running: Record<string, string>;
  const ids = new Map<string, string>();

  const askOriginal = async (protocol: Protocol, stream: boolean): Promise<string> => {
    const response = await ask(serving.url, protocol, `${protocol}:original`, stream, {
      body: { tools: tools[protocol] },
      headers: { "anthropic-beta": "context-1", "user-agent": "claude-cli/2.1.328" },
    });
    await response.text();
    const id = response.headers.get("x-clutch-request-id") ?? "";
    await readLedger(join(home, "clutch.db")).request(id);
    return id;
  };

  beforeAll(async () => {
    upstream = await startFakeUpstream(script);
    const prices = { prices: { "chat:alike": { usd_per_million: { input: 1, output: 2 } } } };
    writeConfig(home, buildConfig(upstream.port, { config: { ...prices } }));
    serving = await startServe({ home });
    running = { CLUTCH_PORT: new URL(serving.url).port };
    ids.set("uncaptured", await askOriginal("chat", false));
    await runClutch(home, ["requests", "capture", "on"], running);
    for (const protocol of protocols) {
      for (const stream of [false, true]) ids.set(`${protocol} ${stream}`, await askOriginal(protocol, stream));
    }
    await runClutch(home, ["requests", "capture", "off"], running);
  }, 60_000);

  afterAll(async () => {
    serving.kill("SIGTERM");
    await serving.exited;
    await upstream.stop();
    rmSync(home, { recursive: true });
  });

  const run = (env: Record<string, string>, ...args: string[]): Promise<Finished> =>
    runClutch(home, ["replay", ...args], env);
  const report = async (...args: string[]): Promise<ReplayReport & { code: number }> => {
    const { code, stdout, stderr } = await run(running, ...args, "--json");
    expect(stderr).toBe("");
    return { ...(JSON.parse(stdout) as ReplayReport), code };
  };

  test.each(protocols.flatMap((protocol) => [[protocol, false] as const, [protocol, true] as const]))(
    "asks models of all protocols what a client of %s asked (streamed %p), and compares what they call",
    async (protocol, stream) => {
      const id = ids.get(`${protocol} ${stream}`) ?? "";
      const before = upstream.requests.length;
      const against = "messages:alike,chat:alike,responses:alike,chat:careless,chat:hasty,responses:chatty";
      const told = await report(id, "--against", against);
      expect(told.code).toBe(0);
      expect(told.request).toEqual({ id, protocol, model_requested: `${protocol}:original`, streamed: stream });
      expect(told.original).toMatchObject({
        target: `${protocol}:original`,
        request_id: id,
        tool_calls: [
          { name: "Read", arguments: { path: "/etc/hosts", lines: [1, 2] } },
          { name: "Bash", arguments: { command: "ls" } },
        ],
        text: "I look.",
        error: null,
        verdict: null,
        ...ledgerUsage,
      });
      expect(told.runs.map(({ target, verdict, served_by }) => [target, verdict, served_by])).toEqual([
        ["messages:alike", "same", "messages:alike"],
        ["chat:alike", "same", "chat:alike"],
        ["responses:alike", "same", "responses:alike"],
        ["chat:careless", "same-tools", "chat:careless"],
        ["chat:hasty", "other-tools", "chat:hasty"],
        ["responses:chatty", "no-tools", "responses:chatty"],
      ]);
      for (const { duration_ms, first_token_ms, output_tokens, http_status } of told.runs) {
        expect([typeof duration_ms, typeof first_token_ms, output_tokens, http_status]).toEqual([
          "number",
          "number",
          50,
          200,
        ]);
      }
      expect(told.runs[1]?.cost_usd).toBeGreaterThan(0);
      expect(told.runs[0]?.cost_usd).toBeNull();
      expect(told.runs.at(-1)?.text).toBe("I would look into the file.");
      // Each was asked once, and as nobody's agent.
      const sent = upstream.requests.slice(before);
      expect(sent.map(({ body }) => body["model"])).toEqual(["alike", "alike", "alike", "careless", "hasty", "chatty"]);
      expect(sent.some(({ headers }) => headers["user-agent"]?.includes("claude-cli"))).toBe(false);
      expect(sent[0]?.headers["anthropic-beta"]).toBe(protocol === "messages" ? "context-1" : undefined);
    },
    20_000,
  );

  test("asks the one that answered, where no other is named", async () => {
    const told = await report(ids.get("chat true") ?? "");
    expect(told.runs).toMatchObject([{ target: "chat:original", verdict: "same" }]);
  });

  test("takes for the last one the last that was captured, not a replay", async () => {
    const captured = ids.get("responses true") ?? "";
    for (const _again of [1, 2]) expect((await report("last", "--against", "chat:alike")).request.id).toBe(captured);
  });

  test("goes on when one fails, and says why", async () => {
    const told = await report(ids.get("messages true") ?? "", "--against", "chat:broken,dead:m,other:busy,chat:alike");
    expect(told.code).toBe(1);
    expect(told.runs.map(({ verdict, error, http_status }) => [verdict, error, http_status])).toEqual([
      ["failed", expect.stringContaining("out of order"), expect.any(Number)],
      ["failed", expect.stringContaining("connection refused"), expect.any(Number)],
      ["failed", expect.stringContaining("slow down"), 429],
      ["same", null, 200],
    ]);
  });

  test("is a table for people", async () => {
    const { stdout, code } = await run(running, ids.get("chat false") ?? "", "--against", "chat:careless,chat:chatty");
    const rows = stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(code).toBe(0);
    expect(rows[2]).toEqual(["tool calls", "text", "took", "first", "in", "out", "cost"]);
    expect(rows[3]?.slice(0, 3)).toEqual(["chat:original (then)", "Read, Bash", "7 chars"]);
    expect(rows[4]?.slice(0, 3)).toEqual(["chat:careless", "Read, Bash", "same tools, other arguments"]);
    expect(rows[5]?.slice(0, 4)).toEqual(["chat:chatty", "-", "no tool called", "27 chars"]);
    expect(stdout).toContain('  Read {"path":"/etc/passwd"}\n');
  });

  test("works without a gateway, by one of its own that leaves nothing behind", async () => {
    const before = readLedger(join(home, "clutch.db")).requests().length;
    const { code, stdout } = await run(
      { CLUTCH_PORT: "1" },
      ids.get("responses true") ?? "",
      "--against",
      "chat:alike",
      "--json",
    );
    const told = JSON.parse(stdout) as ReplayReport;
    expect([code, told.runs[0]?.verdict, told.runs[0]?.output_tokens]).toEqual([0, "same", 50]);
    expect(told.runs[0]?.cost_usd).toBeGreaterThan(0);
    expect(readLedger(join(home, "clutch.db")).requests()).toHaveLength(before);
  });

  test("saves a case that anybody can be asked again, with status 1 for other tools", async () => {
    const file = join(home, "case");
    const saved = await run(running, ids.get("messages true") ?? "", "--save", file);
    expect([saved.code, saved.stdout, saved.stderr]).toEqual([0, "", expect.stringContaining(`saved as ${file}.json`)]);
    expect(statSync(`${file}.json`).mode & 0o777).toBe(0o600);
    const kept = JSON.parse(readFileSync(`${file}.json`, "utf8")) as ReplayCase;
    expect(kept).toMatchObject({
      clutch_case: 1,
      protocol: "messages",
      tool_calls: [{ name: "Read" }, { name: "Bash" }],
    });
    expect(readFileSync(`${file}.json`, "utf8")).not.toContain("sk-upstream");
    const good = await report(`${file}.json`, "--against", "chat:alike,chat:careless");
    expect([good.code, good.original, good.runs.map(({ verdict }) => verdict)]).toEqual([
      0,
      null,
      ["same", "same-tools"],
    ]);
    expect((await report(`${file}.json`, "--against", "chat:hasty")).code).toBe(1);
    const again = await run(running, ids.get("messages true") ?? "", "--save", `${file}.json`);
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining("(it is there already): choose another name"),
    ]);
    const lost = await run(running, `${file}.json`);
    expect([lost.code, lost.stderr]).toEqual([2, expect.stringContaining("name models: --against")]);
    writeFileSync(join(home, "none.json"), '{"request": {}}');
    const none = await run(running, join(home, "none.json"), "--against", "chat:alike");
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining("none.json is no saved case")]);
  }, 20_000);

  test.each([
    [
      "uncaptured",
      [],
      1,
      "was not kept: bodies are kept only on demand: clutch requests capture on --for 1h, then ask again",
    ],
    ["chat true", ["--against", " , "], 2, "--against names no model: as in --against openai:gpt-5"],
  ] as const)("%s with %p is refused in one line", async (name, args, status, message) => {
    const { code, stdout, stderr } = await run(running, ids.get(name) ?? "", ...args);
    expect([code, stdout, stderr]).toEqual([status, "", expect.stringContaining(message)]);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  test("an unknown id is refused", async () => {
    const { code, stderr } = await run(running, "zzz");
    expect([code, stderr]).toEqual([1, expect.stringContaining('no request in the ledger has the id "zzz"')]);
  });
});

test("a gateway that requires a key lets a replay of its own home in", async () => {
  const home = makeHome();
  const upstream = await startFakeUpstream(script);
  writeConfig(home, buildConfig(upstream.port, { config: { server: { port: 0, require_key: true } } }));
  mkdirSync(join(home, "state"), { mode: 0o700 });
  writeFileSync(launchSecretFile(join(home, "state")), "secret-of-this-home-12345", { mode: 0o600 });
  const serving = await startServe({ home });
  const running = { CLUTCH_PORT: new URL(serving.url).port };
  try {
    await runClutch(home, ["requests", "capture", "on"], running);
    const headers = { authorization: "Bearer xx-cip-k3j9aa11-secret-of-this-home-12345" };
    const response = await ask(serving.url, "chat", "chat:original", false, { headers });
    await response.text();
    const id = response.headers.get("x-clutch-request-id") ?? "";
    await readLedger(join(home, "clutch.db")).request(id);
    const asked = await runClutch(home, ["replay", id, "--against", "chat:alike", "--json"], running);
    expect(asked).toMatchObject({ code: 0, stderr: "" });
    expect((JSON.parse(asked.stdout) as ReplayReport).runs[0]?.verdict).toBe("same");
    expect(asked.stdout).not.toContain("secret-of-this-home");
  } finally {
    serving.kill("SIGTERM");
    await serving.exited;
    await upstream.stop();
    rmSync(home, { recursive: true });
  }
}, 20_000);
