import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Captures } from "../../src/gateway/capture.ts";
import { type CapturedBodies, captureQueries } from "../../src/store/captures.ts";
import { openStore } from "../../src/store/open.ts";
import { protocols, requestBody, streamed, whole } from "../support/answers.ts";
import { json, sse } from "../support/fake-upstream.ts";
import { eventually, makeHome, startServe, startTestGateway, upstreamKey, writeConfig } from "../support/gateway.ts";
import { runClutch } from "../support/run-clutch.ts";

const replies = {
  messages: [json(whole.messages), sse([streamed("messages")])],
  chat: [json(whole.chat), sse([streamed("chat")])],
  responses: [json(whole.responses), sse([streamed("responses")])],
  broken: json({ error: { message: "out of order" } }, 500),
  // What was sent before it is cut is with the client by then.
  cut: () => sse([streamed("chat").slice(0, streamed("chat").indexOf('"stop"')), Bun.sleep(300)], "cut"),
};

interface Bodies {
  id: string;
  protocol: string;
  headers: Record<string, string>;
  request: { messages?: { content: string }[] } | null;
  response: unknown;
  requestBytes: number;
  responseBytes: number;
}

async function bodiesOf(home: string, id: string): Promise<Bodies> {
  const { code, stdout, stderr } = await runClutch(home, ["requests", "show", id, "--bodies"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Bodies;
}

async function capture(url: string, body: object): Promise<{ mode: string; captured: number; until: string | null }> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`${url}/admin/capture`, init);
  expect(response.status).toBe(200);
  return (await response.json()) as { mode: string; captured: number; until: string | null };
}

const inAnHour = () => Date.now() + 3_600_000;

describe("bodies", () => {
  test("are not kept until somebody asks for it, and no longer than that", async () => {
    await using gateway = await startTestGateway({ replies: { chat: json(whole.chat) } });
    const ask = async () => (await gateway.ask("chat", "chat:chat", false)).headers.get("x-clutch-request-id") ?? "";
    const before = await ask();
    await gateway.request(before);
    expect(await capture(gateway.url, { what: "all", until: inAnHour() })).toMatchObject({ mode: "all", captured: 0 });
    const during = await ask();
    await gateway.request(during);
    expect(await capture(gateway.url, { what: "off" })).toMatchObject({ mode: "off", until: null, captured: 1 });
    const after = await ask();
    await gateway.request(after);
    expect((await bodiesOf(gateway.home, during)).id).toBe(during);
    for (const id of [before, after]) {
      const { code, stderr } = await runClutch(gateway.home, ["requests", "show", id, "--bodies"]);
      expect([code, stderr]).toEqual([1, expect.stringContaining("clutch requests capture on --for 1h")]);
    }
    const { stdout } = await runClutch(gateway.home, ["requests", "show", during, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ captured: true });
    await gateway.stop(0);
  });

  test.each(protocols.flatMap((protocol) => [[protocol, false] as const, [protocol, true] as const]))(
    "of %s, streamed %p: what was asked and what the client got",
    async (protocol, stream) => {
      await using gateway = await startTestGateway({
        replies: { [protocol]: stream ? sse([streamed(protocol)]) : json(whole[protocol]) },
      });
      await capture(gateway.url, { what: "all", until: inAnHour() });
      const response = await gateway.ask(protocol, `${protocol}:${protocol}`, stream, {
        headers: { "anthropic-beta": "one,two", "x-secret": "planted", cookie: "planted" },
      });
      const got = await response.text();
      const id = response.headers.get("x-clutch-request-id") ?? "";
      await gateway.request(id);
      await capture(gateway.url, { what: "off" });
      const bodies = await bodiesOf(gateway.home, id);
      expect(bodies.protocol).toBe(protocol);
      expect(bodies.request).toEqual(
        JSON.parse(JSON.stringify(requestBody(protocol, `${protocol}:${protocol}`, stream))),
      );
      expect(stream ? bodies.response : JSON.stringify(bodies.response)).toEqual(
        stream ? got : JSON.stringify(JSON.parse(got)),
      );
      expect(bodies.headers).toEqual({ "user-agent": expect.any(String), "anthropic-beta": "one,two" });
      expect(bodies.responseBytes).toBe(Buffer.byteLength(got));
    },
  );

  test("are there for whoever sees in the ledger that the request has ended", async () => {
    await using gateway = await startTestGateway({ replies: { chat: json(whole.chat) } });
    await capture(gateway.url, { what: "all", until: inAnHour() });
    const response = await gateway.ask("chat", "chat:chat", false);
    await response.text();
    const id = response.headers.get("x-clutch-request-id") ?? "";
    await gateway.request(id);
    using ledger = new Database(join(gateway.home, "clutch.db"), { readonly: true });
    expect(ledger.query("SELECT request_id FROM captures").all()).toEqual([{ request_id: id }]);
  });

  test.each([false, true])("of a request that is let go of when it is answered, streamed %p", async (stream) => {
    const content = "a conversation of some length ".repeat(2_000);
    await using gateway = await startTestGateway({
      replies: { chat: stream ? sse([streamed("chat")]) : json(whole.chat) },
    });
    await capture(gateway.url, { what: "all", until: inAnHour() });
    const messages = [{ role: "user", content }];
    const response = await gateway.ask("chat", "chat:chat", stream, { body: { messages } });
    await response.text();
    const id = response.headers.get("x-clutch-request-id") ?? "";
    await gateway.request(id);
    expect((await bodiesOf(gateway.home, id)).request).toMatchObject({ model: "chat:chat", messages });
  });

  test("of failures alone, where only these are asked for", async () => {
    await using gateway = await startTestGateway({
      replies: { ...replies, chat: json(whole.chat) },
      timeouts: { patience_ms: 50 },
    });
    await capture(gateway.url, { what: "errors", until: inAnHour() });
    const ids: string[] = [];
    for (const [model, stream] of [
      ["chat:chat", false],
      ["chat:broken", false],
      ["chat:cut", true],
    ] as const) {
      const response = await gateway.ask("chat", model, stream);
      await response.text().catch(() => "");
      ids.push(response.headers.get("x-clutch-request-id") ?? "");
      await gateway.request(ids.at(-1) ?? "");
    }
    expect(await capture(gateway.url, { what: "off" })).toMatchObject({ captured: 2 });
    expect((await bodiesOf(gateway.home, ids[1] ?? "")).response).toBeNull();
    expect((await bodiesOf(gateway.home, ids[2] ?? "")).response).toContain("data: ");
  });

  test("have no key in them, wherever it stands", async () => {
    await using gateway = await startTestGateway({ replies: { chat: json(whole.chat) } });
    await capture(gateway.url, { what: "all", until: inAnHour() });
    const launch = "xx-cip-k3j9aa11-AbCdEfGhIjKlMnOpQrSt";
    const planted = [upstreamKey, launch, "sk-or-v1-0123456789abcdef0123"];
    const content = `my .env: KEY=${planted.join(" and ")}; curl -H "Authorization: Bearer abcdefgh12345678"`;
    const response = await gateway.ask("chat", "chat:chat", false, {
      body: { messages: [{ role: "user", content }] },
      headers: { authorization: `Bearer ${launch}`, "user-agent": `agent ${upstreamKey}` },
    });
    await response.text();
    const id = response.headers.get("x-clutch-request-id") ?? "";
    await gateway.request(id);
    await capture(gateway.url, { what: "off" });
    const told = JSON.stringify(await bodiesOf(gateway.home, id));
    for (const secret of [upstreamKey, "AbCdEfGhIjKl", "0123456789abcdef", "abcdefgh12345678"]) {
      expect(told).not.toContain(secret);
    }
    expect(told).toContain("my .env: KEY=(hidden) and xx-cip-k3j9aa11-(hidden) and (hidden);");
  });

  test.each([[{}], [{ what: "some", until: 5 }], [{ what: "all" }], [{ what: "all", until: "soon" }], ["x"]])(
    "are not switched by %j",
    async (body) => {
      await using gateway = await startTestGateway({ replies: {} });
      const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      expect((await fetch(`${gateway.url}/admin/capture`, init)).status).toBe(400);
      expect(await (await fetch(`${gateway.url}/admin/capture`)).json()).toMatchObject({ mode: "off" });
    },
  );
});

