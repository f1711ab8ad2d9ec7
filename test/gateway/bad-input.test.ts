import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";
import { at, paths, protocols, requestBody, whole } from "../support/answers.ts";
import { json } from "../support/fake-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({
    replies: Object.fromEntries(protocols.map((protocol) => [`good-${protocol}`, json(whole[protocol])])),
    cascade: ["chat:good-chat"],
    config: { mappings: { "coder-model": "BIG" } },
  });
});

afterAll(() => gateway[Symbol.asyncDispose]());

const asked = () => gateway.upstream.requests.length;

function post(protocol: Protocol, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gateway.url + paths[protocol], { method: "POST", body, headers });
}

async function expectError(protocol: Protocol, response: Response, status: number, message: RegExp): Promise<void> {
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toBe("application/json");
  const body = (await response.json()) as JsonObject;
  expect(at(body, "error", "message")).toMatch(message);
  expect(at(body, "error", "message")).not.toMatch(/\n| at \/|\.ts:/);
  expect(at(body, "error", "type")).not.toBe("");
  if (protocol === "messages") expect(body["type"]).toBe("error");
  else expect(body["error"]).toContainAllKeys(["message", "type", "code", "param"]);
}

/** About 100 KB, as an agent's; `text` can bring in what a cut should meet. */
function large(protocol: Protocol): string {
  return JSON.stringify(requestBody(protocol, `${protocol}:good-${protocol}`, false, { padding: "y".repeat(100_000) }));
}

const small = (protocol: Protocol) =>
  JSON.stringify(requestBody(protocol, `${protocol}:good-${protocol}`, false, { padding: "é".repeat(3000) }));

describe.each(protocols)("%s: a body that cannot be served", (protocol) => {
  test.each([
    ["nothing", "", /JSON/],
    ["no JSON", "hello", /not valid JSON/],
    ["half an object", '{"model":"x"', /not valid JSON/],
    ["a list", "[]", /not a JSON object/],
    ["null", "null", /not a JSON object/],
    ["no model", '{"messages":[]}', /^model: a non-empty string is required$/],
    ["a model that is no text", '{"model":7}', /^model: /],
    ["an empty model", '{"model":""}', /^model: /],
    ["a large one without a model", JSON.stringify({ pad: "x".repeat(20_000), deep: { model: "x" } }), /^model: /],
    ["a large list", JSON.stringify(["x".repeat(20_000)]), /not a complete JSON object/],
  ])("is refused: %s", async (_name, body, message) => {
    const before = asked();
    await expectError(protocol, await post(protocol, body), 400, message);
    expect(asked()).toBe(before);
  });

  test.each([1, 40, 5000, 99_000, 100_000])("is refused when %p bytes of a large one are missing", async (missing) => {
    const before = asked();
    await expectError(protocol, await post(protocol, large(protocol).slice(0, -missing)), 400, /JSON/);
    expect(asked()).toBe(before);
  });

  test("is refused over 32 MB, announced or not", async () => {
    const before = asked();
    const megabyte = new Uint8Array(1024 * 1024).fill(0x20);
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let sent = 0; sent < 34; sent++) controller.enqueue(megabyte);
        controller.close();
      },
    });
    const announced = new Blob(Array.from({ length: 34 }, () => megabyte));
    for (const body of [announced, chunks]) {
      await expectError(protocol, await post(protocol, body), 413, /larger than 32 MB/);
    }
    expect(asked()).toBe(before);
  });

  test.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ])("is refused when it expands to more than 32 MB from %s", async (encoding, compress) => {
    const bomb = compress(Buffer.alloc(33 * 1024 * 1024, 0x20));
    await expectError(protocol, await post(protocol, bomb, { "content-encoding": encoding }), 413, /larger than 32 MB/);
  });

  test.each(["lzma", "constructor", "toString", "__proto__", "gzip, gzip"])(
    "is refused in the unknown encoding %s",
    async (encoding) => {
      const before = asked();
      const response = await post(protocol, small(protocol), { "content-encoding": encoding });
      await expectError(protocol, response, 400, /content-encoding ".*" is not supported/);
      expect(asked()).toBe(before);
    },
  );

  test.each(["gzip", "zstd", "br", "deflate"])("is refused when it does not expand as %s", async (encoding) => {
    const response = await post(protocol, small(protocol), { "content-encoding": encoding });
    await expectError(protocol, response, 400, new RegExp(`does not expand as ${encoding}`));
  });
});

