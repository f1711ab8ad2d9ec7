import { describe, expect, test } from "bun:test";
import {
  classifyAnswer,
  classifyStreamError,
  type Failure,
  failure,
  reactions,
  readReset,
} from "../../providers/failure.ts";
import type { Json, StreamError } from "../../src/protocols/chat.ts";

const now = 1_763_600_000_000;

const openrouterFree = {
  error: {
    code: 429,
    message: "Rate limit exceeded: free-models-per-day",
    metadata: {
      headers: { "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1763683200000" },
    },
  },
  user_id: "user_1",
};

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: Json;
}

/** What becomes of breaker and quota: the model was at fault and asked; at fault but not counted; neither. */
const asked = { countsForBreaker: "hard", spendsQuota: true } as const;
const refused = { countsForBreaker: "hard", spendsQuota: false } as const;
const innocent = { countsForBreaker: "no", spendsQuota: false } as const;

describe("classifyAnswer()", () => {
  const gemini = "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).";
  const openai =
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. Please reduce the length of the messages.";
  const openrouter =
    "This endpoint's maximum context length is 131072 tokens. However, you requested about 140210 tokens (131210 of text input, 9000 in the output). Please reduce the length of either one.";
  const vllm =
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.";
  const responses = "Your input exceeds the context window of this model. Please adjust your input and try again.";
  const tooLong = "prompt is too long: 210000 tokens > 200000 maximum";
  const withOutput =
    "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again";
  const llamaNew = "request (12001 tokens) exceeds the available context size (8192 tokens), try increasing it";
  const llamaOld =
    "the request exceeds the available context size. try increasing the context size or enable context shift";
  const quota = "You exceeded your current quota, please check your plan and billing details.";

  const cases: [name: string, answer: Answer, failure: Failure][] = [
    [
      "OpenRouter's daily limit of the whole account, with the reset in its body",
      { status: 429, body: openrouterFree },
      {
        kind: "quota",
        scope: "account",
        ...innocent,
        message: "Rate limit exceeded: free-models-per-day",
        status: 429,
        code: "429",
        retryAfterMs: 83_200_000,
      },
    ],
    [
      "OpenRouter's limit of one upstream",
      {
        status: 429,
        headers: { "retry-after": "12" },
        body: {
          error: {
            message: "Provider returned error",
            code: 429,
            metadata: {
              raw: "moonshotai/kimi-k2.6:free is temporarily rate-limited upstream.",
              provider_name: "Chutes",
            },
          },
        },
      },
      {
        kind: "rate-limit",
        scope: "model",
        countsForBreaker: "hard",
        spendsQuota: true,
        message: "Chutes: moonshotai/kimi-k2.6:free is temporarily rate-limited upstream.",
        status: 429,
        code: "429",
        retryAfterMs: 12_000,
      },
    ],
    [
      "OpenRouter's own word for what is wrong",
      {
        status: 503,
        body: { error: { code: 503, message: "No capacity", metadata: { error_type: "provider_overloaded" } } },
      },
      {
        kind: "overloaded",
        scope: "model",
        ...asked,
        message: "No capacity",
        status: 503,
        code: "provider_overloaded",
      },
    ],
    [
      "OpenRouter without credit",
      { status: 402, body: { error: { code: 402, message: "Insufficient credits" } } },
      { kind: "billing", scope: "account", ...innocent, message: "Insufficient credits", status: 402, code: "402" },
    ],
    [
      "Anthropic overloaded",
      {
        status: 529,
        body: { type: "error", error: { type: "overloaded_error", message: "Overloaded" }, request_id: "req_1" },
      },
      { kind: "overloaded", scope: "model", ...asked, message: "Overloaded", status: 529, code: "overloaded_error" },
    ],
    [
      "Anthropic's rate limit",
      {
        status: 429,
        headers: { "anthropic-ratelimit-requests-reset": "2025-11-20T01:00:00Z" },
        body: { type: "error", error: { type: "rate_limit_error", message: "This request would exceed your limit" } },
      },
      {
        kind: "rate-limit",
        scope: "model",
        ...refused,
        message: "This request would exceed your limit",
        status: 429,
        code: "rate_limit_error",
        retryAfterMs: 400_000,
      },
    ],
    [
      "OpenAI without quota, which waiting does not mend",
      {
        status: 429,
        body: { error: { message: quota, type: "insufficient_quota", param: null, code: "insufficient_quota" } },
      },
      { kind: "billing", scope: "account", ...innocent, message: quota, status: 429, code: "insufficient_quota" },
    ],
    [
      "OpenAI's rate limit, with spans of time",
      {
        status: 429,
        headers: { "x-ratelimit-reset-requests": "1m26.4s" },
        body: { error: { message: "Rate limit reached", type: "requests", code: "rate_limit_exceeded" } },
      },
      {
        kind: "rate-limit",
        scope: "model",
        ...refused,
        message: "Rate limit reached",
        status: 429,
        code: "rate_limit_exceeded",
        retryAfterMs: 86_400,
      },
    ],
    [
      "OpenAI's wrong key",
      {
        status: 401,
        body: {
          error: { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" },
        },
      },
      {
        kind: "auth",
        scope: "key",
        ...innocent,
        message: "Incorrect API key provided",
        status: 401,
        code: "invalid_api_key",
      },
    ],
    [
      "a context overflow in OpenAI's Chat words",
      {
        status: 400,
        body: { error: { message: openai, type: "invalid_request_error", code: "context_length_exceeded" } },
      },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: openai,
        status: 400,
        code: "context_length_exceeded",
        tokens: { input: 9001, limit: 8192 },
      },
    ],
    [
      "a context overflow in OpenAI's Responses words",
      {
        status: 400,
        body: { error: { message: responses, type: "invalid_request_error", code: "context_length_exceeded" } },
      },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: responses,
        status: 400,
        code: "context_length_exceeded",
        tokens: {},
      },
    ],
    [
      "a context overflow at OpenRouter",
      { status: 400, body: { error: { message: openrouter, code: 400, metadata: { provider_name: null } } } },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: openrouter,
        status: 400,
        code: "400",
        tokens: { input: 131210, maxOutput: 9000, limit: 131072 },
      },
    ],
    [
      "a context overflow in vLLM's words",
      { status: 400, body: { object: "error", message: vllm, type: "BadRequestError", param: null, code: 400 } },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: vllm,
        status: 400,
        code: "400",
        tokens: { input: 4000, maxOutput: 1000, limit: 4096 },
      },
    ],
    [
      "a context overflow in Anthropic's words",
      { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: tooLong } } },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: tooLong,
        status: 400,
        code: "invalid_request_error",
        tokens: { input: 210_000, limit: 200_000 },
      },
    ],
    [
      "a context overflow of Anthropic that the output's share causes",
      { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: withOutput } } },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: withOutput,
        status: 400,
        code: "invalid_request_error",
        tokens: { input: 188_240, maxOutput: 21_333, limit: 200_000 },
      },
    ],
    [
      "a context overflow of llama.cpp",
      {
        status: 400,
        body: {
          error: {
            code: 400,
            message: llamaOld,
            type: "exceed_context_size_error",
            n_prompt_tokens: 12001,
            n_ctx: 8192,
          },
        },
      },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: llamaOld,
        status: 400,
        code: "400",
        tokens: { input: 12_001, limit: 8192 },
      },
    ],
    [
      "a context overflow of llama.cpp that tells its numbers in words",
      { status: 400, body: { error: { code: 400, message: llamaNew, type: "exceed_context_size_error" } } },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: llamaNew,
        status: 400,
        code: "400",
        tokens: { input: 12_001, limit: 8192 },
      },
    ],
    [
      "a context overflow of Gemini, in its array",
      { status: 400, body: [{ error: { code: 400, message: gemini, status: "INVALID_ARGUMENT" } }] },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: gemini,
        status: 400,
        code: "400",
        tokens: { input: 1_196_265, limit: 1_048_575 },
      },
    ],
    [
      "an error page of a proxy",
      { status: 502, body: "<html>\n<head><title>502 Bad Gateway</title></head></html>" },
      {
        kind: "upstream",
        scope: "model",
        ...asked,
        message: "the upstream answered 502 with a web page: 502 Bad Gateway",
        status: 502,
      },
    ],
    [
      "a body of plain words",
      { status: 500, body: " upstream exploded \n" },
      { kind: "upstream", scope: "model", ...asked, message: "upstream exploded", status: 500 },
    ],
    [
      "an empty body",
      { status: 503, body: "" },
      { kind: "overloaded", scope: "model", ...asked, message: "the upstream answered 503", status: 503 },
    ],
    [
      "an object that says nothing",
      { status: 500, body: {} },
      { kind: "upstream", scope: "model", ...asked, message: "{}", status: 500 },
    ],
    [
      "an error that is text",
      { status: 404, body: { error: "model 'x' not found" } },
      { kind: "not-found", scope: "model", ...refused, message: "model 'x' not found", status: 404 },
    ],
    [
      "a detail",
      { status: 422, body: { detail: "field required" } },
      { kind: "bad-request", scope: "request", ...innocent, message: "field required", status: 422 },
    ],
    [
      "a message beside its code",
      { status: 403, body: { message: "no access", code: "forbidden" } },
      { kind: "permission", scope: "key", ...innocent, message: "no access", status: 403, code: "forbidden" },
    ],
    [
      "a request that is too large",
      {
        status: 413,
        body: { type: "error", error: { type: "request_too_large", message: "Request exceeds the maximum size" } },
      },
      {
        kind: "too-large",
        scope: "request",
        ...innocent,
        message: "Request exceeds the maximum size",
        status: 413,
        code: "request_too_large",
      },
    ],
    [
      "a timeout of a gateway before it",
      { status: 504, body: "" },
      { kind: "timeout", scope: "model", ...asked, message: "the upstream answered 504", status: 504 },
    ],
    [
      "a request that takes too long",
      { status: 408, body: "" },
      { kind: "timeout", scope: "model", ...asked, message: "the upstream answered 408", status: 408 },
    ],
    [
      "a redirect, which is not followed",
      { status: 307, body: "" },
      { kind: "upstream", scope: "model", ...asked, message: "the upstream answered 307", status: 307 },
    ],
    [
      "a plain mistake in the request",
      { status: 400, body: { error: { message: "temperature: must be <= 1", type: "invalid_request_error" } } },
      {
        kind: "bad-request",
        scope: "request",
        ...innocent,
        message: "temperature: must be <= 1",
        status: 400,
        code: "invalid_request_error",
      },
    ],
    [
      "a status that nobody listed",
      { status: 418, body: "" },
      { kind: "bad-request", scope: "request", ...innocent, message: "the upstream answered 418", status: 418 },
    ],
  ];
  test.each(cases)("reads %s", (_name, { status, headers, body }, expected) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const { headers: _headers, ...read } = classifyAnswer(status, new Headers(headers), text, now);
    expect(read).toEqual(expected);
  });

  test("keeps a long body of words short", () => {
    expect(classifyAnswer(500, new Headers(), "x".repeat(9000), now).message).toBe("x".repeat(500));
  });
});

