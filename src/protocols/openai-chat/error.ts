/** Errors in OpenAI's envelope, ours written and an upstream's read. */

import type { Json, JsonObject, StreamError } from "../chat.ts";
import type { GatewayError, SseMessage } from "../codec.ts";
import { isObject } from "../json.ts";
import { type OpenAiErrorRow, openAiErrors } from "../openai-errors.ts";
import { filled } from "./wire.ts";

export function encodeError(error: GatewayError): { status: number; body: JsonObject } {
  const row: OpenAiErrorRow = openAiErrors[error.kind];
  return {
    status: row.status,
    body: {
      error: {
        message: messageOf(error),
        type: row.type,
        code: row.code ?? error.code ?? row.otherwise ?? null,
        param: error.param ?? null,
      },
    },
  };
}

/** The last event of a broken stream; no `[DONE]` may follow, or the answer would look whole. */
export function encodeStreamError(error: GatewayError): SseMessage[] {
  return [{ data: JSON.stringify(encodeError(error).body) }];
}

function messageOf(error: GatewayError): string {
  if (error.kind === "context-overflow") return overflowMessage(error);
  if (error.retryAfterMs === undefined || error.message.includes("try again in")) return error.message;
  return `${error.message} Please try again in ${Math.ceil(error.retryAfterMs / 1000)}s.`;
}

/**
 * Agents recognise an overflow by OpenAI's words as much as by the code, and compact then: Pi matches "maximum context
 * length is N tokens" and "exceeds the context window". Other vendors' wording is kept behind them.
 */
function overflowMessage(error: GatewayError): string {
  const { message, tokens } = error;
  if (message.includes("maximum context length is") || message.includes("exceeds the context window")) return message;
  if (tokens?.limit === undefined) return `Your input exceeds the context window of this model. ${message}`;
  const requested = tokens.input === undefined ? "you requested more" : `you requested ${tokens.input} tokens`;
  return `This model's maximum context length is ${tokens.limit} tokens, but ${requested}. ${message}`;
}

/** What an upstream reports in place of an answer or in the middle of one; without a `kind` of its own. */
export type ReportedError = Omit<StreamError, "kind">;

/**
 * The error that a body or a stream event holds, however it is wrapped; undefined when it holds none. Gemini sends an
 * array, vLLM puts `object: "error"` and the message at the top, OpenRouter an HTTP status into `code`.
 */
export function readError(body: Json): ReportedError | undefined {
  if (Array.isArray(body)) return body[0] === undefined ? undefined : readError(body[0]);
  if (!isObject(body)) return undefined;
  const error = body["error"];
  if (typeof error === "string" && error !== "") return { message: error };
  if (isObject(error)) return describe(error, body);
  const minimax = readMinimax(body["base_resp"]);
  if (minimax !== undefined) return minimax;
  return body["object"] === "error" ? describe(body, body) : undefined;
}

/**
 * MiniMax answers 200 with `base_resp: {status_code: 1008, status_msg: "insufficient balance"}`; 0 is success. The code
 * carries the field's name, since other vendors give the same numbers other meanings.
 * @see https://platform.minimax.io/docs/api-reference/errorcode
 */
function readMinimax(told: Json | undefined): ReportedError | undefined {
  if (!isObject(told) || typeof told["status_code"] !== "number" || told["status_code"] === 0) return undefined;
  const code = told["status_code"];
  return { message: filled(told["status_msg"]) ?? `the upstream reported error ${code}`, code: `base_resp.${code}` };
}

/** The error of an answer whose finish reason says that it failed; OpenRouter puts the details into the choice. */
export function brokenOff(choice: JsonObject, label: string): ReportedError {
  return readError(choice) ?? { message: `the upstream broke off its answer: ${label} (server error)`, code: label };
}

function describe(error: JsonObject, body: JsonObject): ReportedError {
  const message =
    filled(error["message"]) ?? filled(error["detail"]) ?? filled(body["message"]) ?? "the upstream reported an error";
  const code = typeof error["code"] === "number" ? String(error["code"]) : filled(error["code"]);
  return {
    message,
    code: code ?? filled(error["type"]) ?? filled(error["status"]),
    status: [error["status"], error["status_code"], error["code"]].map(httpStatus).find((value) => value !== undefined),
  };
}

function httpStatus(value: Json | undefined): number | undefined {
  const status = typeof value === "string" ? Number(value) : value;
  return typeof status === "number" && Number.isInteger(status) && status >= 400 && status <= 599 ? status : undefined;
}
