/**
 * model-scan's routing snapshot (`~/.config/model-scan/routing_snapshot.json`, schema 1.x): which models its measurements
 * put first. Most people have none, and nothing depends on it.
 * @see https://github.com/aaaronmiller/model-scan, contracts/routing_snapshot.schema.json
 */

import { readFileSync } from "node:fs";
import type { Env } from "../config/paths.ts";
import { renderMoment } from "./catalogue.ts";
import { type Fields, fieldsOf } from "./fields.ts";
import { ownProviderId } from "./lists.ts";

export interface ScanCandidate {
  /** By our id. */
  provider: string;
  /** The provider's own name. */
  model: string;
  /** US dollars per million tokens, input and output blended; null is unknown. */
  price: number | null;
  hasTools: boolean;
}

export interface ScanSnapshot {
  /** Milliseconds since 1970. */
  generatedAt: number;
  /** Of the slot `R1_primary`, the best first; what is blocked or whose provider is down is left out. */
  candidates: readonly ScanCandidate[];
  isBlocked(provider: string, model: string): boolean;
}

export type ScanReading =
  | { kind: "absent" }
  | { kind: "fresh"; snapshot: ScanSnapshot }
  /** One line that says why it is not used. */
  | { kind: "stale" | "refused" | "invalid"; line: string };

const staleMs = 24 * 3_600_000;
const slotName = "R1_primary";

/** Where model-scan writes it: its own place, whatever Clutch's home is. */
export function scanPath(env: Env): string {
  const config = env["XDG_CONFIG_HOME"];
  return `${config?.startsWith("/") ? config : `${env["HOME"] ?? ""}/.config`}/model-scan/routing_snapshot.json`;
}

export function readScan(path: string, nowMs: number): ScanReading {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "absent" };
    return { kind: "invalid", line: `model-scan's snapshot ${path} cannot be read (${code})` };
  }
  return parseScan(text, path, nowMs);
}

/** @param path for the message */
export function parseScan(text: string, path: string, nowMs: number): ScanReading {
  const invalid = (why: string): ScanReading => ({
    kind: "invalid",
    line: `model-scan's snapshot ${path} is not valid (${why})`,
  });
  let file: Fields;
  try {
    file = fieldsOf(JSON.parse(text));
  } catch {
    return invalid("no JSON");
  }
  const schema = file["schema_version"];
  if (typeof schema !== "string" || !/^\d+\.\d+\.\d+$/.test(schema)) return invalid("no schema_version");
  if (!schema.startsWith("1.")) {
    return { kind: "refused", line: `model-scan's snapshot ${path} has schema ${schema}: this Clutch reads 1.x` };
  }
  const generatedAt = Date.parse(String(file["generated_at"]));
  if (Number.isNaN(generatedAt)) return invalid("no generated_at");
  const { blocklist } = file;
  if (!Array.isArray(blocklist)) return invalid("no blocklist");
  const slot = fieldsOf(fieldsOf(file["slots"])[slotName]);
  const listed = slot["candidates"];
  if (!Array.isArray(listed)) return invalid(`no slot ${slotName}`);
  if (nowMs - generatedAt > staleMs) {
    return {
      kind: "stale",
      line: `model-scan's snapshot of ${renderMoment(generatedAt)} is older than 24 h: model-scan --emit-snapshot makes a new one`,
    };
  }
  const isBlocked = blockedBy(blocklist.filter((item): item is string => typeof item === "string" && item !== ""));
  const isDown = downProviders(fieldsOf(file["provider_health"]));
  const candidates = [slot["best"], ...listed].flatMap((item): ScanCandidate[] => {
    const { provider, model_id: model, price_blended: price, has_tools: hasTools } = fieldsOf(item);
    if (typeof provider !== "string" || typeof model !== "string" || model === "") return [];
    if (isDown.has(provider.toLowerCase()) || isBlocked(provider, model)) return [];
    return [
      {
        provider: ownProviderId(provider),
        model,
        price: typeof price === "number" ? price : null,
        hasTools: hasTools === true,
      },
    ];
  });
  return { kind: "fresh", snapshot: { generatedAt, candidates, isBlocked } };
}

/** Entries are names or patterns with `*`, found anywhere in the name, in any case, as model-scan itself applies them. */
function blockedBy(entries: readonly string[]): ScanSnapshot["isBlocked"] {
  const patterns = entries.map((entry) => {
    const parts = entry.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&"));
    return new RegExp(parts.join(".*"), "i");
  });
  return (provider, model) => patterns.some((pattern) => pattern.test(model) || pattern.test(`${provider}/${model}`));
}

function downProviders(health: Fields): ReadonlySet<string> {
  const down = Object.entries(health).filter(([, state]) => state === "down");
  return new Set(down.map(([provider]) => provider.toLowerCase()));
}
