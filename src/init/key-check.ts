/** Whether a key opens its provider: one cheap call that needs it and costs nothing. */

import type { KeyHeader } from "../../providers/catalog.ts";
import type { Provider } from "../../providers/registry.ts";
import type { Fetch } from "../../providers/upstream.ts";
import type { Json, Protocol } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

export interface KeyVerdict {
  /** `unknown`: nothing was heard that would say. */
  kind: "works" | "refused" | "unknown";
  /** A few words for people; never with the key in them. */
  detail: string;
}

export interface KeyCheckDeps {
  fetch: Fetch;
  limitMs?: number;
}

const usualLimitMs = 8_000;

/** Everybody may read their list of models. */
const openLists: ReadonlySet<string> = new Set(["nvidia", "zen", "github"]);

/** @see https://openrouter.ai/docs/api-reference/limits: its list is open to all, its account is not */
const ownPaths: Readonly<Record<string, string>> = { openrouter: "/key" };

/** Never throws. */
export async function checkKey(provider: Provider, key: string, deps: KeyCheckDeps): Promise<KeyVerdict> {
  const [protocol, url] = (Object.entries(provider.urls) as [Protocol, string][])[0] ?? [];
  if (protocol === undefined || url === undefined) return { kind: "unknown", detail: "it has no address" };
  const base = url
    .replace(/\/(chat\/completions|messages|responses)$/, "")
    .replace(/\/openai\/deployments\/[^/]+$/, "/openai");
  const path = provider.isBuiltIn ? (ownPaths[provider.id] ?? "/models") : "/models";
  try {
    const response = await deps.fetch(base + path + provider.query, {
      headers: { ...keyHeaders(provider.auth[protocol], key), ...provider.headers, accept: "application/json" },
      signal: AbortSignal.timeout(deps.limitMs ?? usualLimitMs),
      redirect: "manual",
    });
    const text = (await response.text()).slice(0, 1_000_000);
    return judge(provider, response.status, text, key);
  } catch (cause) {
    const code = (cause as { code?: unknown; name?: unknown }).code ?? (cause as Error).name;
    return { kind: "unknown", detail: `${new URL(base).host} cannot be reached (${String(code)})` };
  }
}

function keyHeaders(header: KeyHeader, key: string): Record<string, string> {
  const name = header === "bearer" ? "authorization" : header;
  return { [name]: header === "bearer" ? `Bearer ${key}` : key, "anthropic-version": "2023-06-01" };
}

function judge({ id }: Provider, status: number, text: string, key: string): KeyVerdict {
  const body = readJson(text);
  const said = messageOf(body)?.replaceAll(key, "(hidden)");
  const words = said === undefined ? `${status}` : `${status}: ${said}`;
  if (status === 401 || status === 403) return { kind: "refused", detail: words };
  if (status === 402) return { kind: "works", detail: `no credit is left (${words})` };
  if (status === 429) return { kind: "works", detail: `its limit is reached for now (${words})` };
  if (status < 200 || status >= 300) return { kind: "unknown", detail: `it answered ${words}` };
  if (openLists.has(id)) return { kind: "unknown", detail: "its list is open to all, which says nothing of the key" };
  return { kind: "works", detail: describe(body) };
}

function readJson(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

function messageOf(body: Json | undefined): string | undefined {
  if (!isObject(body)) return undefined;
  const error = body["error"];
  const message = isObject(error) ? error["message"] : (error ?? body["message"]);
  return typeof message === "string" ? message.slice(0, 120).replace(/\s+/g, " ") : undefined;
}

function describe(body: Json | undefined): string {
  const data = isObject(body) ? body["data"] : undefined;
  if (Array.isArray(data)) return `${data.length} models`;
  if (!isObject(data)) return "it answers";
  const left = data["limit_remaining"];
  const tier = data["is_free_tier"] === true ? "free tier" : "paid tier";
  return typeof left === "number" ? `${tier}, ${left.toFixed(2)} USD left` : tier;
}
