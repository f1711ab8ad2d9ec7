/** How errors are told in the envelope that OpenAI's two protocols share. */

import type { GatewayError } from "./codec.ts";

export interface OpenAiErrorRow {
  status: number;
  type: string;
  /** Stands over the upstream's own code where clients act on exactly this word. */
  code?: string;
  /** Used when the upstream gave no code. */
  otherwise?: string;
}

/** @see https://platform.openai.com/docs/guides/error-codes */
export const openAiErrors = {
  "invalid-request": { status: 400, type: "invalid_request_error" },
  // Codex stops retrying at this code and offers to compact.
  "context-overflow": { status: 400, type: "invalid_request_error", code: "context_length_exceeded" },
  authentication: { status: 401, type: "authentication_error", code: "invalid_api_key" },
  billing: { status: 402, type: "insufficient_quota", code: "insufficient_quota" },
  permission: { status: 403, type: "permission_error" },
  "not-found": { status: 404, type: "invalid_request_error", code: "model_not_found" },
  "too-large": { status: 413, type: "invalid_request_error", code: "context_length_exceeded" },
  "rate-limit": { status: 429, type: "rate_limit_error", code: "rate_limit_exceeded" },
  overloaded: { status: 503, type: "server_error", code: "overloaded" },
  timeout: { status: 504, type: "timeout", otherwise: "timeout" },
  upstream: { status: 502, type: "server_error" },
  // Not 501: clients send again after every 5xx.
  "not-implemented": { status: 404, type: "invalid_request_error", otherwise: "not_implemented" },
} satisfies Record<GatewayError["kind"], OpenAiErrorRow>;
