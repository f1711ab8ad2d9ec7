import { describe, expect, test } from "bun:test";
import { buildKeyCheck, checkKey } from "../../providers/key-check.ts";
import { buildProviders, keyReader, type Provider } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";
import { parseConfig } from "../../src/config/schema.ts";

const key = "sk-test-0123456789abcdef";

function provider(id: string, fields: Record<string, string> = {}): Provider {
  const config = parseConfig({ default_provider: id, providers: { [id]: { api_key: key, ...fields } } }, "test");
  const found = buildProviders(
    config,
    keyReader({}, () => undefined),
  ).get(id);
  if (found === undefined) throw new Error(id);
  return found;
}

const box = provider("box", { base_url: "http://box.test/v1" });

/** @param answer to whatever is asked */
function check(answer: () => Response | Promise<Response>, of = box) {
  const fetch: Fetch = async () => answer();
  return checkKey(of, key, { fetch, now: () => 1_000, limitMs: 50 });
}

test.each([
  [
    "OpenRouter, whose list is open to all",
    provider("openrouter"),
    "https://openrouter.ai/api/v1/key",
    "authorization",
  ],
  ["OpenAI", provider("openai"), "https://api.openai.com/v1/models", "authorization"],
  ["Anthropic", provider("anthropic"), "https://api.anthropic.com/v1/models", "x-api-key"],
  ["one of the user's", box, "http://box.test/v1/models", "authorization"],
])("buildKeyCheck() asks %s", (_name, of, url, header) => {
  const built = buildKeyCheck(of, key);
  expect(built.url).toBe(url);
  expect(built.headers[header]).toEndWith(key);
  expect(built.headers).not.toHaveProperty("content-type");
});

describe("checkKey()", () => {
  const told = (status: number, message: string) => () => Response.json({ error: { message } }, { status });

  test.each([
    ["a list", () => Response.json({ data: [] }), "accepted", "HTTP 200"],
    ["a refusal", told(401, "No auth credentials found"), "refused", "HTTP 401: No auth credentials found"],
    ["one that repeats the key", told(401, `wrong: ${key}!`), "refused", "HTTP 401: wrong: (the key)!"],
    ["one that stars it", told(401, "wrong: sk-test-****cdef."), "refused", "HTTP 401: wrong: (a key)"],
    ["no permission", told(403, "no"), "refused", "HTTP 403: no"],
    ["an empty purse", told(402, "add credits"), "unpaid", "HTTP 402: add credits"],
    ["a limit", told(429, "slow down"), "limited", "HTTP 429: slow down"],
    ["no such list", told(404, "not found"), "unproven", "HTTP 404: not found"],
    ["trouble of its own", () => new Response("<html>oops</html>", { status: 502 }), "failing", "HTTP 502"],
    ["a way elsewhere", () => new Response(null, { status: 302, headers: { location: "/" } }), "failing", "HTTP 302"],
  ] as const)("takes %s for what it is", async (_name, answer, verdict, detail) => {
    expect(await check(answer)).toMatchObject({ verdict, detail });
  });

  test("believes no list that is open to all, unless no key is needed", async () => {
    const nvidia = provider("nvidia");
    const answer = () => Response.json({ data: [] });
    expect(await check(answer, nvidia)).toMatchObject({ verdict: "unproven", detail: "its list is open to all" });
    const moved = provider("nvidia", { base_url: "http://127.0.0.1:9/v1" });
    expect(await check(answer, moved)).toMatchObject({ verdict: "accepted" });
  });

  test("says why nobody could be asked", async () => {
    const refused = Object.assign(new Error("nope"), { code: "ConnectionRefused" });
    expect(await check(() => Promise.reject(refused))).toMatchObject({
      verdict: "unreachable",
      status: undefined,
      detail: "connection refused: nothing listens there",
    });
  });

  test("waits for nobody longer than its limit", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => {}) });
    const slow = provider("slow", { base_url: `http://127.0.0.1:${server.port}/v1` });
    const found = await checkKey(slow, key, { fetch, now: Date.now, limitMs: 100 });
    expect(found).toMatchObject({ verdict: "unreachable", detail: "no answer within 0.1 s" });
    await server.stop(true);
  });
});