describe("Captures", () => {
  const home = makeHome();
  const make = (name: string, now: () => number, fields: { fails?: () => boolean } = {}) => {
    const store = openStore(join(home, `${name}.db`));
    const queries = captureQueries(store.db);
    const errors: string[] = [];
    const save = async (bodies: readonly CapturedBodies[]) => {
      if (fields.fails?.() === true) throw new Error("disk full");
      return queries.save(bodies);
    };
    const captures = new Captures({
      queries: { ...queries, save },
      now,
      hide: (text) => text,
      stateDir: join(home, name),
      onError: (reason) => errors.push(reason),
    });
    return { captures, queries, errors, store };
  };
  const begin = (captures: Captures, id: string, bytes: number, now: number) =>
    captures.begin(id, "chat", Buffer.alloc(bytes, "x"), new Headers(), "", now);

  test("end by themselves, outlive a restart, and are off when the file is no mode", () => {
    let now = 1_000;
    const first = make("time", () => now);
    expect(begin(first.captures, "a", 10, now)).toBeUndefined();
    first.captures.set({ what: "all", until: 5_000 });
    expect(begin(first.captures, "b", 10, now)).toBeDefined();
    first.store.close();
    const second = make("time", () => now);
    expect(begin(second.captures, "c", 10, now)).toBeDefined();
    now = 5_000;
    expect(begin(second.captures, "d", 10, now)).toBeUndefined();
    second.store.close();
    writeFileSync(join(home, "time/capture.json"), '{"what":"all","until":"never"}');
    const third = make("time", () => now);
    expect(begin(third.captures, "e", 10, now)).toBeUndefined();
    third.captures.set(undefined);
    expect(existsSync(join(home, "time/capture.json"))).toBe(false);
    third.store.close();
  });

  test("keep the length of what is too large, and not the rest", async () => {
    const { captures, queries, store } = make("large", () => 1_000);
    captures.set({ what: "all", until: 5_000 });
    const large = begin(captures, "large", 5 * 1024 * 1024, 1_000);
    for (let chunk = 0; chunk < 50; chunk++) large?.write(Buffer.alloc(100_000));
    captures.ended({ id: "large", status: "completed" });
    captures.ended({ id: "never-begun", status: "completed" });
    await captures.flush();
    expect(await queries.find("large")).toMatchObject({
      request: undefined,
      requestBytes: 5 * 1024 * 1024,
      response: undefined,
      responseBytes: 5_000_000,
    });
    expect(await queries.find("never-begun")).toBeUndefined();
    store.close();
  });

  test("are lost when the disk refuses them, which is told once", async () => {
    let fails = true;
    const { captures, queries, errors, store } = make("full", () => 1_000, { fails: () => fails });
    captures.set({ what: "all", until: 5_000 });
    for (const id of ["a", "b", "c"]) {
      begin(captures, id, 10, 1_000);
      captures.ended({ id, status: "completed" });
      await captures.report();
      fails = id === "a";
    }
    expect(errors).toEqual(["captured bodies cannot be written (disk full): they are lost, requests go on"]);
    expect([await queries.find("a"), (await queries.find("c"))?.requestBytes]).toEqual([undefined, 10]);
    store.close();
  });

  test("make room by the oldest, and forget what is too old", async () => {
    const { queries, store } = make("room", () => 0);
    const random = () => Buffer.from(crypto.getRandomValues(new Uint8Array(30_000))).toString("hex");
    for (const at of [1, 2, 3, 4]) {
      const bodies = { request: random(), requestBytes: 60_000, response: undefined, responseBytes: 0 };
      await queries.save([{ requestId: `r${at}`, createdAt: at, protocol: "chat", query: "", headers: {}, ...bodies }]);
    }
    const { bytes } = await queries.sum();
    expect(await queries.keepWithin(bytes)).toBe(0);
    // Random bytes are packed to sizes that differ by a few.
    expect(await queries.keepWithin(bytes / 2 + 1000)).toBe(2);
    expect([await queries.find("r2"), (await queries.find("r3"))?.requestBytes]).toEqual([undefined, 60_000]);
    expect(await queries.forgetBefore(4)).toBe(1);
    expect((await queries.sum()).count).toBe(1);
    store.close();
    rmSync(home, { recursive: true });
  });
});

