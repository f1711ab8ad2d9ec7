import { afterEach, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { type Canary, startCanary } from "../../../launcher/doctor/canary.ts";
import { parseProxyRequest, startRefusingProxy } from "../../../launcher/doctor/refusing-proxy.ts";

const token = "xx-cnp-abc123";
const prompt = "Say it.";
const messages = [{ role: "user" as const, content: prompt }];
let canary: Canary;

function start(): Canary {
  canary = startCanary({ token: () => token, prompt, answer: "ready-now" });
  return canary;
}

afterEach(() => canary?.stop());

describe("the vendors' own clients read the canary's answers", () => {
  test("Messages, streamed and whole", async () => {
    const client = new Anthropic({ baseURL: start().url, apiKey: null, authToken: token, maxRetries: 0 });
    const body = { model: "m", max_tokens: 10, messages };
    const whole = await client.messages.create(body);
    const streamed = await client.messages.stream(body).finalMessage();
    for (const message of [whole, streamed]) {
      expect(message.content).toMatchObject([{ type: "text", text: "ready-now" }]);
      expect(message.stop_reason).toBe("end_turn");
    }
  });

  test("Chat, streamed and whole", async () => {
    const client = new OpenAI({ baseURL: `${start().url}/v1`, apiKey: token, maxRetries: 0 });
    const whole = await client.chat.completions.create({ model: "m", messages });
    const streamed = await client.chat.completions.stream({ model: "m", messages }).finalChatCompletion();
    for (const { choices } of [whole, streamed]) {
      expect(choices).toMatchObject([{ message: { content: "ready-now" }, finish_reason: "stop" }]);
    }
  });

  test("Responses, streamed and whole", async () => {
    const client = new OpenAI({ baseURL: `${start().url}/v1`, apiKey: token, maxRetries: 0 });
    const whole = await client.responses.create({ model: "m", input: prompt });
    const streamed = await client.responses.stream({ model: "m", input: prompt }).finalResponse();
    for (const response of [whole, streamed]) {
      expect(response.status).toBe("completed");
      expect(response.output).toMatchObject([
        { type: "message", content: [{ type: "output_text", text: "ready-now" }] },
      ]);
    }
  });
});

test("what is written down of a call", async () => {
  const { url, calls } = start();
  const tools = [{ name: "t", input_schema: { type: "object" } }];
  await fetch(`${url}/v1/messages?beta=true`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "x-api-key": "sk-ant-api03-abcdefghijklmnop",
      "user-agent": "agent/1.0",
    },
    body: JSON.stringify({ model: "m", stream: true, tools, messages }),
  });
  await fetch(`${url}/v1/v1/responses`, {
    method: "POST",
    headers: { "user-agent": "agent/1.0" },
    body: JSON.stringify({ model: "n", input: [{ type: "additional_tools" }] }),
  });
  const at = { atMs: expect.any(Number), userAgent: "agent/1.0" };
  expect([...calls]).toEqual([
    {
      ...at,
      path: "/v1/messages",
      protocol: "messages",
      model: "m",
      credentials: [
        { header: "authorization", kind: "launch", shown: "xx-cnp-…" },
        { header: "x-api-key", kind: "own", shown: "sk-an…" },
      ],
      isStream: true,
      toolDialect: "plain",
      purpose: "task",
    },
    {
      ...at,
      path: "/v1/v1/responses",
      protocol: "responses",
      model: "n",
      credentials: [],
      isStream: false,
      toolDialect: "additional_tools",
      purpose: "other",
    },
  ]);
});

test("what agents probe for is answered as the gateway answers it, and is no call", async () => {
  const { url, calls } = start();
  const status = async (path: string, init?: RequestInit) => (await fetch(url + path, init)).status;
  expect(await status("/", { method: "HEAD" })).toBe(200);
  expect(await status("/api/hello", { method: "HEAD" })).toBe(200);
  expect(await status("/v1/models")).toBe(200);
  expect(await status("/v1/messages/count_tokens", { method: "POST", body: "{}" })).toBe(200);
  expect(await status("/api/show", { method: "POST", body: "{}" })).toBe(404);
  expect(await status("/v1/responses", { headers: { upgrade: "websocket" } })).toBe(426);
  expect(calls).toEqual([]);
});

describe("the proxy", () => {
  test("writes down where a request would have gone, and lets none through", async () => {
    const proxy = startRefusingProxy();
    try {
      const plain = await fetch("http://model.example.com:8000/v1/models", { proxy: proxy.url });
      expect(plain.status).toBe(403);
      expect(
        await fetch("https://model.example.com/v1", { proxy: proxy.url }).then(
          (r) => r.status,
          () => "refused",
        ),
      ).not.toBe(200);
      expect([...proxy.contacts]).toEqual([
        { host: "model.example.com", port: 8000 },
        { host: "model.example.com", port: 443 },
      ]);
    } finally {
      proxy.stop();
    }
  });

  test.each([
    ["CONNECT openrouter.ai:443 HTTP/1.1\r\n\r\n", { host: "openrouter.ai", port: 443 }],
    ["CONNECT [::1]:8080 HTTP/1.1\r\n\r\n", { host: "[::1]", port: 8080 }],
    ["POST http://localhost/v1 HTTP/1.1\r\n\r\n", { host: "localhost", port: 80 }],
    ["GET /not/a/proxy/request HTTP/1.1\r\n\r\n", undefined],
    ["\x16\x03\x01 no HTTP", undefined],
  ])("parseProxyRequest(%j)", (head, contact) => {
    expect(parseProxyRequest(head)).toEqual(contact as never);
  });
});
