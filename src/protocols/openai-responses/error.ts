/** Errors of the Responses protocol: those an upstream reports, and those that Clutch tells a client. */

import type { Json, JsonObject, StreamError } from "../chat.ts";
import type { GatewayError } from "../codec.ts";
import { type OpenAiErrorRow, openAiErrors } from "../openai-errors.ts";
import { readNumber, readObject, readString } from "./wire.ts";

/** Codex and the OpenAI SDK decide by status and code, never by type, so more kinds have a fixed code than in Chat. */
const errorRows = {
  ...openAiErrors,
  timeout: { ...openAiErrors.timeout, code: "timeout" },
  upstream: { ...openAiErrors.upstream, otherwise: "server_error" },
} satisfies Record<GatewayError["kind"], OpenAiErrorRow>;

export function encodeError(error: GatewayError): { status: number; body: JsonObject } {
  const row = errorRows[error.kind];
  return {
    status: row.status,
    body: {
      error: { message: describe(error), type: row.type, code: codeOf(error) ?? null, param: error.param ?? null },
    },
  };
}

/** The `error` of a response that failed in the middle of its stream. */
export function failedResponseError(error: GatewayError): { code: string; message: string } {
  // `invalid_prompt` is the only code besides overflow and quota after which Codex does not send the same request again.
  const code = error.kind === "invalid-request" ? "invalid_prompt" : codeOf(error);
  return { code: code ?? errorRows[error.kind].type, message: describe(error) };
}

function codeOf(error: GatewayError): string | undefined {
  const row: OpenAiErrorRow = errorRows[error.kind];
  // A spent quota also comes as 429; only this code keeps Codex from trying again.
  if (error.kind === "rate-limit" && error.code === "insufficient_quota") return error.code;
  return row.code ?? error.code ?? row.otherwise;
}

/** Adds the words that clients look for, unless the upstream's own message already has them. */
function describe(error: GatewayError): string {
  const { message, tokens } = error;
  // Codex reads the delay of a failed stream from the text alone.
  if (error.kind === "rate-limit" && error.retryAfterMs !== undefined && !/try again in/i.test(message)) {
    return `${message} Please try again in ${Math.ceil(error.retryAfterMs / 1000)}s.`;
  }
  // Pi and OpenCode know an overflow by OpenAI's wordings.
  if (error.kind === "context-overflow" && !/maximum context length is|exceeds the context window/i.test(message)) {
    return tokens?.limit === undefined
      ? `Your input exceeds the context window of this model. ${message}`
      : `This model's maximum context length is ${tokens.limit} tokens. ${message}`;
  }
  return message;
}

/** HTTP statuses that OpenAI's codes stand for, where a stream has only the code. */
const statusByCode: ReadonlyMap<string, number> = new Map([
  ["server_error", 500],
  ["rate_limit_exceeded", 429],
  ["insufficient_quota", 429],
  ["context_length_exceeded", 400],
  ["invalid_prompt", 400],
  ["invalid_api_key", 401],
  ["model_not_found", 404],
  ["server_is_overloaded", 503],
  ["slow_down", 503],
]);

/**
 * The error in an `error` event, in a failed response, or in a 200 that is none. OpenAI has written it flat and nested;
 * OpenRouter's code is an HTTP status, others give a bare string.
 */
export function readError(body: JsonObject): StreamError {
  const nested = body["error"] ?? readObject(body["response"])?.["error"];
  const source: JsonObject = readObject(nested) ?? (nested === undefined || nested === null ? body : {});
  const message = readString(nested) ?? readString(source["message"]) ?? readString(source["detail"]);
  const code = readCode(source["code"]) ?? readCode(source["type"]);
  const status = readStatus(source["status"]) ?? readStatus(source["status_code"]) ?? readStatus(source["code"]);
  const known = status ?? (code === undefined ? undefined : statusByCode.get(code));
  return {
    kind: "reported",
    message: message || "the upstream reported an error without a message",
    ...(code === undefined ? {} : { code }),
    ...(known === undefined ? {} : { status: known }),
  };
}

function readCode(value: Json | undefined): string | undefined {
  // The flat event's type is "error", which says nothing.
  return typeof value === "string" && value !== "" && value !== "error" ? value : readNumber(value)?.toString();
}

function readStatus(value: Json | undefined): number | undefined {
  return typeof value === "number" && value >= 400 && value < 600 ? value : undefined;
}
