import { afterEach, describe, expect, test } from "bun:test";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { fetchDirectly } from "../../src/loopback-direct.ts";
import { localLook } from "../../src/models/local-servers.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { type LocalServerScript, nobodyHere, ollama, type Replies, serveLocal } from "../support/local-servers.ts";

const running: LocalServerScript[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ server }) => server.stop(true)));
});

function serve(replies: Replies, status?: number): LocalServerScript {
  const script = serveLocal(replies, status);
  running.push(script);
  return script;
}

function look(own: JsonObject, clock = { nowMs: 0 }, fetch = fetchDirectly) {
  const config = parseConfig({ providers: { ...nobodyHere, ...own } }, "test");
  const providers = buildProviders(config, (spec) => (spec.startsWith("env:") ? undefined : spec));
  return localLook({ providers: () => providers, fetch, now: () => clock.nowMs });
}

describe("localLook()", () => {
  test("has a row for what runs: free, and with no more about its window than is known", async () => {
    const { root } = serve(ollama);
    expect(await look({ ollama: { base_url: root } })()).toEqual({
      ollama: {
        "qwen3:8b": {
          context: 32768,
          output: 32768,
          maxContext: 40960,
          image: false,
          tools: true,
          isFree: true,
          list: "local",
        },
        "llama3:8b": {
          context: 16384,
          output: 16384,
          maxContext: 8192,
          image: false,
          tools: false,
          isFree: true,
          list: "local",
        },
        "llava:7b": { maxContext: 32768, image: true, tools: false, isFree: true, list: "local" },
        "gone:1b": { isFree: true, list: "local" },
      },
    });
  });

  test("does not call a model free that Ollama only hands on to its cloud", async () => {
    const { root } = serve({ "/api/tags": { models: [{ name: "gpt-oss:120b-cloud" }, { name: "m" }] } });
    expect(await look({ ollama: { base_url: root } })()).toEqual({
      ollama: { "gpt-oss:120b-cloud": { isPlan: true, list: "local" }, m: { isFree: true, list: "local" } },
    });
  });

  test("tells what a server has under every provider that the config has put at its address", async () => {
    const { root, asked } = serve({ "/v1/models": { data: [{ id: "m", max_model_len: 8192 }] } });
    const rows = { m: { context: 8192, output: 8192, isFree: true, list: "local" } } as const;
    const mine = { base_url: `${root.replace("127.0.0.1", "localhost")}/v1`, api_key: "mine" };
    expect(await look({ vllm: { base_url: root }, mine })()).toEqual({ vllm: rows, mine: rows });
    expect(asked).toEqual(["GET /v1/models"]);
  });

  test("remembers the window that a model had when it was in memory; a server that went takes all along", async () => {
    const replies = { ...ollama };
    const script = serve(replies);
    const lookAround = look({ ollama: { base_url: script.root } });
    await lookAround();
    replies["/api/ps"] = { models: [] };
    expect((await lookAround())["ollama"]?.["qwen3:8b"]?.context).toBe(32768);
    await script.server.stop(true);
    expect(await lookAround()).toEqual({});
  });

  test("leaves a stranger at a usual port alone for ten minutes, not one that is still starting, or was put there", async () => {
    const asked: string[] = [];
    let vllm = 404;
    const clock = { nowMs: 0 };
    const own = serve({});
    const config = parseConfig({ providers: { ollama: { base_url: own.root } } }, "test");
    const providers = buildProviders(config, () => undefined);
    const lookAround = localLook({
      providers: () => providers,
      now: () => clock.nowMs,
      // The usual ports are this machine's own business.
      async fetch(url, init) {
        if (url.startsWith(own.root)) return fetchDirectly(url, init);
        asked.push(new URL(url).port);
        if (!url.includes(":8000")) throw new Error("connection refused");
        return new Response("{}", { status: vllm });
      },
    });
    const ports = async (afterMs: number, isAnew = false) => {
      asked.length = 0;
      own.asked.length = 0;
      clock.nowMs += afterMs;
      expect(await lookAround(isAnew)).toEqual({});
      return [[...new Set(asked)].sort().join(" "), own.asked.length > 0];
    };
    vllm = 503;
    expect(await ports(0)).toEqual(["1234 8000 8080", true]);
    vllm = 404;
    expect(await ports(60_000)).toEqual(["1234 8000 8080", true]);
    expect(await ports(60_000)).toEqual(["1234 8080", true]);
    expect(await ports(0, true)).toEqual(["1234 8000 8080", true]);
    expect(await ports(599_999)).toEqual(["1234 8080", true]);
    expect(await ports(1)).toEqual(["1234 8000 8080", true]);
  });
});
