/** A conversation that its upstream makes smaller (`/v1/responses/compact`): passed on as it is, and on record like any request. */

import { classifyAnswer, type Failure, relayedHeaders } from "../../providers/failure.ts";
import { renderModelReference } from "../../providers/model-reference.ts";
import { classifyThrown, type Fetch } from "../../providers/upstream.ts";
import type { Json, Protocol, Usage } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { readUsage } from "../protocols/openai-responses/response.ts";
import type { RequestBody } from "./body.ts";
import { toGatewayError } from "./cascade.ts";
import type { Ledger } from "./ledger.ts";
import { makeId, openEntry } from "./open-entry.ts";
import type { Caller } from "./recognise.ts";
import { asHeader, sendError } from "./reply.ts";
import type { Target } from "./router.ts";
import { callBeside, canBeCalled } from "./side-call.ts";

/** It reads a whole conversation and writes a summary (ms). */
const limitMs = 300_000;

export interface Compaction {
  protocol: Protocol;
  raw: Request;
  body: RequestBody;
  caller: Caller;
  target: Target;
}

export interface CompactionDeps {
  ledger: Ledger;
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Undefined when the target cannot be called: nobody was asked then, and nothing is on record. */
export async function compactBeside(
  { protocol, raw, body, caller, target }: Compaction,
  { ledger, fetch, now }: CompactionDeps,
): Promise<Response | undefined> {
  if (!canBeCalled(target)) return undefined;
  const startedAt = now();
  const id = makeId(startedAt);
  const plan = { rule: "compaction", targets: [target] };
  const entry = openEntry({ id, protocol, stream: false, model: body.model, caller, plan, now: startedAt }, ledger);
  const sent = await callBeside({ target, suffix: "/compact", body, client: raw.headers, limitMs }, fetch).catch(
    (cause: unknown) => {
      entry.finish({ status: "error", error: "the gateway failed on this request" });
      throw cause;
    },
  );
  if (sent === undefined) throw new Error("a target that can be called was not");
  const { provider, model } = target;
  const servedBy = renderModelReference({ provider: provider.id, model });
  const answer = sent.ok ? await readAll(sent.response) : sent;
  const failed = answer.ok ? failureOf(answer, target, now()) : answer.failure;
  const asked = { provider: provider.id, model, protocol: target.protocol, startedAt, durationMs: now() - startedAt };
  entry.attempt(asked, failed);
  if (!answer.ok) {
    const response = sendError(protocol, toGatewayError(answer.failure, id));
    entry.finish({ status: "error", httpStatus: response.status, error: answer.failure.message });
    return response;
  }
  const { response, bytes } = answer;
  const { status } = response;
  const usage = usageOf(bytes);
  if (failed !== undefined) entry.finish({ status: "error", httpStatus: status, error: failed.message });
  else entry.finish({ status: "completed", httpStatus: status, servedBy, ...(usage !== undefined && { usage }) });
  const headers = {
    ...relayedHeaders(response.headers),
    "content-type": response.headers.get("content-type") ?? "application/json",
    "x-clutch-request-id": id,
    ...(failed === undefined && { "x-clutch-served-by": asHeader(servedBy) }),
  };
  return new Response(bytes, { status, headers });
}

interface Read {
  ok: true;
  response: Response;
  bytes: ArrayBuffer;
}

/** Errors too reach the agent as the upstream has worded them: it compacts by itself then. */
function failureOf({ response, bytes }: Read, target: Target, now: number): Failure | undefined {
  if (response.ok) return undefined;
  const text = Buffer.from(bytes).toString("utf8");
  return classifyAnswer(response.status, response.headers, text, now, target.provider.rateLimitScope);
}

async function readAll(response: Response): Promise<Read | { ok: false; failure: Failure }> {
  try {
    return { ok: true, response, bytes: await response.arrayBuffer() };
  } catch (cause) {
    return { ok: false, failure: classifyThrown(cause, new AbortController().signal) };
  }
}

/** What the upstream has counted; undefined where its answer does not say. */
function usageOf(bytes: ArrayBuffer): Usage | undefined {
  try {
    const body = JSON.parse(Buffer.from(bytes).toString("utf8")) as Json;
    return isObject(body) ? readUsage(body["usage"]) : undefined;
  } catch {
    return undefined;
  }
}
