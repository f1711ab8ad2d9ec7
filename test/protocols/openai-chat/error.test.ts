import { expect, test } from "bun:test";
import type { GatewayError } from "../../../src/protocols/codec.ts";
import { openaiChat } from "../../../src/protocols/openai-chat/index.ts";

const message = "it went wrong";

test.each([
  [
    { kind: "invalid-request", message, param: "tools[0]", code: "bad" },
    400,
    message,
    "invalid_request_error",
    "bad",
    "tools[0]",
  ],
  [{ kind: "invalid-request", message }, 400, message, "invalid_request_error", null, null],
  [{ kind: "authentication", message, code: "x" }, 401, message, "authentication_error", "invalid_api_key", null],
  [{ kind: "billing", message }, 402, message, "insufficient_quota", "insufficient_quota", null],
  [{ kind: "permission", message }, 403, message, "permission_error", null, null],
  [{ kind: "not-found", message }, 404, message, "invalid_request_error", "model_not_found", null],
  [{ kind: "too-large", message }, 413, message, "invalid_request_error", "context_length_exceeded", null],
  [
    { kind: "rate-limit", message: "Slow down.", retryAfterMs: 1500 },
    429,
    "Slow down. Please try again in 2s.",
    "rate_limit_error",
    "rate_limit_exceeded",
    null,
  ],
  [
    { kind: "rate-limit", message: "try again in 7s", retryAfterMs: 1500 },
    429,
    "try again in 7s",
    "rate_limit_error",
    "rate_limit_exceeded",
    null,
  ],
  [{ kind: "overloaded", message }, 503, message, "server_error", "overloaded", null],
  [{ kind: "timeout", message }, 504, message, "timeout", "timeout", null],
  [{ kind: "upstream", message, code: "internal" }, 502, message, "server_error", "internal", null],
  [{ kind: "not-implemented", message }, 404, message, "invalid_request_error", "not_implemented", null],
  [
    { kind: "context-overflow", message: "prompt is too long", code: "1261", tokens: { input: 9, limit: 8 } },
    400,
    "This model's maximum context length is 8 tokens, but you requested 9 tokens. prompt is too long",
    "invalid_request_error",
    "context_length_exceeded",
    null,
  ],
  [
    { kind: "context-overflow", message: "prompt is too long" },
    400,
    "Your input exceeds the context window of this model. prompt is too long",
    "invalid_request_error",
    "context_length_exceeded",
    null,
  ],
  [
    { kind: "context-overflow", message: "This model's maximum context length is 5 tokens." },
    400,
    "This model's maximum context length is 5 tokens.",
    "invalid_request_error",
    "context_length_exceeded",
    null,
  ],
] as [GatewayError, number, string, string, string | null, string | null][])(
  "%j",
  (error, status, text, type, code, param) => {
    const body = { error: { message: text, type, code, param } };
    expect(openaiChat.encodeError(error)).toEqual({ status, body });
    const messages = openaiChat.encodeStreamError(error, { sequence: -1, model: "m", createdAt: 0 });
    expect(messages).toEqual([{ data: JSON.stringify(body) }]);
  },
);

test("the keep-alive is a comment, which readers skip", () => {
  expect(openaiChat.keepAlive).toBe(": keep-alive\n\n");
});