describe.each(protocols)("%s: a body in other wrappings", (protocol) => {
  const encodings = {
    gzip: gzipSync,
    zstd: zstdCompressSync,
    br: brotliCompressSync,
    deflate: deflateSync,
    identity: (text: string) => Buffer.from(text),
    // Codings are case-insensitive.
    GZIP: gzipSync,
  } as const;

  test.each(Object.entries(encodings))("arrives expanded from %s", async (encoding, compress) => {
    for (const text of [small(protocol), large(protocol)]) {
      const response = await post(protocol, compress(text), { "content-encoding": encoding });
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual(whole[protocol]);
      const request = gateway.upstream.requests.at(-1);
      expect(request?.text).toBe(text.replace(`${protocol}:good`, "good"));
      expect(request?.headers["content-encoding"]).toBeUndefined();
    }
  });

  test("arrives when its length is not announced", async () => {
    const bytes = Buffer.from(large(protocol));
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += 9000) controller.enqueue(bytes.subarray(at, at + 9000));
        controller.close();
      },
    });
    expect((await post(protocol, stream)).status).toBe(200);
    expect(gateway.upstream.requests.at(-1)?.text.length).toBe(bytes.length - protocol.length - 1);
  });
});

describe("a model whose name does not fit into a header", () => {
  test.each([
    ["beyond ASCII", "chat:modèle"],
    ["with a line break", "chat:a\nb"],
    ["with half a surrogate pair", "chat:a\ud800b"],
  ])("is served all the same: %s", async (_name, model) => {
    const name = model.slice("chat:".length);
    await using own = await startTestGateway({ replies: { [name]: json(whole.chat), "a\ufffdb": json(whole.chat) } });
    for (const stream of [false, true]) {
      const response = await own.ask("chat", model, stream);
      expect(response.status).toBe(200);
      expect(response.headers.get("x-clutch-served-by")).toStartWith("chat");
      await response.text();
      expect(own.gateway.inFlight()).toBe(0);
    }
  });
});

/** One request as bytes, since `fetch` will not send every header; answers with the status line's number. */
async function rawStatus(lines: readonly string[], body = ""): Promise<number> {
  const socket = connect(gateway.gateway.port, "127.0.0.1");
  const answered = Promise.withResolvers<string>();
  socket.on("data", (bytes) => answered.resolve(bytes.toString()));
  socket.on("error", answered.reject);
  socket.on("close", () => answered.resolve(""));
  socket.write(`${lines.join("\r\n")}\r\n\r\n${body}`);
  const answer = await answered.promise;
  socket.destroy();
  return Number(answer.split(" ")[1]);
}

