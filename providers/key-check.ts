/** One cheap call that shows whether a provider is there and takes a key: its list of models, never an answer of a model. */

import { version } from "../src/version.ts";
import type { Provider } from "./registry.ts";
import { buildUpstreamHeaders } from "./request.ts";
import { classifyThrown, type Fetch } from "./upstream.ts";

/**
 * accepted     it answered as it does to those it knows
 * refused      it does not take the key (401, 403)
 * unpaid       it takes the key and wants money first (402)
 * limited      too many requests for now (429): the key is known
 * unproven     it answers, and has no such list: nothing is known of the key
 * failing      it answers with its own trouble (5xx), or with what makes no sense
 * unreachable  nobody answered
 */
export type KeyVerdict = "accepted" | "refused" | "unpaid" | "limited" | "unproven" | "failing" | "unreachable";

export interface KeyCheck {
  verdict: KeyVerdict;
  /** Undefined when nobody answered. */
  status: number | undefined;
  /** In words: the provider's own, or why it could not be asked. Never the key. */
  detail: string;
  durationMs: number;
  /** Of the answer's Date header (ms since 1970), against the moment it came; undefined where it told none. */
  clock: { theirs: number; ours: number } | undefined;
}

export interface KeyCheckDeps {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  limitMs?: number;
}

const usualLimitMs = 10_000;

/** Everybody may read their list of models. */
const openLists: ReadonlySet<string> = new Set(["nvidia", "zen", "github"]);

/** Of a refusal, as much as holds its message (bytes). */
const maxAnswerBytes = 16 * 1024;

/** @param key undefined for a server that needs none */
export async function checkKey(provider: Provider, key: string | undefined, deps: KeyCheckDeps): Promise<KeyCheck> {
  const startedAt = deps.now();
  const signal = AbortSignal.timeout(deps.limitMs ?? usualLimitMs);
  const { url, headers } = buildKeyCheck(provider, key);
  try {
    const response = await deps.fetch(url, { headers, signal, redirect: "manual" });
    const ours = deps.now();
    const theirs = Date.parse(response.headers.get("date") ?? "");
    const message = response.ok ? "" : readMessage(await readStart(response), key);
    if (response.ok) await response.body?.cancel();
    const isOpen = provider.isBuiltIn && openLists.has(provider.id) && key !== undefined;
    const verdict = response.ok && isOpen ? "unproven" : judge(response.status);
    return {
      verdict,
      status: response.status,
      detail:
        response.ok && isOpen
          ? "its list is open to all"
          : message === ""
            ? `HTTP ${response.status}`
            : `HTTP ${response.status}: ${message}`,
      durationMs: ours - startedAt,
      clock: Number.isNaN(theirs) ? undefined : { theirs, ours },
    };
  } catch (cause) {
    const detail = signal.aborted
      ? `no answer within ${(deps.limitMs ?? usualLimitMs) / 1000} s`
      : classifyThrown(cause, signal).message;
    return { verdict: "unreachable", status: undefined, detail, durationMs: deps.now() - startedAt, clock: undefined };
  }
}

/** Pure. OpenRouter's list is open to everybody, so its key is asked about itself. */
export function buildKeyCheck(
  provider: Provider,
  key: string | undefined,
): { url: string; headers: Record<string, string> } {
  const protocol = provider.urls.chat !== undefined ? "chat" : provider.urls.responses ? "responses" : "messages";
  const base = (provider.urls[protocol] ?? "")
    .replace(/\/(?:chat\/completions|messages|responses)$/, "")
    // Azure's list is the resource's, not a deployment's.
    .replace(/\/openai\/deployments\/[^/]+$/, "/openai");
  const path = provider.isBuiltIn && provider.id === "openrouter" ? "/key" : "/models";
  const headers = buildUpstreamHeaders({
    provider,
    protocol,
    sameProtocol: false,
    client: new Headers(),
    credential: "ours",
    stream: false,
    key,
    refusedBetas: [],
  });
  delete headers["content-type"];
  return { url: base + path + provider.query, headers: { ...headers, "user-agent": `clutch/${version}` } };
}

function judge(status: number): KeyVerdict {
  if (status >= 200 && status < 300) return "accepted";
  if (status === 401 || status === 403) return "refused";
  if (status === 402) return "unpaid";
  if (status === 429) return "limited";
  if ([400, 404, 405, 501].includes(status)) return "unproven";
  return "failing";
}

async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxAnswerBytes) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** `{"error": {"message"}}`, `{"error": "..."}`, `{"message"}`, `{"detail"}`; some repeat the key that they refuse. */
function readMessage(text: string, key: string | undefined): string {
  let found: unknown;
  try {
    const body = JSON.parse(text) as Record<string, unknown> | null;
    const error = body?.["error"];
    found = (error as { message?: unknown } | undefined)?.message ?? error ?? body?.["message"] ?? body?.["detail"];
  } catch {
    // A page for people.
  }
  if (typeof found !== "string") return "";
  const hidden = key === undefined || key === "" ? found : found.replaceAll(key, "(the key)");
  // What they repeat may be cut or starred, and still begin with it.
  const starred = hidden.replace(/\b(?:sk|pk|gsk|xai|key|AIza)[-_A-Za-z0-9*.]{8,}/g, "(a key)");
  return starred.replace(/\s+/g, " ").trim().slice(0, 160);
}
