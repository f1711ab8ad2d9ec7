import { describe, expect, test } from "bun:test";
import { type FailureKind, reactions } from "../../providers/failure.ts";
import { explainFailure } from "../../src/explain/failure-words.ts";
import { renderMatches, renderWhy } from "../../src/explain/render-why.ts";
import { plainPaint } from "../../src/explain/table.ts";
import { explainRequest } from "../../src/explain/why.ts";
import type { Trail } from "../../src/gateway/trail.ts";
import type { AttemptRow, RequestRow } from "../../src/store/schema.ts";

const startedAt = Date.parse("2026-11-20T10:42:07Z");
const midnight = Date.parse("2026-11-21T00:00:00Z");

const answered: RequestRow = {
  id: "mwov5qkvcagp3g",
  startedAt,
  status: "completed",
  protocol: "messages",
  streamed: true,
  agent: "c",
  code: "cip",
  launchId: "k3j9",
  session: "1f3a-22",
  modelRequested: "claude-opus-5-5",
  rule: "tier BIG by family",
  trail: null,
  servedBy: "chat:good",
  attempts: 1,
  httpStatus: 200,
  error: null,
  inputTokens: 1200,
  cacheReadTokens: 20_000,
  cacheWriteTokens: 0,
  outputTokens: 350,
  reasoningTokens: 90,
  usageEstimated: false,
  costUsd: 0.00214,
  durationMs: 12_400,
  firstTokenMs: 2210,
};

const nothingCounted = {
  inputTokens: null,
  cacheReadTokens: null,
  cacheWriteTokens: null,
  outputTokens: null,
  reasoningTokens: null,
  usageEstimated: null,
  costUsd: null,
} as const;

/** An attempt that served, unless told otherwise. */
function attempt(number: number, provider: string, model: string, more: Partial<AttemptRow> = {}): AttemptRow {
  return {
    requestId: answered.id,
    number,
    provider,
    model,
    protocol: "chat",
    startedAt,
    durationMs: 100,
    failureKind: null,
    failureScope: null,
    httpStatus: null,
    message: null,
    retryAfterMs: null,
    ...more,
  };
}

interface Story {
  name: string;
  request?: Partial<RequestRow>;
  trail?: Trail;
  attempts: AttemptRow[];
  told: string;
}

