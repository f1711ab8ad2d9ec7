import { expect, test } from "bun:test";
import { anthropicMessages } from "../../../src/protocols/anthropic-messages/index.ts";
import type { GatewayError } from "../../../src/protocols/codec.ts";

const kinds: [GatewayError["kind"], number, string][] = [
  ["invalid-request", 400, "invalid_request_error"],
  ["authentication", 401, "authentication_error"],
  ["billing", 402, "billing_error"],
  ["permission", 403, "permission_error"],
  ["not-found", 404, "not_found_error"],
  ["too-large", 413, "request_too_large"],
  ["rate-limit", 429, "rate_limit_error"],
  ["overloaded", 529, "overloaded_error"],
  ["timeout", 504, "timeout_error"],
  ["upstream", 502, "api_error"],
  ["not-implemented", 404, "not_found_error"],
];

test.each(kinds)("the error %s is a %i %s", (kind, status, type) => {
  expect(anthropicMessages.encodeError({ kind, message: "said" })).toStrictEqual({
    status,
    body: { type: "error", error: { type, message: "said" } },
  });
});

const overflows: [string, GatewayError["tokens"], string, string][] = [
  ["both counts", { input: 300, limit: 200 }, "too big", "prompt is too long: 300 tokens > 200 maximum. too big"],
  [
    "an output limit that does not matter",
    { input: 300, maxOutput: 10, limit: 200 },
    "too big",
    "prompt is too long: 300 tokens > 200 maximum. too big",
  ],
  [
    "an output limit that is the trouble",
    { input: 150, maxOutput: 100, limit: 200 },
    "too big",
    "input length and `max_tokens` exceed context limit: 150 + 100 > 200. too big",
  ],
  ["no counts", undefined, "maximum context length", "prompt is too long. maximum context length"],
  ["one count", { limit: 200 }, "too big", "prompt is too long. too big"],
  [
    "the wording already there",
    undefined,
    "prompt is too long: 5 tokens > 4 maximum",
    "prompt is too long: 5 tokens > 4 maximum",
  ],
];

test.each(overflows)("an overflow with %s is worded for compaction", (_name, tokens, message, expected) => {
  const error: GatewayError = { kind: "context-overflow", message, requestId: "req_1" };
  if (tokens !== undefined) error.tokens = tokens;
  expect(anthropicMessages.encodeError(error)).toStrictEqual({
    status: 400,
    body: { type: "error", error: { type: "invalid_request_error", message: expected }, request_id: "req_1" },
  });
});

test("a stream that another writer began ends in the same envelope", () => {
  const place = { sequence: -1, model: "opus", createdAt: 0 };
  expect(anthropicMessages.encodeStreamError({ kind: "upstream", message: "lost\nit" }, place)).toEqual([
    { event: "error", data: '{"type":"error","error":{"type":"api_error","message":"lost\\nit"}}' },
  ]);
});

test("the keep-alive is a ping event with its blank line", () => {
  expect(anthropicMessages.keepAlive).toBe('event: ping\ndata: {"type":"ping"}\n\n');
});
