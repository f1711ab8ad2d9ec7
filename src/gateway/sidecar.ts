/**
 * Headroom beside the gateway: a request's messages are sent to its `/v1/compress` before any model is asked, and what
 * comes back takes their place. Without Headroom, or when it takes too long, the request goes on as it came.
 */

import { classifyThrown, type Fetch, LimitReached } from "../../providers/upstream.ts";
import type { Json, Protocol } from "../protocols/chat.ts";
import type { RequestBody } from "./body.ts";
import { type Compressed, takeOver } from "./compression.ts";
import type { HeadroomWatch } from "./headroom-watch.ts";
import { topLevelMembers } from "./peek.ts";

/** Measured with 0.42.0: 10-60 ms for 60 KB (ms). */
const compressMs = 2_000;
const compressMsPerByte = 1 / 500;

/** A conversation this short has nothing to gain (bytes). */
const leastBytes = 4_096;

export interface SidecarDeps {
  fetch: Fetch;
  /** Headroom's address, such as `http://127.0.0.1:8787`. */
  url: string;
  watch: HeadroomWatch;
  /** In place of the usual patience, for tests (ms). */
  limitMs?: number;
}

/** Undefined whenever nothing is gained; why is told by the watch. */
export async function compressBeside(
  protocol: Protocol,
  body: RequestBody,
  session: string | undefined,
  deps: SidecarDeps,
): Promise<Compressed | undefined> {
  // Its view of a Responses request is of the texts alone, and what it gives back are messages.
  if (protocol === "responses" || body.size < leastBytes) return undefined;
  const messages = topLevelMembers(body.bytes)?.get("messages");
  if (messages === undefined) return undefined;
  const visit = deps.watch.enter();
  if (visit === undefined) return undefined;
  const controller = new AbortController();
  const limitMs = deps.limitMs ?? compressMs + body.size * compressMsPerByte;
  const timer = setTimeout(
    () => controller.abort(new LimitReached(`takes longer than ${Math.round(limitMs / 100) / 10} s`)),
    limitMs,
  );
  try {
    // Never with a count of frozen messages: what it once returned for this session it returns again, byte for byte.
    // Nor with a mode: "lossy_inline" leaves out most of a log, which nothing could fetch again (0.42.0).
    const config = session === undefined ? {} : { session_id: session.slice(0, 256) };
    const head = `{"model":${JSON.stringify(body.model)},"config":${JSON.stringify(config)},"messages":`;
    const response = await deps.fetch(`${deps.url}/v1/compress`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: Buffer.concat([Buffer.from(head), body.bytes.subarray(messages.start, messages.end), Buffer.from("}")]),
      signal: controller.signal,
      redirect: "manual",
    });
    const answer = Buffer.from(await response.arrayBuffer());
    if (!response.ok) {
      visit.failed("upstream", `does not compress (HTTP ${response.status})`);
      return undefined;
    }
    const problem = findProblem(answer);
    const taken =
      problem === undefined ? takeOver(body, answer, ["messages"]) : ({ ok: false, reason: problem } as const);
    if (!taken.ok) {
      visit.failed("malformed", `cannot be used: ${taken.reason}`);
      return undefined;
    }
    visit.worked();
    return { way: "sidecar", body: taken.body, bytesBefore: body.size };
  } catch (cause) {
    const why = classifyThrown(cause, controller.signal);
    if (why.kind === "timeout") visit.failed("timeout", why.message);
    else visit.failed("network", `does not answer (${why.message})`);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Its messages are taken as bytes; the rest of the answer says whether they may be. */
function findProblem(answer: Buffer): string | undefined {
  const members = topLevelMembers(answer);
  const messages = members?.get("messages");
  if (members === undefined || messages === undefined || answer[messages.start] !== 0x5b) {
    return "its answer has no messages";
  }
  const hashes = members.get("ccr_hashes");
  if (hashes === undefined) return undefined;
  const listed = JSON.parse(answer.toString("utf8", hashes.start, hashes.end)) as Json;
  return Array.isArray(listed) && listed.length > 0 ? "it left things out that only its own tool can fetch" : undefined;
}
