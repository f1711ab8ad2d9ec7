/** Errors in Anthropic's envelope, written for clients and read from upstreams. @see https://platform.claude.com/docs/en/api/errors */

import type { Json, JsonObject } from "../chat.ts";
import type { GatewayError, SseMessage } from "../codec.ts";
import { isObject } from "../json.ts";

const replies = {
  "invalid-request": { status: 400, type: "invalid_request_error" },
  "context-overflow": { status: 400, type: "invalid_request_error" },
  authentication: { status: 401, type: "authentication_error" },
  billing: { status: 402, type: "billing_error" },
  permission: { status: 403, type: "permission_error" },
  "not-found": { status: 404, type: "not_found_error" },
  "too-large": { status: 413, type: "request_too_large" },
  "rate-limit": { status: 429, type: "rate_limit_error" },
  overloaded: { status: 529, type: "overloaded_error" },
  timeout: { status: 504, type: "timeout_error" },
  upstream: { status: 502, type: "api_error" },
  // Not 501: Anthropic's SDKs repeat every 5xx, and repeating does not implement anything.
  "not-implemented": { status: 404, type: "not_found_error" },
} as const satisfies Record<GatewayError["kind"], { status: number; type: string }>;

/** The HTTP status that each error type stands for when it arrives inside a 200. */
const statusByType = new Map<string, number>([
  ["invalid_request_error", 400],
  ["authentication_error", 401],
  ["billing_error", 402],
  ["permission_error", 403],
  ["not_found_error", 404],
  ["request_too_large", 413],
  ["rate_limit_error", 429],
  ["api_error", 500],
  ["timeout_error", 504],
  ["overloaded_error", 529],
]);

export function encodeError(error: GatewayError): { status: number; body: JsonObject } {
  const { status, type } = replies[error.kind];
  const body: JsonObject = { type: "error", error: { type, message: renderMessage(error) } };
  if (error.requestId !== undefined) body.request_id = error.requestId;
  return { status, body };
}

/** The whole end of a failed stream: no block is closed and no `message_stop` follows, so nothing looks complete. */
export function encodeStreamError(error: GatewayError): SseMessage[] {
  return [{ event: "error", data: JSON.stringify(encodeError(error).body) }];
}

/** An error that an upstream reported, in any of the spellings seen: an object, a bare string, `message` beside it. */
export function readError(body: JsonObject): { message: string; code?: string; status?: number } {
  const error = body.error;
  const source = isObject(error) ? error : body;
  const message = text(source.message) ?? text(error) ?? text(source.detail) ?? "the upstream reported an error";
  const code = isObject(error) ? (text(error.type) ?? text(error.code)) : undefined;
  if (code === undefined) return { message };
  const status = statusByType.get(code);
  return status === undefined ? { message, code } : { message, code, status };
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function renderMessage(error: GatewayError): string {
  if (error.kind !== "context-overflow") return error.message;
  const wording = renderOverflow(error.tokens ?? {});
  return error.message.includes(wording) ? error.message : `${wording}. ${error.message}`;
}

/**
 * Claude Code 2.1 looks for these two wordings and nothing else: the first makes it compact, the second lower
 * `max_tokens`. Any other text of the same meaning ends the turn instead.
 */
function renderOverflow(tokens: NonNullable<GatewayError["tokens"]>): string {
  const { input, maxOutput, limit } = tokens;
  if (input === undefined || limit === undefined) return "prompt is too long";
  if (maxOutput !== undefined && input < limit && input + maxOutput > limit) {
    return `input length and \`max_tokens\` exceed context limit: ${input} + ${maxOutput} > ${limit}`;
  }
  return `prompt is too long: ${input} tokens > ${limit} maximum`;
}