describe("classifyAnswer() keeps", () => {
  test("the headers that the upstream's own client knows how to read, and no others", () => {
    const kept = {
      "request-id": "r1",
      "x-request-id": "r2",
      "x-should-retry": "false",
      "x-ratelimit-remaining-requests": "3",
      "anthropic-ratelimit-unified-status": "rejected",
      "openai-processing-ms": "12",
      "retry-after": "5",
    };
    const others = { "set-cookie": "a=b", server: "nginx", "content-length": "2", "x-internal": "y", "cf-ray": "z" };
    expect(classifyAnswer(429, new Headers({ ...kept, ...others }), "{}", now).headers).toEqual(kept);
  });

  test("an upstream's words as one line without control characters", () => {
    const body = JSON.stringify({ error: { message: "one\r\ntwo\u001b[31m\u0000three" } });
    expect(classifyAnswer(500, new Headers(), body, now).message).toBe("one two [31m three");
  });

  const kinds: [status: number, waits: boolean][] = [
    [429, true],
    [402, true],
    [500, true],
    [503, true],
    [400, false],
    [401, false],
    [404, false],
    [413, false],
    [504, false],
  ];
  test.each(kinds)("a wait of a %d: %p", (status, waits) => {
    expect("retryAfterMs" in classifyAnswer(status, new Headers({ "retry-after": "5" }), "{}", now)).toBe(waits);
  });
});

