import { describe, expect, test } from "bun:test";
import { buildProviders, type Provider } from "../../providers/registry.ts";
import { buildUpstreamHeaders, buildUpstreamUrl, type UpstreamHeadersInput } from "../../providers/request.ts";
import { parseConfig } from "../../src/config/schema.ts";

const providers = buildProviders(
  parseConfig(
    {
      providers: {
        headed: {
          base_url: "http://h/v1",
          api_key: "k",
          headers: { "X-Team": "a", Authorization: "Custom z", Accept: "text/plain" },
        },
        azure: { base_url: "https://acme.openai.azure.com", query: { "api-version": "preview" } },
      },
    },
    "c.json",
  ),
  () => "sk-ours",
);

function named(id: string): Provider {
  const provider = providers.get(id);
  if (provider === undefined) throw new Error(`no ${id}`);
  return provider;
}

/** Everything that must not travel, beside what may. */
const fromAgent = {
  authorization: "Bearer xx-cip-launch1-secret",
  "x-api-key": "xx-cip-launch1-secret",
  "x-clutch-launch": "xx-cib-launch1",
  cookie: "session=1",
  host: "127.0.0.1:8082",
  connection: "keep-alive",
  "content-length": "999",
  "content-encoding": "gzip",
  "transfer-encoding": "chunked",
  "accept-encoding": "br",
  accept: "*/*",
  "content-type": "text/plain",
  "proxy-authorization": "Basic x",
  te: "trailers",
  "x-stainless-os": "Linux",
  "x-codex-turn-metadata": "{}",
  "x-claude-code-session-id": "s1",
  "session-id": "s2",
  "x-forwarded-for": "1.2.3.4",
  "user-agent": "claude-cli/2.1",
  "anthropic-beta": "context-management-2025-06-27",
  "anthropic-version": "2024-01-01",
  "openai-beta": "responses=v1",
  "x-codex-beta-features": "x",
};

const always = { "content-type": "application/json", "accept-encoding": "identity" };
const whole = { ...always, accept: "application/json" };
const streamed = { ...always, accept: "text/event-stream" };
const forwarded = {
  "user-agent": "claude-cli/2.1",
  "anthropic-beta": "context-management-2025-06-27",
  "anthropic-version": "2024-01-01",
  "openai-beta": "responses=v1",
  "x-codex-beta-features": "x",
};
const attribution = { "x-openrouter-title": "Clutch", "x-openrouter-categories": "cli-agent" };
const bearer = { authorization: "Bearer sk-ours" };

type Ask = Omit<UpstreamHeadersInput, "provider" | "client">;

const ask = (protocol: Ask["protocol"], changes: Partial<Ask> = {}): Ask => ({
  protocol,
  sameProtocol: true,
  credential: "ours",
  stream: false,
  refusedBetas: [],
  ...changes,
});