describe("web pages and foreign names", () => {
  const body = JSON.stringify(requestBody("chat", "chat:good-chat", false));
  const status = (headers: readonly string[]) => {
    const fixed = [`content-length: ${body.length}`, "content-type: text/plain"];
    return rawStatus(["POST /v1/chat/completions HTTP/1.1", ...headers, ...fixed], body);
  };

  test.each([
    ["127.0.0.1", 200],
    ["127.0.0.1:PORT", 200],
    ["127.9.8.7:1234", 200],
    ["localhost:PORT", 200],
    ["LOCALHOST", 200],
    ["[::1]:PORT", 200],
    ["[::1]", 200],
    ["evil.example", 403],
    ["evil.example:PORT", 403],
    ["localhost.evil.example", 403],
    ["127.0.0.1.evil.example:PORT", 403],
    ["evil127.0.0.1", 403],
    ["192.168.1.7:PORT", 403],
    ["0.0.0.0:PORT", 403],
    ["", 403],
  ])("Host %p is answered %p", async (host, expected) => {
    expect(await status([`host: ${host.replace("PORT", String(gateway.gateway.port))}`])).toBe(expected);
  });

  test.each([
    ["http://127.0.0.1:PORT", 200],
    ["http://localhost:PORT", 403],
    ["null", 403],
    ["http://evil.example", 403],
    ["http://127.0.0.1:1", 403],
    ["http://127.0.0.1:PORT.evil.example", 403],
    ["file://", 403],
    ["", 403],
  ])("Origin %p is answered %p", async (origin, expected) => {
    const port = String(gateway.gateway.port);
    const before = asked();
    expect(await status([`host: 127.0.0.1:${port}`, `origin: ${origin.replace("PORT", port)}`])).toBe(expected);
    expect(asked()).toBe(expected === 200 ? before + 1 : before);
  });

  test.each(protocols)("the refusal is in the client's own words: %s", async (protocol) => {
    const response = await post(protocol, "{}", { origin: "http://evil.example" });
    await expectError(protocol, response, 403, /web pages of "http:\/\/evil\.example"/);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test.each(["/v1/models", "/health", "/livez", "/nowhere"])("are kept from %s too", async (path) => {
    const port = gateway.gateway.port;
    const get = (headers: readonly string[]) => rawStatus([`GET ${path} HTTP/1.1`, ...headers]);
    expect(await get([`host: evil.example:${port}`])).toBe(403);
    expect(await get([`host: 127.0.0.1:${port}`, "origin: null"])).toBe(403);
    expect(await get([`host: 127.0.0.1:${port}`])).toBe(path === "/nowhere" ? 404 : 200);
  });

  test("a preflight gives nothing away", async () => {
    const response = await fetch(`${gateway.url}/v1/messages`, {
      method: "OPTIONS",
      headers: { origin: "http://evil.example", "access-control-request-method": "POST" },
    });
    expect(response.status).toBe(403);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("what agents probe for", () => {
  test.each(["/", "/v1/messages", "/anything/at/all"])("HEAD %s is 200 without a body", async (path) => {
    const response = await fetch(gateway.url + path, { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe("");
  });

  test("a WebSocket is told to come by POST", async () => {
    const status = await rawStatus([
      "GET /v1/responses HTTP/1.1",
      "host: 127.0.0.1",
      "connection: Upgrade",
      "upgrade: websocket",
      "sec-websocket-version: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ]);
    expect(status).toBe(426);
  });

  test.each([
    ["GET", "/v1/responses", "responses"],
    ["GET", "/v1/messages", "messages"],
    ["GET", "/", "chat"],
    ["POST", "/api/show", "chat"],
    ["GET", "/api/tags", "chat"],
    ["GET", "/props", "chat"],
    ["GET", "/version", "chat"],
  ] as const)("%s %s is a plain 404", async (method, path, protocol) => {
    const response = await fetch(gateway.url + path, { method });
    await expectError(protocol, response, 404, new RegExp(`^${method} ${path} is not served here$`));
  });

  test.each([
    ["/v1/v1/messages", "messages"],
    ["/v1/v1/responses", "responses"],
    ["/v1/v1/chat/completions", "chat"],
  ] as const)("POST %s says what is wrong with the base URL", async (path, protocol) => {
    const response = await fetch(gateway.url + path, { method: "POST", body: "{}" });
    await expectError(protocol, response, 404, /has \/v1 twice: take it off the base URL/);
  });

  test("the models stand in both shapes", async () => {
    const ids = ["clutch-big", "clutch-middle", "clutch-small", "chat:good-chat", "coder-model"];
    const openai = await fetch(`${gateway.url}/v1/models?limit=1000`);
    expect(await openai.json()).toEqual({
      object: "list",
      data: ids.map((id) => ({ id, object: "model", created: 0, owned_by: "clutch" })),
    });
    const anthropic = await fetch(`${gateway.url}/v1/models`, { headers: { "anthropic-version": "2023-06-01" } });
    expect(await anthropic.json()).toMatchObject({
      data: ids.map((id) => ({ type: "model", id, display_name: id })),
      has_more: false,
      first_id: "clutch-big",
      last_id: "coder-model",
    });
  });

  test("health and life tell what is going on", async () => {
    const health = await fetch(`${gateway.url}/health`);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({
      status: "ok",
      service: "clutch",
      pid: process.pid,
      in_flight: 0,
      problems: [],
    });
    expect(await (await fetch(`${gateway.url}/livez`)).json()).toEqual({ status: "ok", in_flight: 0, draining: false });
  });
});
