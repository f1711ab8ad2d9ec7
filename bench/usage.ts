/** A month of requests in a ledger, written as the gateway writes them, and how long `clutch usage` takes to add them up. */

import { join } from "node:path";
import { openStore } from "../src/store/open.ts";
import { requestQueries } from "../src/store/requests.ts";
import type { RequestRow } from "../src/store/schema.ts";
import { type CommandTimes, measureCommands } from "./startup.ts";

const monthRequests = 1_000_000;
const batchRows = 5_000;
const dayMs = 86_400_000;

/** Many for one person, and all of them on every day: 25 projects with two agents each, 12 models in five tiers. */
const kinds = {
  agents: ["c", "x", "q", "p", "o", "h", "a"],
  models: Array.from({ length: 12 }, (_, at) => `provider-${at % 5}:vendor/model-${at}`),
  folders: Array.from({ length: 25 }, (_, at) => `/home/me/work/project-${at}`),
  tiers: ["BIG", "MIDDLE", "SMALL", "f", "m"],
};

const turnsOfSession = 40;

/** @returns how many days it took them, the last one today */
export async function fillLedger(path: string, count: number, now: number): Promise<number> {
  const days = new Date(now).getUTCDate();
  const first = Math.floor(now / dayMs) * dayMs - (days - 1) * dayMs;
  const store = openStore(path);
  const queries = requestQueries(store.db);
  for (let from = 0; from < count; from += batchRows) {
    const rows = Array.from({ length: Math.min(batchRows, count - from) }, (_, at) => {
      const index = from + at;
      return buildRow(index, first + Math.floor((index / count) * days * dayMs));
    });
    await queries.save(rows, []);
  }
  store.close();
  return days;
}

function buildRow(index: number, startedAt: number): RequestRow {
  const session = Math.floor(index / turnsOfSession);
  const project = session % kinds.folders.length;
  const isOther = Math.floor(session / kinds.folders.length) % 2;
  const model = Math.floor(index / 7) % kinds.models.length;
  return {
    id: startedAt.toString(36) + (index % 36 ** 6).toString(36).padStart(6, "0"),
    startedAt,
    status: index % 50 === 0 ? "error" : "completed",
    protocol: "messages",
    streamed: true,
    agent: kinds.agents[(project + isOther) % kinds.agents.length] ?? null,
    session: `session-${session}`,
    folder: kinds.folders[project] ?? null,
    tier: kinds.tiers[model % kinds.tiers.length] ?? null,
    modelRequested: "clutch-big",
    servedBy: kinds.models[model] ?? null,
    attempts: 1,
    httpStatus: 200,
    inputTokens: 2_000,
    cacheReadTokens: 40_000,
    cacheWriteTokens: 1_000,
    outputTokens: 300,
    reasoningTokens: 50,
    costUsd: 0.02,
    pricing: "list",
    durationMs: 3_000,
  };
}

/** The floor first: a command that reads nothing. */
export async function measureUsage(clutch: string, home: string, runs: number): Promise<CommandTimes[]> {
  await fillLedger(join(home, "clutch.db"), monthRequests, Date.now());
  const env = { HOME: home, CLUTCH_HOME: home };
  const usage = (...args: string[]) => ({
    name: `usage ${args.join(" ")}`,
    argv: [clutch, "usage", ...args],
    env,
  });
  return measureCommands(
    [
      { name: "clutch --version", argv: [clutch, "--version"], env },
      usage("month"),
      usage("month", "--by", "session", "--json"),
      usage("today"),
    ],
    runs,
  );
}