describe("clutch requests capture", () => {
  test("switches the running gateway, and outlives its restart", async () => {
    const home = makeHome();
    writeConfig(home, { server: { port: 0 } });
    const first = await startServe({ home });
    const port = { CLUTCH_PORT: new URL(first.url).port };
    const on = await runClutch(home, ["requests", "capture", "on", "--for", "2h", "--errors"], port);
    expect([on.code, on.stdout]).toEqual([
      0,
      expect.stringMatching(/^bodies of requests that fail are captured until .* UTC, without keys; 0 requests kept/),
    ]);
    first.kill("SIGTERM");
    await first.exited;
    const second = await startServe({ home });
    const again = { CLUTCH_PORT: new URL(second.url).port };
    const status = await runClutch(home, ["requests", "capture", "--json"], again);
    expect(JSON.parse(status.stdout)).toMatchObject({ mode: "errors", source: "gateway", captured: 0 });
    const off = await runClutch(home, ["requests", "capture", "off"], again);
    expect(off.stdout).toBe("bodies are not captured; 0 requests kept (0 KB)\n");
    second.kill("SIGTERM");
    await second.exited;
    rmSync(home, { recursive: true });
  });

  test("without a gateway waits for it", async () => {
    const home = makeHome();
    const on = await runClutch(home, ["requests", "capture", "on"], { CLUTCH_PORT: "1" });
    expect(on.stdout).toMatch(/^bodies of all requests .*\nit begins with the gateway: no gateway answers/);
    const mode = JSON.parse(readFileSync(join(home, "state/capture.json"), "utf8"));
    expect(mode).toMatchObject({ what: "all" });
    expect(mode.until - Date.now()).toBeWithin(3_500_000, 3_600_001);
    await eventually("it to be off", async () => {
      await runClutch(home, ["requests", "capture", "off"], { CLUTCH_PORT: "1" });
      return !existsSync(join(home, "state/capture.json"));
    });
    rmSync(home, { recursive: true });
  });

  test.each([
    [["maybe"], "Allowed choices are on, off, status"],
    [["on", "--for", "8d"], '--for is "8d", which is no span of up to 7 days'],
    [["on", "--for", "long"], '--for is "long"'],
    [["off", "--errors"], "--for and --errors belong to capture on"],
  ])("%p is wrong use", async (args, message) => {
    const home = makeHome();
    const { code, stderr } = await runClutch(home, ["requests", "capture", ...args], { CLUTCH_PORT: "1" });
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
    rmSync(home, { recursive: true });
  });
});