const stories: Story[] = [
  {
    name: "a first candidate that answers",
    attempts: [attempt(1, "chat", "good", { startedAt: startedAt + 1, durationMs: 12_399 })],
    told: `
request mwov5qkvcagp3g was answered by chat:good in 12 s
  asked by     Claude Code (xx cip, launch k3j9), session 1f3a-22
  at           2026-11-20 10:42:07 UTC
  asked for    claude-opus-5-5 (messages, streamed)
  rule         tier BIG by family
  first token  after 2.2 s
  tokens       1,200 in, 20,000 from the prompt cache, 350 out (90 of them reasoning)
  cost         $0.00214

candidates, in the order they stood
  1  chat:good  answered  in attempt 1

attempts
  1  chat:good  after 1 ms  took 12 s
     answered`,
  },
  {
    name: "a cascade through a used up account, a broken stream, a repaired request",
    request: { servedBy: "other:picky", attempts: 3, agent: null, code: null, launchId: null, session: null },
    trail: {
      steps: [
        { rule: "launch tier", outcome: "none in the launch code" },
        { rule: "image", outcome: "no image in the newest turn" },
      ],
      candidates: [
        { target: "openrouter:a/b:free" },
        {
          target: "openrouter:c/d:free",
          reason: "the free models of openrouter are resting: used up",
          kind: "rate-limit",
          back: midnight,
        },
        { target: "local:small", reason: "it takes no tools", kind: "unsupported" },
        { target: "other:empty" },
        { target: "other:picky" },
        { target: "chat:good" },
      ],
      calls: [
        { target: "openrouter:a/b:free", at: 1, closed: { id: "free:openrouter", until: midnight } },
        { target: "other:empty", at: 310, key: "#2" },
        { target: "other:picky", at: 2000, repairs: ["left out top_k: it refused the request as it was"] },
      ],
      kept: "other:empty",
    },
    attempts: [
      attempt(1, "openrouter", "a/b:free", {
        startedAt: startedAt + 1,
        durationMs: 299,
        failureKind: "quota",
        failureScope: "account",
        httpStatus: 429,
        message: "Rate limit exceeded: free-models-per-day",
        retryAfterMs: midnight - startedAt - 300,
      }),
      attempt(2, "other", "empty", {
        startedAt: startedAt + 310,
        durationMs: 1690,
        failureKind: "empty",
        failureScope: "model",
        message: "the stream ended without any content",
      }),
      attempt(3, "other", "picky", { startedAt: startedAt + 2000, durationMs: 10_400 }),
    ],
    told: `
request mwov5qkvcagp3g was answered by other:picky in 12 s, after 2 failed attempts
  asked by     a client that did not say who it is
  at           2026-11-20 10:42:07 UTC
  asked for    claude-opus-5-5 (messages, streamed)
  rule         tier BIG by family
  not by       launch tier: none in the launch code
               image: no image in the newest turn
  first token  after 2.2 s
  tokens       1,200 in, 20,000 from the prompt cache, 350 out (90 of them reasoning)
  cost         $0.00214

candidates, in the order they stood
  1  openrouter:a/b:free  failed      in attempt 1
  2  openrouter:c/d:free  not asked   the free models of openrouter are resting: used up; back 00:00 UTC
  3  local:small          not asked   it takes no tools
  4  other:empty          failed      in attempt 2; asked first, since this session's prompt cache is there
  5  other:picky          answered    in attempt 3
  6  chat:good            not needed  an earlier one answered

attempts
  1  openrouter:a/b:free      after 1 ms    took 299 ms
     429: the account's free models are used up until 00:00 UTC
     it said: Rate limit exceeded: free-models-per-day
     that closed the free models of openrouter until 00:00 UTC
  2  other:empty with key #2  after 310 ms  took 1.7 s
     the answer had nothing in it
     in detail: the stream ended without any content
  3  other:picky              after 2.0 s   took 10 s
     answered
     left out top_k: it refused the request as it was`,
  },
  {
    name: "a race that the second wins, its loser recorded first",
    request: { rule: "default", costUsd: 0, attempts: 2 },
    trail: {
      candidates: [{ target: "chat:slow" }, { target: "chat:good" }],
      calls: [
        { target: "chat:slow", at: 0 },
        { target: "chat:good", at: 500, beside: true },
      ],
    },
    attempts: [
      attempt(1, "chat", "slow", {
        durationMs: 900,
        failureKind: "aborted",
        failureScope: "request",
        message: "another candidate was faster",
      }),
      attempt(2, "chat", "good", { startedAt: startedAt + 500, durationMs: 11_900 }),
    ],
    told: `
request mwov5qkvcagp3g was answered by chat:good in 12 s
  asked by     Claude Code (xx cip, launch k3j9), session 1f3a-22
  at           2026-11-20 10:42:07 UTC
  asked for    claude-opus-5-5 (messages, streamed)
  rule         default
  first token  after 2.2 s
  tokens       1,200 in, 20,000 from the prompt cache, 350 out (90 of them reasoning)
  cost         nothing

candidates, in the order they stood
  1  chat:slow  failed    in attempt 1
  2  chat:good  answered  in attempt 2

attempts
  1  chat:slow  after 0 ms    took 900 ms
     another candidate was faster
  2  chat:good  after 500 ms  took 12 s
     answered
     begun because the one before had said nothing yet`,
  },
  {
    name: "a request that nobody answered",
    request: {
      ...nothingCounted,
      status: "error",
      servedBy: null,
      streamed: false,
      httpStatus: 529,
      error: "no model answered. 1. chat:slow: 429 rate-limit: slow down",
      durationMs: 3050,
      firstTokenMs: null,
    },
    trail: {
      candidates: [{ target: "chat:slow", reason: "slow is resting: slow down", back: startedAt + 20_000 }],
      calls: [{ target: "chat:slow", at: 2, closed: { id: "model:chat:slow", until: startedAt + 20_000 } }],
      waited: 3000,
    },
    attempts: [
      attempt(1, "chat", "slow", {
        startedAt: startedAt + 2,
        durationMs: 5,
        failureKind: "rate-limit",
        failureScope: "model",
        httpStatus: 429,
        message: "slow down",
        retryAfterMs: 19_993,
      }),
    ],
    told: `
request mwov5qkvcagp3g was answered by nobody (3.0 s)
  asked by   Claude Code (xx cip, launch k3j9), session 1f3a-22
  at         2026-11-20 10:42:07 UTC
  asked for  claude-opus-5-5 (messages, whole)
  rule       tier BIG by family
  waited     3.0 s for a limit that was soon over
  error      no model answered. 1. chat:slow: 429 rate-limit: slow down

candidates, in the order they stood
  1  chat:slow  failed  in attempt 1

attempts
  1  chat:slow  after 2 ms  took 5 ms
     429: the model's limit is reached until 10:42:27 UTC
     it said: slow down
     that closed chat:slow until 10:42:27 UTC`,
  },
  {
    name: "a request that is refused for what it is, so that nobody else is asked",
    request: { ...nothingCounted, status: "error", servedBy: null, error: "bad", durationMs: 9, firstTokenMs: null },
    trail: {
      candidates: [{ target: "chat:strict" }, { target: "chat:good" }],
      calls: [{ target: "chat:strict", at: 0 }],
    },
    attempts: [
      attempt(1, "chat", "strict", {
        failureKind: "bad-request",
        failureScope: "request",
        httpStatus: 400,
        message: "messages: \u001b[31mmust not be empty",
        durationMs: 8,
      }),
    ],
    told: `
request mwov5qkvcagp3g was answered by nobody (9 ms)
  asked by   Claude Code (xx cip, launch k3j9), session 1f3a-22
  at         2026-11-20 10:42:07 UTC
  asked for  claude-opus-5-5 (messages, streamed)
  rule       tier BIG by family
  error      bad

candidates, in the order they stood
  1  chat:strict  failed     in attempt 1
  2  chat:good    not asked  the request itself was refused, so nobody else was asked

attempts
  1  chat:strict  after 0 ms  took 8 ms
     400: the request itself was refused, as every model would have to
     it said: messages: [31mmust not be empty`,
  },
  {
    name: "a request under way, its stream opened",
    request: {
      ...nothingCounted,
      status: "pending",
      servedBy: null,
      durationMs: null,
      firstTokenMs: null,
      attempts: 1,
    },
    trail: {
      candidates: [{ target: "chat:dead" }, { target: "chat:slow" }, { target: "chat:good" }],
      calls: [
        { target: "chat:dead", at: 0 },
        { target: "chat:slow", at: 40 },
      ],
      opened: 8000,
    },
    attempts: [
      attempt(1, "chat", "dead", {
        failureKind: "network",
        failureScope: "provider",
        message: "refused",
        durationMs: 40,
      }),
    ],
    told: `
request mwov5qkvcagp3g is under way for 42 s
  asked by   Claude Code (xx cip, launch k3j9), session 1f3a-22
  at         2026-11-20 10:42:07 UTC
  asked for  claude-opus-5-5 (messages, streamed)
  rule       tier BIG by family
  opened     the stream after 8.0 s, before anybody had answered, so that the agent keeps waiting

candidates, in the order they stood
  1  chat:dead  failed     in attempt 1
  2  chat:slow  asked now  is being asked
  3  chat:good  not asked  its turn has not come

attempts
  1  chat:dead  after 0 ms  took 40 ms
     the provider could not be reached, or the connection broke
     in detail: refused`,
  },
  {
    name: "an answer that the client left",
    request: { ...nothingCounted, status: "aborted", outputTokens: 4, usageEstimated: true, durationMs: 5000 },
    attempts: [
      attempt(1, "chat", "good", {
        failureKind: "aborted",
        failureScope: "request",
        message: "the client closed the connection",
        durationMs: 5000,
      }),
    ],
    told: `
request mwov5qkvcagp3g was broken off after 5.0 s: the client left
  asked by     Claude Code (xx cip, launch k3j9), session 1f3a-22
  at           2026-11-20 10:42:07 UTC
  asked for    claude-opus-5-5 (messages, streamed)
  rule         tier BIG by family
  first token  after 2.2 s
  tokens       ? in, 4 out (estimated: the upstream did not say)
  cost         unknown

candidates, in the order they stood
  1  chat:good  answered  was answering when the client left

attempts
  1  chat:good  after 0 ms  took 5.0 s
     the client left
     in detail: the client closed the connection`,
  },
  {
    name: "an answer by one that OpenRouter itself has turned to",
    request: { ...nothingCounted, servedBy: "openrouter:c/d", durationMs: 900, firstTokenMs: null },
    trail: {
      candidates: [{ target: "openrouter:a/b", others: ["openrouter:c/d", "openrouter:e/f"] }, { target: "chat:good" }],
      calls: [{ target: "openrouter:a/b", at: 3, repairs: ["left out top_k: it is known to refuse it otherwise"] }],
    },
    attempts: [attempt(1, "openrouter", "c/d", { startedAt: startedAt + 3, durationMs: 897 })],
    told: `
request mwov5qkvcagp3g was answered by openrouter:c/d in 900 ms
  asked by   Claude Code (xx cip, launch k3j9), session 1f3a-22
  at         2026-11-20 10:42:07 UTC
  asked for  claude-opus-5-5 (messages, streamed)
  rule       tier BIG by family

candidates, in the order they stood
  1  openrouter:a/b  answered    in attempt 1; OpenRouter itself could turn to openrouter:c/d, openrouter:e/f
  2  chat:good       not needed  an earlier one answered

attempts
  1  openrouter:c/d  after 3 ms  took 897 ms
     answered
     left out top_k: it is known to refuse it otherwise`,
  },
  {
    name: "a row from before trails and attempts",
    request: {
      ...nothingCounted,
      rule: null,
      attempts: 0,
      servedBy: "clutch:local",
      durationMs: 1,
      firstTokenMs: null,
    },
    attempts: [],
    told: `
request mwov5qkvcagp3g was answered by clutch:local in 1 ms
  asked by   Claude Code (xx cip, launch k3j9), session 1f3a-22
  at         2026-11-20 10:42:07 UTC
  asked for  claude-opus-5-5 (messages, streamed)

candidates, in the order they stood
  1  clutch:local  answered  answered`,
  },
];

