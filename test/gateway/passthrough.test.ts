import { describe, expect, test } from "bun:test";
import type { Protocol } from "../../src/protocols/chat.ts";
import { emptyStreamed, ledgerUsage, paths, pieces, protocols, streamed, whole } from "../support/answers.ts";
import { json, type Reply, sse, startFakeUpstream } from "../support/fake-upstream.ts";
import { startTestGateway, upstreamKey } from "../support/gateway.ts";

/** Bytes no serialiser would write: odd spacing and numbers, unknown fields, a `model` inside, and one in a text. */
function oddRequest(protocol: Protocol, stream: boolean, padding: number): string {
  const pad = "x".repeat(padding);
  const said = String.raw`[ {"role":"user", "content":"say \"model\": \u00e9 ${pad}"} ]`;
  const rest = protocol === "responses" ? `"input":${said}` : `"messages":${said},"max_tokens" : 64`;
  return `{ "metadata":{"model":"inner"},\n\t"x_unknown": [1, 2.50, 1e3, {}], "model" :"${protocol}:good" ,"stream":${stream}, ${rest},"a":null }\n`;
}

/** Also bytes that no decoder of ours knows. */
const oddWhole = (protocol: Protocol) =>
  `  ${JSON.stringify({ ...whole[protocol], x_new: { deep: [1.5] } }, undefined, 3)}\n`;

const oddStream = (protocol: Protocol) => {
  const unknown = protocol === "chat" ? ": comment\n\n" : 'event: brand_new\ndata:  {"type":"brand_new" , "n":1.0}\n\n';
  const { opening, words, ending } = pieces[protocol];
  return `${opening}${unknown}${words("Grüße ", "🎉!")}${ending}`;
};

/** Odd cuts: through names, numbers and the bytes of one character. */
function cutUp(stream: string): Uint8Array[] {
  const bytes = Buffer.from(stream);
  const sizes = [1, 7, 2, 90, 3, 1, 200, 5];
  const slices: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    slices.push(bytes.subarray(at, at + size));
    at += size;
  }
  return slices;
}

function wholeReply(protocol: Protocol): Reply {
  const reply = json(null, 200, { "request-id": "req_up", "x-ratelimit-remaining": "7", "set-cookie": "a=b" });
  const body = oddWhole(protocol);
  const headers = { ...reply.head?.headers, "content-length": String(Buffer.byteLength(body)) };
  return { ...reply, head: { status: 200, headers }, body: [body] };
}

