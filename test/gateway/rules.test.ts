/** The rules through a gateway on a real socket: what reaches which upstream, what the ledger and /health say. */

import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/schema.ts";
import type { Json, JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { at, paths, protocols, summarise, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { buildConfig, eventually, startTestGateway, type TestGateway } from "../support/gateway.ts";

const claude = { "user-agent": "claude-cli/2.1.328 (external, cli)" };
const models = ["m", "big", "eyes", "deep", "search", "long", "mapped", "review", "scripted", "claude-haiku-4-5"];
const replies = Object.fromEntries(models.map((model) => [model, json(whole.chat)]));

async function post(gateway: TestGateway, protocol: Protocol, body: JsonObject, headers: Record<string, string> = {}) {
  const response = await fetch(gateway.url + paths[protocol], {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    keepalive: false,
  });
  return { response, text: await response.text() };
}

const quota = {
  model: "claude-haiku-4-5",
  max_tokens: 1,
  messages: [{ role: "user", content: "quota" }],
  metadata: { user_id: "u" },
};

test("Claude Code's quota probe is answered without a model, whole and streamed", async () => {
  await using gateway = await startTestGateway({ replies, cascade: ["chat:m"] });
  const { response, text } = await post(gateway, "messages", quota, claude);
  expect(response.status).toBe(200);
  expect(
    Object.fromEntries(["x-clutch-served-by", "x-clutch-attempts"].map((name) => [name, response.headers.get(name)])),
  ).toEqual({
    "x-clutch-served-by": "clutch:local",
    "x-clutch-attempts": "0",
  });
  expect(JSON.parse(text)).toMatchObject({
    type: "message",
    role: "assistant",
    model: "claude-haiku-4-5",
    content: [{ type: "text", text: "ok" }],
    stop_reason: "max_tokens",
    usage: { input_tokens: 0, output_tokens: 0 },
  });
  const streamed = await post(gateway, "messages", { ...quota, stream: true }, claude);
  expect(streamed.response.headers.get("content-type")).toStartWith("text/event-stream");
  expect(summarise("messages", streamed.text)).toMatchObject({ text: "ok" });
  expect(gateway.upstream.requests).toEqual([]);
  await gateway.stop(0);
  expect(gateway.requests()).toMatchObject([
    {
      status: "completed",
      http_status: 200,
      served_by: "clutch:local",
      rule: "local answer: quota probe",
      attempts: 0,
    },
    {
      status: "completed",
      http_status: 200,
      served_by: "clutch:local",
      rule: "local answer: quota probe",
      attempts: 0,
    },
  ]);
});

test("what only looks like small talk goes to a model", async () => {
  await using gateway = await startTestGateway({ replies, cascade: ["chat:m"] });
  const honest: [JsonObject, Record<string, string>][] = [
    [quota, {}],
    [{ ...quota, messages: [{ role: "user", content: "ping" }] }, claude],
    [{ ...quota, max_tokens: 2 }, claude],
    [{ ...quota, tools: [] }, claude],
    [{ ...quota, messages: [...quota.messages, { role: "assistant", content: "a" }] }, claude],
    [{ ...quota, model: "chat:m" }, claude],
    [{ ...quota }, { ...claude, authorization: "Bearer xx-cib-abc" }],
  ];
  for (const [body, headers] of honest) {
    const { response } = await post(gateway, "messages", body, headers);
    expect([JSON.stringify(body), response.status, response.headers.get("x-clutch-served-by")?.split(":")[0]]).toEqual([
      JSON.stringify(body),
      200,
      "chat",
    ]);
  }
  expect(gateway.upstream.requests.length).toBe(honest.length);
});

test("rules read the client's own body, and count their hits", async () => {
  const config = {
    routes: {
      image: "chat:eyes",
      think: "chat:deep",
      web_search: "chat:search",
      long_context: { model: "chat:long", threshold: 5000 },
    },
    mappings: { old: "chat:mapped" },
  };
  await using gateway = await startTestGateway({ replies, cascade: ["chat:big"], config });
  const picture = "A".repeat(100);
  const images: Record<Protocol, JsonObject> = {
    messages: {
      max_tokens: 9,
      messages: [
        {
          role: "user",
          content: [{ type: "image", source: { type: "base64", media_type: "image/png", data: picture } }],
        },
      ],
    },
    chat: {
      messages: [
        { role: "user", content: [{ type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }] },
      ],
    },
    responses: {
      input: [{ role: "user", content: [{ type: "input_image", image_url: `data:image/png;base64,${picture}` }] }],
    },
  };
  for (const protocol of protocols) {
    const { response } = await post(gateway, protocol, { model: "gpt-5", ...images[protocol] });
    expect([protocol, response.headers.get("x-clutch-served-by")]).toEqual([protocol, "chat:eyes"]);
  }
  const hello: Json[] = [{ role: "user", content: "hello" }];
  const asked: [JsonObject, string][] = [
    [{ model: "gpt-5", messages: hello, reasoning_effort: "xhigh" }, "chat:deep"],
    [{ model: "gpt-5", messages: hello, web_search_options: {} }, "chat:search"],
    [{ model: "gpt-5", messages: [{ role: "user", content: "x".repeat(20_100) }] }, "chat:long"],
    [{ model: "old", messages: hello, reasoning_effort: "xhigh" }, "chat:mapped"],
    [{ model: "gpt-5", messages: hello }, "chat:big"],
  ];
  for (const [body, servedBy] of asked) {
    const { response } = await post(gateway, "chat", body);
    expect(response.headers.get("x-clutch-served-by")).toBe(servedBy);
  }
  const hits = gateway.gateway.ruleHits().map((hit) => [hit.rule, hit.hits] as const);
  expect(hits).toEqual([
    ["mappings.old", 1],
    ["routes.image", 3],
    ["routes.web_search", 1],
    ["routes.think", 1],
    ["routes.long_context", 1],
    ["default", 1],
  ]);
});

test("a large body that no rule can read is refused in the client's protocol", async () => {
  await using gateway = await startTestGateway({
    replies,
    cascade: ["chat:m"],
    config: { routes: { think: "chat:deep" } },
  });
  const broken = `{"model": "gpt-5", "messages": [${"1,".repeat(10_000)}}`;
  const response = await fetch(gateway.url + paths.messages, { method: "POST", body: broken, keepalive: false });
  expect(response.status).toBe(400);
  expect(at(await response.json(), "error", "type")).toBe("invalid_request_error");
});

test("a sub-agent is known by its definition, and mistakes of the rules are told in /health and the log", async () => {
  const home = mkdtempSync(join(tmpdir(), "clutch-rules-"));
  try {
    mkdirSync(join(home, "repo/.claude/agents"), { recursive: true });
    writeFileSync(join(home, "repo/.claude/agents/reviewer.md"), "---\nname: code-reviewer\n---\n\nYou review.\n");
    const config = {
      agents: { claude: { subagents: { "code-reviewer": "chat:review" } } },
      mappings: { a: "b", b: "a" },
      routes: { custom: "./router.ts" },
    };
    await using gateway = await startTestGateway({ replies, cascade: ["chat:big"], config, env: { HOME: home } });
    const body = {
      model: "claude-sonnet-5",
      max_tokens: 9,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cc_version=1;" },
        { type: "text", text: "You are a Claude agent." },
        { type: "text", text: "You review.\n\nNotes:" },
      ],
      messages: [
        { role: "user", content: "look" },
        { role: "system", content: `# Environment\n - Primary working directory: ${home}/repo\n` },
      ],
    };
    const sub = await post(gateway, "messages", body, { ...claude, "x-claude-code-agent-id": "a1" });
    expect(sub.response.headers.get("x-clutch-served-by")).toBe("chat:review");
    const main = await post(gateway, "messages", body, claude);
    expect(main.response.headers.get("x-clutch-served-by")).toBe("chat:big");
    const health = await (await fetch(`${gateway.url}/health`)).json();
    const mistakes = [
      "mappings.a goes in a circle: a -> b -> a",
      "routes.custom ./router.ts: there is no config file; requests go on by the next rule",
    ];
    expect(at(health, "status")).toBe("degraded");
    expect((health as { problems: string[] }).problems).toEqual(mistakes);
    expect(gateway.lines).toEqual(mistakes);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});

test("the user's script decides, and follows the config", async () => {
  const folder = mkdtempSync(join(tmpdir(), "clutch-rules-"));
  try {
    writeFileSync(
      join(folder, "router.ts"),
      "export const route = ({ facts }: { facts: { thinks: string | null } }) => facts.thinks === null ? null : 'chat:scripted';",
    );
    await using gateway = await startTestGateway({ replies, cascade: ["chat:big"] });
    const config = parseConfig(
      { ...buildConfig(gateway.upstream.port, { cascade: ["chat:big"] }), routes: { custom: "./router.ts" } },
      "test",
    );
    await gateway.gateway.reload({ config, path: join(folder, "config.json"), notices: [] }, { tierLetters: {} });
    const messages = [{ role: "user", content: "hello" }];
    const served = async (body: JsonObject) => {
      const { response } = await post(gateway, "chat", { model: "gpt-5", messages, ...body });
      return response.headers.get("x-clutch-served-by");
    };
    expect(await served({ reasoning_effort: "max" })).toBe("chat:scripted");
    expect(await served({})).toBe("chat:big");
    await eventually("the hit is counted", () =>
      gateway.gateway.ruleHits().some(({ rule, hits }) => rule === "routes.custom" && hits === 1),
    );
    expect(gateway.lines).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
