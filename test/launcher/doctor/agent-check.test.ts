import { describe, expect, test } from "bun:test";
import { classifyCredential, judge, type ModelCall, type Observation } from "../../../launcher/doctor/agent-check.ts";

const token = { header: "authorization", kind: "launch", shown: "xx-hnp-…" } as const;
const own = { header: "authorization", kind: "own", shown: "sk-or…" } as const;

const call: ModelCall = {
  path: "/v1/chat/completions",
  protocol: "chat",
  model: "clutch-big",
  credentials: [token],
  userAgent: "test",
  isStream: true,
  toolDialect: "plain",
  purpose: "task",
  atMs: 1,
};

const title: ModelCall = { ...call, model: "clutch-small", toolDialect: "none", purpose: "title" };

/** All is well. */
const observed: Observation = {
  agent: "Hermes",
  code: "hnp",
  route: "p",
  askedModel: "clutch-big",
  calls: [call],
  contacts: [],
  ending: { kind: "exit", status: 0 },
  hasAnswered: true,
  lastLine: "ready",
  durationMs: 1234.5,
  rivals: [],
  modelHosts: new Set(["openrouter.ai", "api.openai.com"]),
  traits: { shows: "anywhere", housekeeping: ["openrouter.ai", "pypi.org"] },
};

const well = {
  route: "p",
  verdict: "ok",
  destination: "canary",
  protocol: "chat",
  model: "clutch-big",
  key: "launch token",
  calls: 1,
  extra_calls: 0,
  extras: [],
  elsewhere: [],
  tool_dialect: "plain",
  duration_ms: 1235,
  fix: null,
};

const unseen = { destination: null, protocol: null, model: null, key: null, calls: 0, tool_dialect: null };

const https = (host: string) => ({ host, port: 443 });
const envFile = (...names: string[]) => [{ path: "~/.hermes/.env", names }];
const unexplained = "; no file that Clutch knows explains it: compare xx hnp -n with Hermes's own settings";