describe.each(protocols)("%s to an upstream of the same protocol", (protocol) => {
  describe.each([
    ["small", 0],
    ["agent-sized", 40_000],
  ])("a %s request", (_size, padding) => {
    test.each([false, true])("keeps every byte both ways, streamed: %p", async (stream) => {
      const reply = stream ? sse(cutUp(oddStream(protocol))) : wholeReply(protocol);
      await using gateway = await startTestGateway({ replies: { good: reply } });
      const sent = oddRequest(protocol, stream, padding);
      const response = await fetch(`${gateway.url}${paths[protocol]}?beta=true&x=%20y`, { method: "POST", body: sent });

      expect(response.status).toBe(200);
      expect(await response.text()).toBe(stream ? oddStream(protocol) : oddWhole(protocol));
      const [received] = gateway.upstream.requests;
      expect(received?.text).toBe(sent.replace(`${protocol}:good`, "good"));
      expect(received?.path).toBe(`${paths[protocol]}?beta=true&x=%20y`);
      expect(gateway.upstream.requests).toHaveLength(1);
    });
  });

  test("keeps the bytes of a model that is already named as the upstream names it", async () => {
    await using gateway = await startTestGateway({
      replies: { "vendor/model": wholeReply(protocol) },
      config: { default_provider: protocol },
    });
    const sent = oddRequest(protocol, false, 0).replace(`${protocol}:good`, "vendor/model");
    await fetch(gateway.url + paths[protocol], { method: "POST", body: sent });
    expect(gateway.upstream.requests[0]?.text).toBe(sent);
  });

  test.each([false, true])("says who answered, and accounts for it, streamed: %p", async (stream) => {
    await using gateway = await startTestGateway({
      replies: { good: stream ? sse([streamed(protocol)]) : wholeReply(protocol) },
    });
    const response = await gateway.ask(protocol, `${protocol}:good`, stream, {
      headers: { authorization: "Bearer xx-cip-launch1", "x-claude-code-session-id": "session-1" },
    });
    await response.text();
    const id = response.headers.get("x-clutch-request-id");
    expect(id).toMatch(/^[a-z0-9]{14}$/);
    expect(response.headers.get("x-clutch-served-by")).toBe(`${protocol}:good`);
    expect(response.headers.get("x-clutch-attempts")).toBe("1");
    expect(response.headers.get("content-type")).toBe(stream ? "text/event-stream; charset=utf-8" : "application/json");
    expect(response.headers.get("set-cookie")).toBeNull();
    if (!stream) {
      expect(response.headers.get("request-id")).toBe("req_up");
      expect(response.headers.get("x-ratelimit-remaining")).toBe("7");
    }

    const row = await gateway.request(id);
    expect(row).toMatchObject({
      ...ledgerUsage,
      status: "completed",
      protocol,
      streamed: stream ? 1 : 0,
      agent: "c",
      code: "cip",
      launch_id: "launch1",
      session: "session-1",
      model_requested: `${protocol}:good`,
      rule: "reference",
      served_by: `${protocol}:good`,
      attempts: 1,
      http_status: 200,
      error: null,
      usage_estimated: 0,
      cost_usd: null,
    });
    expect(row["first_token_ms"]).toBeNumber();
    expect(row["duration_ms"]).toBeNumber();
    expect(await gateway.attempts(id)).toMatchObject([
      { number: 1, provider: protocol, model: "good", protocol, failure_kind: null, http_status: null },
    ]);
  });

  test("sends the upstream its own key and nothing of the launch", async () => {
    await using gateway = await startTestGateway({ replies: { good: wholeReply(protocol) } });
    const tokens: Record<string, string>[] = [
      { authorization: "Bearer xx-cip-launch1-secret" },
      { "x-api-key": "xx-cip-launch1-secret" },
      { authorization: "Bearer xx-cip-launch1-secret", "x-clutch-launch": "xx-cip-launch1-secret", cookie: "a=b" },
    ];
    for (const headers of tokens) {
      const response = await gateway.ask(protocol, `${protocol}:good`, false, {
        headers: { ...headers, "anthropic-beta": "one,two", "user-agent": "agent/1", "x-stainless-os": "Linux" },
      });
      expect(response.status).toBe(200);
    }
    expect(gateway.upstream.requests).toHaveLength(tokens.length);
    for (const { headers } of gateway.upstream.requests) {
      expect(JSON.stringify(headers)).not.toContain("launch1");
      // The upstream here is on this machine, and could be a gateway that leads back.
      expect(Object.keys(headers).filter((name) => name.startsWith("x-clutch"))).toEqual(["x-clutch-hop"]);
      expect(headers["cookie"]).toBeUndefined();
      expect(protocol === "messages" ? headers["x-api-key"] : headers["authorization"]).toBe(
        protocol === "messages" ? upstreamKey : `Bearer ${upstreamKey}`,
      );
      expect(headers).toMatchObject({ "anthropic-beta": "one,two", "user-agent": "agent/1" });
      expect(headers["anthropic-version"]).toBe(protocol === "messages" ? "2023-06-01" : undefined);
    }
  });

  test("hands on an empty answer of the only candidate, whole and streamed", async () => {
    await using gateway = await startTestGateway({ replies: { good: sse([emptyStreamed[protocol]]) } });
    const response = await gateway.ask(protocol, `${protocol}:good`, true);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(emptyStreamed[protocol]);
  });
});

describe("an agent's own login", () => {
  const headers = { authorization: "Bearer sk-ant-oat-own", "x-clutch-launch": "xx-cib-launch1", "x-app": "cli" };

  test("goes to its own vendor, without anything of ours", async () => {
    const vendor = await startFakeUpstream({ "claude-opus-5-5": json(whole.messages) });
    await using gateway = await startTestGateway({
      replies: {},
      config: { providers: { anthropic: { api_key: "sk-ours" } }, default_provider: "anthropic" },
      fetch: (url, init) => fetch(url.replace("https://api.anthropic.com", `http://127.0.0.1:${vendor.port}`), init),
    });
    const response = await gateway.ask("messages", "claude-opus-5-5", false, { headers });
    await vendor.stop();
    expect(response.status).toBe(200);
    const sent = vendor.requests[0]?.headers ?? {};
    expect(sent["authorization"]).toBe("Bearer sk-ant-oat-own");
    expect(sent["x-api-key"]).toBeUndefined();
    expect(sent["x-app"]).toBe("cli");
    expect(JSON.stringify(sent)).not.toMatch(/launch1|sk-ours|x-clutch/);
  });

  test("goes nowhere else, not even to what the config has put in its vendor's place", async () => {
    const other = await startFakeUpstream({ "claude-opus-5-5": json(whole.messages) });
    await using gateway = await startTestGateway({
      replies: {},
      config: {
        providers: { anthropic: { base_url: `http://127.0.0.1:${other.port}`, api_key: "sk-ours" } },
        default_provider: "anthropic",
      },
    });
    await gateway.ask("messages", "claude-opus-5-5", false, { headers });
    await other.stop();
    expect(other.requests[0]?.headers["x-api-key"]).toBe("sk-ours");
    expect(JSON.stringify(other.requests[0]?.headers)).not.toMatch(/sk-ant-oat-own|launch1/);
  });
});