function report({ request, trail, attempts }: Story) {
  const row = { ...answered, ...request, trail: trail === undefined ? null : JSON.stringify(trail) };
  return explainRequest({ request: row, attempts }, startedAt + 42_000);
}

describe("clutch why tells", () => {
  test.each(stories.map((story) => [story.name, story] as const))("%s", (_name, story) => {
    expect(renderWhy(report(story), plainPaint)).toBe(story.told.trimStart());
  });

  test("the same as JSON, with every candidate's reason in words", () => {
    const [, cascade] = stories;
    if (cascade === undefined) throw new Error("no such story");
    const { request, ...rest } = report(cascade);
    expect(request).toEqual({
      id: "mwov5qkvcagp3g",
      started_at: "2026-11-20T10:42:07.000Z",
      status: "completed",
      agent: null,
      agent_name: null,
      code: null,
      launch_id: null,
      session: null,
      folder: null,
      protocol: "messages",
      streamed: true,
      model_requested: "claude-opus-5-5",
      http_status: 200,
      error: null,
      duration_ms: 12_400,
      first_token_ms: 2210,
      opened_early_ms: null,
      waited_ms: 0,
      input_tokens: 1200,
      cache_read_tokens: 20_000,
      cache_write_tokens: 0,
      output_tokens: 350,
      reasoning_tokens: 90,
      usage_estimated: false,
      cost_usd: 0.00214,
    });
    const untouched = { kind: null, back_at: null, moved_forward: false, others: [] };
    const limit = "429: the account's free models are used up until 00:00 UTC";
    expect(rest).toEqual({
      rule: "tier BIG by family",
      rules_passed: [
        { rule: "launch tier", outcome: "none in the launch code" },
        { rule: "image", outcome: "no image in the newest turn" },
      ],
      candidates: [
        { ...untouched, target: "openrouter:a/b:free", outcome: "failed", reason: limit, kind: "quota" },
        {
          ...untouched,
          target: "openrouter:c/d:free",
          outcome: "skipped",
          reason: "the free models of openrouter are resting: used up; back 00:00 UTC",
          kind: "rate-limit",
          back_at: "2026-11-21T00:00:00.000Z",
        },
        { ...untouched, target: "local:small", outcome: "skipped", reason: "it takes no tools", kind: "unsupported" },
        {
          ...untouched,
          target: "other:empty",
          outcome: "failed",
          reason: "the answer had nothing in it",
          kind: "empty",
          moved_forward: true,
        },
        { ...untouched, target: "other:picky", outcome: "served", reason: "answered" },
        { ...untouched, target: "chat:good", outcome: "not-needed", reason: "an earlier one answered" },
      ],
      attempts: [
        {
          number: 1,
          target: "openrouter:a/b:free",
          protocol: "chat",
          offset_ms: 1,
          duration_ms: 299,
          http_status: 429,
          kind: "quota",
          scope: "account",
          meaning: limit,
          message: "Rate limit exceeded: free-models-per-day",
          retry_after_ms: midnight - startedAt - 300,
          key: null,
          hedged: false,
          repairs: [],
          closed: {
            id: "free:openrouter",
            what: "the free models of openrouter",
            until: "2026-11-21T00:00:00.000Z",
          },
        },
        {
          number: 2,
          target: "other:empty",
          protocol: "chat",
          offset_ms: 310,
          duration_ms: 1690,
          http_status: null,
          kind: "empty",
          scope: "model",
          meaning: "the answer had nothing in it",
          message: "the stream ended without any content",
          retry_after_ms: null,
          key: "#2",
          hedged: false,
          repairs: [],
          closed: null,
        },
        {
          number: 3,
          target: "other:picky",
          protocol: "chat",
          offset_ms: 2000,
          duration_ms: 10_400,
          http_status: null,
          kind: null,
          scope: null,
          meaning: "answered",
          message: null,
          retry_after_ms: null,
          key: null,
          hedged: false,
          repairs: ["left out top_k: it refused the request as it was"],
          closed: null,
        },
      ],
      served_by: "other:picky",
    });
  });

  test("several requests as a list", () => {
    const { request } = explainRequest({ request: answered, attempts: [] }, startedAt);
    const other = { ...request, id: "mwov5q", agent_name: null, agent: null, status: "pending" as const };
    expect(renderMatches([request, other], plainPaint)).toBe(
      `
id              at                       agent        asked for        status
mwov5qkvcagp3g  2026-11-20 10:42:07 UTC  Claude Code  claude-opus-5-5  completed
mwov5q          2026-11-20 10:42:07 UTC  -            claude-opus-5-5  pending`.trimStart(),
    );
  });
});

