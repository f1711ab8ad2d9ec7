import { describe, expect, test } from "bun:test";
import type { GatewayError } from "../../../src/protocols/codec.ts";
import { failedResponseError } from "../../../src/protocols/openai-responses/error.ts";
import { openaiResponses } from "../../../src/protocols/openai-responses/index.ts";

type Row = [GatewayError, { status: number; type: string; code: string | null; message?: string }, string];

const rows: Row[] = [
  [
    { kind: "invalid-request", message: "m", code: "invalid_value", param: "tools" },
    { status: 400, type: "invalid_request_error", code: "invalid_value" },
    "invalid_prompt",
  ],
  [
    { kind: "invalid-request", message: "m" },
    { status: 400, type: "invalid_request_error", code: null },
    "invalid_prompt",
  ],
  [
    { kind: "context-overflow", message: "prompt is too long: 9 tokens > 8 maximum", tokens: { input: 9, limit: 8 } },
    {
      status: 400,
      type: "invalid_request_error",
      code: "context_length_exceeded",
      message: "This model's maximum context length is 8 tokens. prompt is too long: 9 tokens > 8 maximum",
    },
    "context_length_exceeded",
  ],
  [
    { kind: "context-overflow", message: "too many tokens" },
    {
      status: 400,
      type: "invalid_request_error",
      code: "context_length_exceeded",
      message: "Your input exceeds the context window of this model. too many tokens",
    },
    "context_length_exceeded",
  ],
  [
    { kind: "context-overflow", message: "Your input exceeds the context window of this model." },
    { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
    "context_length_exceeded",
  ],
  [
    { kind: "authentication", message: "m", code: "bad_key" },
    { status: 401, type: "authentication_error", code: "invalid_api_key" },
    "invalid_api_key",
  ],
  [
    { kind: "billing", message: "m" },
    { status: 402, type: "insufficient_quota", code: "insufficient_quota" },
    "insufficient_quota",
  ],
  [{ kind: "permission", message: "m" }, { status: 403, type: "permission_error", code: null }, "permission_error"],
  [
    { kind: "not-found", message: "m" },
    { status: 404, type: "invalid_request_error", code: "model_not_found" },
    "model_not_found",
  ],
  [
    { kind: "too-large", message: "m" },
    { status: 413, type: "invalid_request_error", code: "context_length_exceeded" },
    "context_length_exceeded",
  ],
  [
    { kind: "rate-limit", message: "Slow down.", retryAfterMs: 11_001, code: "1302" },
    {
      status: 429,
      type: "rate_limit_error",
      code: "rate_limit_exceeded",
      message: "Slow down. Please try again in 12s.",
    },
    "rate_limit_exceeded",
  ],
  [
    { kind: "rate-limit", message: "Please try again in 3s.", retryAfterMs: 3000 },
    { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
    "rate_limit_exceeded",
  ],
  [
    { kind: "rate-limit", message: "m", code: "insufficient_quota" },
    { status: 429, type: "rate_limit_error", code: "insufficient_quota" },
    "insufficient_quota",
  ],
  [
    { kind: "overloaded", message: "m", retryAfterMs: 1000 },
    { status: 503, type: "server_error", code: "overloaded" },
    "overloaded",
  ],
  [{ kind: "timeout", message: "m" }, { status: 504, type: "timeout", code: "timeout" }, "timeout"],
  [{ kind: "upstream", message: "m" }, { status: 502, type: "server_error", code: "server_error" }, "server_error"],
  [
    { kind: "not-implemented", message: "m" },
    { status: 404, type: "invalid_request_error", code: "not_implemented" },
    "not_implemented",
  ],
];

describe("errors:", () => {
  test.each(rows)("%j", (error, { status, type, code, message }, streamCode) => {
    const words = message ?? error.message;
    expect(openaiResponses.encodeError(error)).toEqual({
      status,
      body: { error: { message: words, type, code, param: error.param ?? null } },
    });
    expect(failedResponseError(error)).toEqual({ code: streamCode, message: words });
  });
});