describe("buildUpstreamHeaders() sends", () => {
  const other = { sameProtocol: false };
  const cases: [name: string, provider: string, ask: Ask, headers: Record<string, string>][] = [
    ["Messages to Anthropic", "anthropic", ask("messages"), { ...forwarded, "x-api-key": "sk-ours", ...whole }],
    [
      "Messages to OpenRouter with a bearer",
      "openrouter",
      ask("messages"),
      { ...forwarded, ...bearer, ...whole, ...attribution },
    ],
    [
      "the session to a provider that keeps it together",
      "openrouter",
      ask("chat", { ...other, sessionId: "s1" }),
      { ...bearer, ...whole, ...attribution, "x-session-id": "s1" },
    ],
    ["no session to one that does not", "openai", ask("chat", { ...other, sessionId: "s1" }), { ...bearer, ...whole }],
    [
      "no session that is no header",
      "fireworks",
      ask("chat", { ...other, sessionId: "a\r\nb" }),
      { ...bearer, ...whole },
    ],
    [
      "another key of the pool",
      "openai",
      ask("chat", { ...other, key: "sk-second" }),
      { authorization: "Bearer sk-second", ...whole },
    ],
    [
      "another key of the pool where Messages takes it",
      "anthropic",
      ask("messages", { ...other, key: "sk-second" }),
      { "anthropic-version": "2023-06-01", "x-api-key": "sk-second", ...whole },
    ],
    ["Azure's key in its own header", "azure", ask("responses", other), { "api-key": "sk-ours", ...whole }],
    [
      "a stream of Messages",
      "anthropic",
      ask("messages", { stream: true }),
      { ...forwarded, "x-api-key": "sk-ours", ...streamed },
    ],
    [
      "Messages for a client of another protocol",
      "anthropic",
      ask("messages", other),
      { "anthropic-version": "2023-06-01", "x-api-key": "sk-ours", ...whole },
    ],
    ["Chat", "openai", ask("chat"), { ...forwarded, ...bearer, ...whole }],
    ["Chat for a client of another protocol", "openai", ask("chat", other), { ...bearer, ...whole }],
    ["Responses", "openai", ask("responses", { stream: true }), { ...forwarded, ...bearer, ...streamed }],
    [
      "Responses for a client of another protocol",
      "openai",
      ask("responses", { ...other, stream: true }),
      { ...bearer, ...streamed },
    ],
    [
      "the config's headers over its own",
      "headed",
      ask("chat", other),
      { ...whole, "x-team": "a", authorization: "Custom z", accept: "text/plain" },
    ],
  ];
  test.each(cases)("%s", (_name, provider, input, headers) => {
    const client = new Headers(fromAgent);
    expect(buildUpstreamHeaders({ ...input, provider: named(provider), client })).toEqual(headers);
  });

  test("no credential at all to a provider without a key", () => {
    const provider = { ...named("ollama"), key: undefined };
    const client = new Headers(fromAgent);
    expect(buildUpstreamHeaders({ ...ask("messages", other), provider, client })).toEqual({
      "anthropic-version": "2023-06-01",
      ...whole,
    });
  });

  test("the API version that Messages needs when the client names none", () => {
    const client = new Headers({ "user-agent": "curl/8" });
    expect(buildUpstreamHeaders({ ...ask("messages"), provider: named("anthropic"), client })).toEqual({
      "user-agent": "curl/8",
      "anthropic-version": "2023-06-01",
      "x-api-key": "sk-ours",
      ...whole,
    });
  });

  test("the client's own login and headers to its own vendor, without what is ours or the connection's", () => {
    const client = new Headers({ ...fromAgent, authorization: "Bearer sk-ant-oat-1" });
    client.delete("x-api-key");
    const input = { ...ask("messages", { credential: "client", stream: true }), provider: named("anthropic"), client };
    expect(buildUpstreamHeaders(input)).toEqual({
      ...forwarded,
      authorization: "Bearer sk-ant-oat-1",
      "x-stainless-os": "Linux",
      "x-codex-turn-metadata": "{}",
      "x-claude-code-session-id": "s1",
      "session-id": "s2",
      "x-forwarded-for": "1.2.3.4",
      ...streamed,
    });
  });

  test("no key of ours beside the client's login, not even where it brought none", () => {
    const input = { ...ask("messages", { credential: "client" }), provider: named("anthropic"), client: new Headers() };
    expect(buildUpstreamHeaders(input)).toEqual(whole);
  });
});

describe("buildUpstreamHeaders() leaves out refused betas:", () => {
  const cases: [name: string, refused: string[], sent: string, kept: string | undefined][] = [
    ["the only one", ["a-2025-01-01"], "a-2025-01-01", undefined],
    ["one of several", ["b-2025-01-01"], "a-2025-01-01, b-2025-01-01,c-2025-01-01", "a-2025-01-01,c-2025-01-01"],
    ["none that was not sent", ["z-2025-01-01"], "a-2025-01-01,b-2025-01-01", "a-2025-01-01,b-2025-01-01"],
  ];
  test.each(cases)("%s", (_name, refusedBetas, sent, kept) => {
    const client = new Headers({ "anthropic-beta": sent });
    const input = { ...ask("messages", { refusedBetas }), provider: named("anthropic"), client };
    expect(buildUpstreamHeaders(input)["anthropic-beta"]).toBe(kept as string);
  });

  test("not from the client's own login, whose vendor shall say so itself", () => {
    const client = new Headers({ "anthropic-beta": "a-2025-01-01" });
    const changes = { credential: "client" as const, refusedBetas: ["a-2025-01-01"] };
    const input = { ...ask("messages", changes), provider: named("anthropic"), client };
    expect(buildUpstreamHeaders(input)["anthropic-beta"]).toBe("a-2025-01-01");
  });
});

describe("buildUpstreamUrl()", () => {
  const base = "https://api.anthropic.com/v1/messages";
  const cases: [name: string, sameProtocol: boolean, query: string, url: string][] = [
    ["adds the query for the same protocol", true, "?beta=true", `${base}?beta=true`],
    ["leaves it out for another protocol", false, "?beta=true", base],
    ["does without a query", true, "", base],
  ];
  test.each(cases)("%s", (_name, sameProtocol, query, url) => {
    expect(buildUpstreamUrl(named("anthropic"), "messages", sameProtocol, query)).toBe(url);
  });

  const azure = "https://acme.openai.azure.com/openai/v1/responses?api-version=preview";
  test.each([
    ["", azure],
    ["?beta=true", `${azure}&beta=true`],
  ])("puts the provider's own query before the client's %p", (query, url) => {
    expect(buildUpstreamUrl(named("azure"), "responses", true, query)).toBe(url);
  });

  test("has none for a protocol that the provider does not speak", () => {
    expect(buildUpstreamUrl(named("anthropic"), "chat", true, "?a=b")).toBeUndefined();
  });
});