describe("explainFailure()", () => {
  const plain = {
    scope: "model",
    provider: "chat",
    model: "m",
    status: null,
    message: "",
    retryAfterMs: null,
    endedAt: startedAt,
    durationMs: 60_000,
  } as const;

  test("has words of its own for each kind of failure", () => {
    const kinds = Object.keys(reactions) as FailureKind[];
    const told = kinds.map((kind) => explainFailure({ ...plain, kind }));
    expect(new Set(told).size).toBe(kinds.length);
    for (const [at, kind] of kinds.entries()) expect(told[at]).not.toBe(kind);
  });

  test.each([
    [{ kind: "rate-limit", scope: "key", status: 429 }, "429: this key's limit is reached"],
    [{ kind: "rate-limit", scope: "account", status: 429 }, "429: the account's limit is reached"],
    [{ kind: "quota", scope: "model", status: 429 }, "429: the model's quota is used up"],
    [
      { kind: "quota", scope: "account", status: 429, provider: "ollama", model: "kimi:cloud" },
      "429: the account's cloud models are used up",
    ],
    [
      { kind: "rate-limit", scope: "provider", status: 429, retryAfterMs: 30_000 },
      "429: the provider's limit is reached until 10:42:37 UTC",
    ],
    [
      {
        kind: "rate-limit",
        scope: "account",
        status: 429,
        provider: "openrouter",
        model: "a:free",
        retryAfterMs: 3 * 24 * 3_600_000,
      },
      "429: the account's free models have had their requests of this minute until 2026-11-23 10:42 UTC",
    ],
    [{ kind: "timeout" }, "nothing came for 60 s"],
    [{ kind: "aborted", message: "another candidate was faster" }, "another candidate was faster"],
    [
      { kind: "aborted", message: "the request was over before it answered" },
      "the request was over before it answered",
    ],
    [{ kind: "aborted", message: "the client closed the connection" }, "the client left"],
    [{ kind: "timeout", status: 504 }, "504: the provider ran out of time itself"],
  ] as const)("%o", (more, told) => {
    expect(explainFailure({ ...plain, ...more })).toBe(told);
  });
});