describe("classifyAnswer() reads the wait from", () => {
  const reset = "x-ratelimit-reset";
  const cases: [name: string, headers: Record<string, string>, body: Json, ms: number | undefined][] = [
    ["nowhere", {}, {}, undefined],
    ["retry-after-ms before retry-after", { "retry-after-ms": "1500", "retry-after": "9" }, {}, 1500],
    ["retry-after in seconds", { "retry-after": "7" }, {}, 7000],
    ["retry-after in parts of a second", { "retry-after": "0.5" }, {}, 500],
    ["retry-after as a date", { "retry-after": new Date(now + 30_000).toUTCString() }, {}, 30_000],
    ["a date that has passed", { "retry-after": new Date(now - 30_000).toUTCString() }, {}, 0],
    ["the reset header when retry-after is no time", { "retry-after": "soon", [reset]: "3" }, {}, 3000],
    ["retry-after before the reset header", { "retry-after": "1", [reset]: "3" }, {}, 1000],
    ["a header before the body", { [reset]: "3" }, openrouterFree, 3000],
    [
      "the limit that is used up, though another resets later",
      {
        "x-ratelimit-reset-requests": "2s",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-remaining-tokens": "150",
      },
      {},
      2000,
    ],
    [
      "the later one of two limits that do not tell what remains",
      { "x-ratelimit-reset-requests": "2s", "x-ratelimit-reset-tokens": "6m0s" },
      {},
      360_000,
    ],
    [
      "no limit of which something remains",
      { "x-ratelimit-reset-requests-day": "33011.38", "x-ratelimit-remaining-requests-day": "900" },
      {},
      undefined,
    ],
    [
      "the words rather than a limit that does not tell what remains",
      { [reset]: "3600" },
      { error: { message: "Please try again in 6ms." } },
      6,
    ],
    [
      "the limit that Anthropic marks as the one",
      {
        "anthropic-ratelimit-unified-5h-reset": "1763600060",
        "anthropic-ratelimit-unified-5h-status": "rejected",
        "anthropic-ratelimit-unified-7d-reset": "1764000000",
        "anthropic-ratelimit-unified-7d-status": "allowed_warning",
      },
      {},
      60_000,
    ],
    ["a field of Gemini's", {}, [{ error: { details: [{ retryDelay: "37.48s" }] } }], 37_480],
    ["a date of OpenRouter's budgets", {}, { error: { metadata: { resets_at: "2025-11-20T00:53:50Z" } } }, 30_000],
    ["a time of day of Codex' backend", {}, { error: { resets_at: 1_763_600_060 } }, 60_000],
    ["the body", {}, openrouterFree, 83_200_000],
    ["the next header when one is no time", { [reset]: "later", "x-ratelimit-reset-tokens": "547ms" }, {}, 547],
  ];
  test.each(cases)("%s", (_name, headers, body, ms) => {
    expect(classifyAnswer(429, new Headers(headers), JSON.stringify(body), now).retryAfterMs).toBe(ms as number);
  });
});

