import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { LocalKind } from "../../providers/catalog.ts";
import { type LocalModel, localServers, probeLocal } from "../../providers/local-probe.ts";
import { buildProviders } from "../../providers/registry.ts";
import { parseConfig } from "../../src/config/schema.ts";
import { fetchDirectly } from "../../src/loopback-direct.ts";
import { type LocalServerScript, ollama, type Replies, serveLocal } from "../support/local-servers.ts";

const running: ReturnType<typeof Bun.serve>[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop(true)));
});

function serve(replies: Replies): LocalServerScript {
  const script = serveLocal(replies);
  running.push(script.server);
  return script;
}

async function probe(kind: LocalKind, root: string, key?: string) {
  const servers = [{ id: kind, kind, root, key }];
  return probeLocal(servers, { fetch: fetchDirectly, limitMs: 2000 });
}

const llamaProps = {
  default_generation_settings: { id: 0, n_ctx: 65536 },
  total_slots: 4,
  model_path: "../models/m.gguf",
  chat_template_caps: { supports_tools: true },
  modalities: { vision: false },
};

describe("probeLocal() finds", () => {
  const cases: [name: string, kind: LocalKind, replies: Replies, models: LocalModel[]][] = [
    [
      "Ollama's models: the window of what is loaded or set, not what it was trained for",
      "ollama",
      ollama,
      [
        { id: "qwen3:8b", context: 32768, maxContext: 40960, image: false, tools: true, isLoaded: true },
        { id: "llama3:8b", context: 16384, maxContext: 8192, image: false, tools: false, isLoaded: false },
        { id: "llava:7b", maxContext: 32768, image: true, tools: false, isLoaded: false },
        { id: "gone:1b", isLoaded: false },
      ],
    ],
    [
      "none that only embeds",
      "ollama",
      {
        "/api/tags": { models: [{ name: "nomic-embed-text:latest" }, { name: "q" }] },
        "/api/show": (body) => ({
          capabilities: (body as { model: string }).model === "q" ? ["completion"] : ["embedding"],
        }),
      },
      [{ id: "q", image: false, tools: false, isLoaded: false }],
    ],
    ["Ollama without models", "ollama", { "/api/tags": { models: [] } }, []],
    [
      "LM Studio by its REST API of 0.4",
      "lmstudio",
      {
        "/api/v1/models": {
          models: [
            {
              type: "llm",
              key: "qwen/qwen3-coder",
              loaded_instances: [{ id: "qwen/qwen3-coder", config: { context_length: 16384 } }],
              max_context_length: 262144,
              capabilities: { vision: false, trained_for_tool_use: true },
            },
            {
              type: "llm",
              key: "google/gemma",
              loaded_instances: [],
              max_context_length: 131072,
              capabilities: { vision: true },
            },
            { type: "embedding", key: "nomic", loaded_instances: [], max_context_length: 2048 },
          ],
        },
        "/v1/models": { data: [{ id: "qwen/qwen3-coder" }] },
      },
      [
        { id: "qwen/qwen3-coder", context: 16384, maxContext: 262144, image: false, tools: true, isLoaded: true },
        { id: "google/gemma", maxContext: 131072, image: true, isLoaded: false },
      ],
    ],
    [
      "LM Studio by that of 0.3",
      "lmstudio",
      {
        "/api/v0/models": {
          data: [
            {
              id: "q",
              type: "llm",
              state: "loaded",
              max_context_length: 32768,
              loaded_context_length: 4096,
              capabilities: ["tool_use"],
            },
            { id: "v", type: "vlm", state: "not-loaded", max_context_length: 32768 },
            { id: "e", type: "embeddings", state: "not-loaded", max_context_length: 2048 },
          ],
        },
      },
      [
        { id: "q", context: 4096, maxContext: 32768, image: false, tools: true, isLoaded: true },
        { id: "v", maxContext: 32768, image: true, isLoaded: false },
      ],
    ],
    [
      "LM Studio by names alone",
      "lmstudio",
      { "/v1/models": { data: [{ id: "q" }, { id: "text-embedding-nomic" }] } },
      [{ id: "q" }],
    ],
    [
      "vLLM",
      "vllm",
      {
        "/v1/models": {
          object: "list",
          data: [{ id: "Qwen/Qwen3-8B", object: "model", owned_by: "vllm", max_model_len: 40960 }],
        },
      },
      [{ id: "Qwen/Qwen3-8B", context: 40960, isLoaded: true }],
    ],
    [
      "llama.cpp with one model",
      "llamacpp",
      { "/props": llamaProps, "/v1/models": { data: [{ id: "m.gguf" }] } },
      [{ id: "m.gguf", context: 65536, image: false, tools: true, isLoaded: true }],
    ],
    [
      "llama.cpp as a router of several, of which none is asked",
      "llamacpp",
      { "/props": llamaProps, "/v1/models": { data: [{ id: "a" }, { id: "b" }] } },
      [{ id: "a" }, { id: "b" }],
    ],
  ];
  test.each(cases)("%s", async (_name, kind, replies, models) => {
    expect(await probe(kind, serve(replies).root)).toEqual([{ id: kind, models }]);
  });

  test("with the key that the config has", async () => {
    const { root, asked } = serve({ "/v1/models": { data: [{ id: "m", max_model_len: 8192 }] } });
    await probe("vllm", root, "k");
    expect(asked).toEqual(["GET /v1/models Bearer k"]);
  });

  test("several at once, in their order", async () => {
    const servers = (["llamacpp", "vllm", "ollama"] as const).map((kind) => ({ id: kind, kind, key: undefined }));
    const roots = {
      ollama: serve(ollama).root,
      vllm: "http://127.0.0.1:1",
      llamacpp: serve({ "/props": llamaProps, "/v1/models": { data: [{ id: "m" }] } }).root,
    };
    const found = await probeLocal(
      servers.map((server) => ({ ...server, root: roots[server.kind] })),
      { fetch: fetchDirectly, limitMs: 2000 },
    );
    expect(found.map(({ id, models }) => [id, models.length])).toEqual([
      ["llamacpp", 1],
      ["ollama", 4],
    ]);
  });
});