const rows: [name: string, observation: Partial<Observation>, check: Record<string, unknown>][] = [
  ["all is well", {}, {}],
  [
    "extra calls are counted and are no fault",
    { calls: [title, call, { ...call, purpose: "memory" }, { ...call }] },
    {
      calls: 4,
      extra_calls: 3,
      extras: [
        { purpose: "title", model: "clutch-small" },
        { purpose: "memory", model: "clutch-big" },
        { purpose: "again", model: "clutch-big" },
      ],
    },
  ],
  [
    "the usual contacts of an agent are no fault, though its vendor is among them",
    { contacts: [https("pypi.org"), https("openrouter.ai"), https("openrouter.ai")] },
    { elsewhere: ["pypi.org", "openrouter.ai"] },
  ],
  [
    "another provider besides the canary is one",
    { contacts: [https("api.openai.com")] },
    {
      verdict: "wrong-destination",
      destination: "canary, api.openai.com",
      fix: `Hermes asked the gateway, and api.openai.com besides${unexplained}`,
    },
  ],
  [
    "a call to the vendor alone, and the setting that does it",
    { calls: [], contacts: [https("openrouter.ai")], rivals: envFile("OPENROUTER_BASE_URL", "OPENROUTER_API_KEY") },
    {
      ...unseen,
      verdict: "wrong-destination",
      destination: "openrouter.ai",
      fix: "Hermes still talks to openrouter.ai because ~/.hermes/.env sets OPENROUTER_BASE_URL, which wins over the launch: take it out of that file",
    },
  ],
  [
    "an odd host tells more than the usual ones",
    { calls: [], contacts: [https("openrouter.ai"), { host: "localhost", port: 11434 }, https("pypi.org")] },
    {
      ...unseen,
      verdict: "wrong-destination",
      destination: "localhost:11434",
      elsewhere: ["openrouter.ai", "pypi.org"],
      fix: `Hermes still talks to localhost:11434${unexplained}`,
    },
  ],
  [
    "on route b the agent's own model may be out of reach",
    {
      route: "b",
      calls: [],
      contacts: [https("model.example.com")],
      rivals: [{ path: "~/.pi/settings.json", names: ["defaultProvider"] }],
      traits: { shows: "anywhere", housekeeping: [], ownModelLimit: "it is so: do this" },
    },
    {
      ...unseen,
      route: "b",
      verdict: "wrong-destination",
      destination: "model.example.com",
      fix: "Hermes still talks to model.example.com because ~/.pi/settings.json sets defaultProvider, and it is so: do this",
    },
  ],
  [
    "a base URL with /v1 too many",
    { calls: [{ ...call, path: "/v1/v1/chat/completions" }] },
    {
      verdict: "wrong-destination",
      destination: "canary/v1/v1/chat/completions",
      fix: `Hermes asked for /v1/v1/chat/completions in place of /v1/chat/completions${unexplained}`,
    },
  ],
  [
    "a key of the user's",
    { calls: [{ ...call, credentials: [own] }], rivals: envFile("OPENROUTER_API_KEY") },
    {
      verdict: "wrong-key",
      key: "own authorization sk-or…",
      fix: "Hermes sent a key of yours (authorization sk-or…) in place of the launch's because ~/.hermes/.env sets OPENROUTER_API_KEY, which wins over the launch: take it out of that file",
    },
  ],
  [
    "a key of the user's beside the token is one on route p",
    { calls: [{ ...call, credentials: [token, { ...own, header: "x-api-key" }] }] },
    {
      verdict: "wrong-key",
      key: "launch token + own x-api-key sk-or…",
      fix: `Hermes sent a key of yours (x-api-key sk-or…) in place of the launch's${unexplained}`,
    },
  ],
  [
    "and the agent's own login on route b, where the token has a header of its own",
    {
      route: "b",
      askedModel: undefined,
      calls: [{ ...call, model: "its-own", credentials: [own, { ...token, header: "x-clutch-launch" }] }],
    },
    { route: "b", model: "its-own", key: "launch token + own authorization sk-or…" },
  ],
  [
    "on route b a login without the token is nobody's launch",
    { route: "b", calls: [{ ...call, credentials: [own] }] },
    {
      route: "b",
      verdict: "wrong-key",
      key: "own authorization sk-or…",
      fix: `Hermes sent a key of yours (authorization sk-or…) in place of the launch's${unexplained}`,
    },
  ],
  [
    "no key at all",
    { calls: [{ ...call, credentials: [] }] },
    { verdict: "wrong-key", key: "none", fix: `Hermes sent none in place of the launch's key${unexplained}` },
  ],
  [
    "nobody's key",
    { calls: [{ ...call, credentials: [classifyCredential("authorization", "Bearer no-key-required", "xx-hnp-a")] }] },
    {
      verdict: "wrong-key",
      key: "no-key-required",
      fix: `Hermes sent no-key-required in place of the launch's key${unexplained}`,
    },
  ],
  [
    "another model than the launch names",
    { calls: [{ ...call, model: "coder-model" }] },
    {
      verdict: "wrong-model",
      model: "coder-model",
      fix: `Hermes asked for coder-model in place of clutch-big for the task${unexplained}`,
    },
  ],
  [
    "an extra call on a model that is none of the gateway's",
    { calls: [call, { ...title, model: "gpt-5.4-nano" }] },
    {
      verdict: "wrong-model",
      calls: 2,
      extra_calls: 1,
      extras: [{ purpose: "title", model: "gpt-5.4-nano" }],
      fix: `Hermes asked for gpt-5.4-nano in place of clutch-big for a call of its own (title)${unexplained}`,
    },
  ],
  [
    "any model where the launch names none",
    { askedModel: undefined, calls: [{ ...call, model: "claude-opus-5-5" }] },
    { model: "claude-opus-5-5" },
  ],
  [
    "nothing seen",
    { calls: [], hasAnswered: false, ending: { kind: "exit", status: 1 }, lastLine: "Error: not configured" },
    {
      ...unseen,
      verdict: "nothing-seen",
      fix: "nothing seen (a call to another server would have shown); Hermes failed with status 1 and said: Error: not configured",
    },
  ],
  [
    "nothing seen of an agent that nobody has measured, with a suspect",
    {
      calls: [],
      hasAnswered: false,
      lastLine: undefined,
      rivals: envFile("CUSTOM_BASE_URL"),
      traits: { shows: undefined, housekeeping: [] },
    },
    {
      ...unseen,
      verdict: "nothing-seen",
      fix: "nothing seen (whether a call of Hermes to another server would show is not known); Hermes ended without the answer and printed nothing, perhaps because ~/.hermes/.env sets CUSTOM_BASE_URL, which wins over the launch: take it out of that file",
    },
  ],
  [
    "an answer that does not come out, with status 0",
    { hasAnswered: false, lastLine: "API call failed after 3 retries" },
    {
      verdict: "failed",
      fix: "the gateway was asked as it should be, but Hermes ended without the answer and said: API call failed after 3 retries",
    },
  ],
  [
    "an agent that does not end",
    { ending: { kind: "limit", limitMs: 60_000 }, lastLine: undefined },
    {
      verdict: "failed",
      fix: "the gateway was asked as it should be, but Hermes did not end within 60 s and printed nothing",
    },
  ],
];

describe("judge()", () => {
  test.each(rows)("%s", (_name, observation, check) => {
    expect(judge({ ...observed, ...observation })).toEqual({ ...well, ...check } as never);
  });
});

describe("classifyCredential() never keeps a key", () => {
  test.each([
    ["Bearer xx-hnp-abc123", { header: "h", kind: "launch", shown: "xx-hnp-…" }],
    ["xx-cip-zzz999-topsecret", { header: "h", kind: "leftover", shown: "xx-cip-…" }],
    ["Bearer sk-ant-api03-abcdefghijklmnop", { header: "h", kind: "own", shown: "sk-an…" }],
    ["short", { header: "h", kind: "own", shown: "…" }],
  ] as const)("%s", (value, credential) => {
    expect(classifyCredential("h", value, "xx-hnp-abc123")).toEqual(credential);
  });
});