describe("readReset()", () => {
  const cases: [text: string, ms: number | undefined][] = [
    ["1763600030", 30_000],
    ["1763600030000", 30_000],
    ["1763599990", 0],
    ["30", 30_000],
    ["0", 0],
    ["0.25", 250],
    ["-5", 0],
    ["1m26.4s", 86_400],
    ["6h0m0s", 21_600_000],
    ["547ms", 547],
    ["1s500ms", 1500],
    ["2025-11-20T00:53:50Z", 30_000],
    ["Thu, 20 Nov 2025 00:53:50 GMT", 30_000],
    ["52220 seconds", 52_220_000],
    ["137h41m9s", 495_669_000],
    ["2 days", 172_800_000],
    ["1m and more", undefined],
    ["soon", undefined],
    ["", undefined],
  ];
  test.each(cases)("makes of %p %p ms", (text, ms) => {
    expect(readReset(text, now)).toBe(ms as number);
  });
});

describe("classifyStreamError()", () => {
  const cases: [name: string, error: StreamError, failure: Failure][] = [
    [
      "a stream that stopped",
      { kind: "incomplete", message: "cut" },
      { kind: "malformed", scope: "model", ...asked, message: "cut" },
    ],
    [
      "a stream of something else",
      { kind: "malformed", message: "no JSON", status: 429 },
      { kind: "malformed", scope: "model", ...asked, message: "no JSON" },
    ],
    [
      "a reported error by its code",
      { kind: "reported", message: "Overloaded", code: "overloaded_error" },
      { kind: "overloaded", scope: "model", ...asked, message: "Overloaded", code: "overloaded_error" },
    ],
    [
      "a reported error by its status",
      { kind: "reported", message: "slow down", status: 429 },
      { kind: "rate-limit", scope: "model", ...refused, message: "slow down", status: 429 },
    ],
    [
      "a reported error that says nothing of its kind",
      { kind: "reported", message: "oops" },
      { kind: "upstream", scope: "model", ...asked, message: "oops" },
    ],
    [
      "a context overflow",
      {
        kind: "reported",
        message: "prompt is too long: 9000 tokens > 8000 maximum",
        code: "invalid_request_error",
        status: 400,
      },
      {
        kind: "context-overflow",
        scope: "model",
        ...innocent,
        message: "prompt is too long: 9000 tokens > 8000 maximum",
        code: "invalid_request_error",
        status: 400,
        tokens: { input: 9000, limit: 8000 },
      },
    ],
    [
      "the daily limit of the whole account",
      { kind: "reported", message: "Rate limit exceeded: free-models-per-day", status: 429 },
      {
        kind: "quota",
        scope: "account",
        ...innocent,
        message: "Rate limit exceeded: free-models-per-day",
        status: 429,
      },
    ],
  ];
  test.each(cases)("reads %s", (_name, error, expected) => {
    expect(classifyStreamError(error)).toEqual(expected);
  });
});

describe("the table of reactions", () => {
  test("stops the cascade only where every model would be asked the same wrong thing", () => {
    const stopping = Object.entries(reactions).filter(([, reaction]) => !reaction.failsOver);
    expect(stopping.map(([kind, { scope }]) => [kind, scope])).toEqual([
      ["bad-request", "request"],
      ["stopped", "request"],
      ["aborted", "request"],
    ]);
  });

  test("gives a failure its scope", () => {
    expect(failure("no-key", "no key", { status: 401 })).toEqual({
      kind: "no-key",
      scope: "key",
      ...innocent,
      message: "no key",
      status: 401,
    });
  });
});