describe("probeLocal() does not take for a model server", () => {
  const html = { "/": "<html></html>" };
  const cases: [name: string, kind: LocalKind, replies: Replies][] = [
    ["a web server at Ollama's port", "ollama", html],
    ["one that answers everything with an object", "ollama", { "/api/tags": {}, "/api/ps": {} }],
    ["another server at vLLM's port", "vllm", { "/v1/models": { data: [{ id: "gpt-5" }] } }],
    ["another server at llama.cpp's port", "llamacpp", { "/props": {}, "/v1/models": { data: [{ id: "x" }] } }],
    ["llama.cpp that is still reading its model", "llamacpp", { "/props": llamaProps }],
    ["a web server at LM Studio's port", "lmstudio", html],
  ];
  test.each(cases)("%s", async (_name, kind, replies) => {
    expect(await probe(kind, serve(replies).root)).toEqual([]);
  });

  test("a port where nothing listens", async () => {
    expect(await probe("ollama", "http://127.0.0.1:1")).toEqual([]);
  });

  test("one that redirects elsewhere", async () => {
    const elsewhere = serve(ollama);
    const server = Bun.serve({ port: 0, fetch: () => Response.redirect(`${elsewhere.root}/api/tags`) });
    running.push(server);
    expect(await probe("ollama", `http://127.0.0.1:${server.port}`)).toEqual([]);
    expect(elsewhere.asked).toEqual([]);
  });

  test("one that is silent, for no longer than the limit", async () => {
    const server = Bun.serve({ port: 0, fetch: () => new Promise<Response>(() => {}) });
    running.push(server);
    const startedAt = performance.now();
    const servers = [
      { id: "ollama", kind: "ollama", root: `http://127.0.0.1:${server.port}`, key: undefined },
    ] as const;
    expect(await probeLocal(servers, { fetch: fetchDirectly, limitMs: 100 })).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  test("one that never ends its answer", async () => {
    const endless = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(1 << 20)),
        }),
      );
    const server = Bun.serve({ port: 0, fetch: endless });
    running.push(server);
    expect(await probe("ollama", `http://127.0.0.1:${server.port}`)).toEqual([]);
  });
});

describe("fetchDirectly()", () => {
  const names = ["HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"];
  const before = new Map(names.map((name) => [name, process.env[name]]));
  let proxied = 0;
  const proxy = Bun.serve({
    port: 0,
    fetch: () => {
      proxied++;
      return new Response("the proxy");
    },
  });
  beforeAll(() => {
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    delete process.env["NO_PROXY"];
    delete process.env["no_proxy"];
  });
  afterAll(async () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    await proxy.stop(true);
  });

  test("keeps a probe away from the user's proxy, and the environment as it was", async () => {
    const { root } = serve(ollama);
    expect(await (await fetch(root)).text()).toBe("the proxy");
    const [found] = await probe("ollama", root);
    expect([found?.models.length, proxied, process.env["NO_PROXY"]]).toEqual([4, 1, undefined]);
  });
});

describe("localServers()", () => {
  test("takes the servers' roots from where the config has put them", () => {
    const config = parseConfig(
      {
        providers: {
          ollama: { base_url: "http://box:11434", api_key: "k" },
          vllm: { base_url: "http://box/vllm/v1", protocol: "messages" },
          mybox: { base_url: "http://box:9000/v1" },
        },
      },
      "c.json",
    );
    const servers = localServers(buildProviders(config, (spec) => spec).values());
    expect(servers).toEqual([
      { id: "ollama", kind: "ollama", root: "http://box:11434", key: "k" },
      { id: "lmstudio", kind: "lmstudio", root: "http://127.0.0.1:1234", key: undefined },
      { id: "vllm", kind: "vllm", root: "http://box/vllm", key: undefined },
      { id: "llamacpp", kind: "llamacpp", root: "http://127.0.0.1:8080", key: undefined },
    ]);
  });
});
