/** `clutch keys`: who may use the gateway. Asked of the running one, which knows at once; without one, of the ledger. */

import { existsSync } from "node:fs";
import type { ZodType } from "zod";
import { agentIds } from "../src/agent-roles.ts";
import { type Env, type Homes, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { renderKeys } from "../src/explain/render-keys.ts";
import type { KeyList, KeyReport, NewKeyReport, RotatedKeyReport } from "../src/gateway/key-schemas.ts";
import type { Keyring } from "../src/gateway/keyring.ts";
import { nearest } from "../src/nearest.ts";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import type { KeyQueries } from "../src/store/keys.ts";
import { paint } from "./paint.ts";
import { askGateway, describeSource } from "./running-gateway.ts";

export interface CreateKeyFlags {
  agents?: string[];
  models?: string[];
  budget?: string[];
  softBudget?: string[];
  expires?: string;
  json?: boolean;
}

export interface RotateKeyFlags {
  grace?: string;
  json?: boolean;
}

export async function listKeys(flags: { json?: boolean }, env: Env): Promise<number> {
  const { body, note } = await answer<KeyList>("/keys", undefined, env, async (office, keyring) =>
    office.listKeys(keyring),
  );
  if (flags.json === true) print(body);
  else console.log(renderKeys(body, Date.now(), paint, note));
  return 0;
}

export async function createKey(name: string, flags: CreateKeyFlags, env: Env): Promise<number> {
  const agents = splitList(flags.agents);
  const models = splitList(flags.models);
  const budget = { ...readLimits("hard", flags.budget), ...readLimits("soft", flags.softBudget) };
  const request = {
    name,
    agents: agents.length === 0 ? null : agents.map(readAgent),
    models: models.length === 0 ? null : models,
    budget: Object.keys(budget).length === 0 ? null : budget,
    expires_at: flags.expires === undefined ? null : new Date(readTime(flags.expires, Date.now())).toISOString(),
  };
  const { body } = await answer<NewKeyReport>("/keys", request, env, async (office, keyring, schemas) =>
    office.createKey(readRequest(schemas.createKeyRequest, request), keyring, Date.now()),
  );
  if (flags.json === true) print(body);
  else tellOnce(body);
  return 0;
}

/** @param name its id, the beginning of it, or its name */
export async function revokeKey(name: string, flags: { json?: boolean }, env: Env): Promise<number> {
  const { body } = await answer<KeyReport>("/keys/revoke", { key: name }, env, async (office, keyring) =>
    office.revokeKey({ key: name }, keyring),
  );
  if (flags.json === true) print(body);
  else console.log(`${body.name} (${body.id}) is revoked: nothing is answered to it any more`);
  return 0;
}

/** @param name its id, the beginning of it, or its name */
export async function rotateKey(name: string, flags: RotateKeyFlags, env: Env): Promise<number> {
  const grace_seconds = flags.grace === undefined ? 0 : Math.round(readSpan(flags.grace) / 1000);
  const request = { key: name, grace_seconds };
  const { body } = await answer<RotatedKeyReport>("/keys/rotate", request, env, async (office, keyring, schemas) =>
    office.rotateKey(readRequest(schemas.rotateKeyRequest, request), keyring),
  );
  if (flags.json === true) print(body);
  else {
    tellOnce(body);
    const { id, state, expires_at } = body.replaces;
    console.error(
      state === "revoked" ? `the old one (${id}) is revoked` : `the old one (${id}) is good until ${expires_at}`,
    );
  }
  return 0;
}

/** The key alone goes to standard output, so that a script can take it. */
function tellOnce({ key, about }: NewKeyReport): void {
  console.log(key);
  console.error(paint.dim(`${about.name} (${about.id}): shown this once, and only its hash is kept`));
}

function print(value: object): void {
  console.log(JSON.stringify(value, null, 2));
}

type Office = typeof import("../src/gateway/key-office.ts");
type Schemas = typeof import("../src/gateway/key-schemas.ts");

/** @param inLedger what does the same without a gateway */
async function answer<Report>(
  path: string,
  request: Json | undefined,
  env: Env,
  inLedger: (office: Office, keyring: Keyring, schemas: Schemas) => Promise<Report>,
): Promise<{ body: Report; note?: string }> {
  const homes = resolveHomes(env);
  const asked = await askGateway(homes, env, path, request);
  if (asked.ok) return { body: asked.body as Report };
  if (asked.refusal !== undefined) throw new ClutchError("failed", asked.refusal);
  const body = await withKeyring(homes, asked.reason, request === undefined, inLedger);
  return { body, note: describeSource(asked.reason) };
}

/** Only looked at, the ledger may be a gateway's; to write, it is held as by one, so that none runs beside and goes by what it remembers. */
async function withKeyring<Report>(
  homes: Homes,
  reason: string,
  isReading: boolean,
  act: (office: Office, keyring: Keyring, schemas: Schemas) => Promise<Report>,
): Promise<Report> {
  const office = await import("../src/gateway/key-office.ts");
  const schemas = await import("../src/gateway/key-schemas.ts");
  const { Keyring } = await import("../src/gateway/keyring.ts");
  const make = (queries: KeyQueries) => new Keyring({ queries, now: Date.now });
  const { keyQueries } = await import("../src/store/keys.ts");
  if (isReading) {
    if (!existsSync(homes.database)) return act(office, make(noKeys), schemas);
    const { readBeside } = await import("../src/store/beside.ts");
    return readBeside(homes.database, async (db) => {
      const keyring = make(keyQueries(db));
      await keyring.restore();
      return act(office, keyring, schemas);
    });
  }
  const { openStore } = await import("../src/store/open.ts");
  const store = openOwned(() => openStore(homes.database), reason);
  try {
    const keyring = make(keyQueries(store.db));
    await keyring.restore();
    return await act(office, keyring, schemas);
  } finally {
    store.close();
  }
}

const noKeys: KeyQueries = { load: async () => [], save: async () => {}, noteUses: async () => {} };

/** What a gateway would refuse is refused without one. @throws {ClutchError} `usage` */
function readRequest<Request>(schema: ZodType<Request>, request: Json): Request {
  const read = schema.safeParse(request);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const message = `${issue?.path.join(".")}: ${issue?.message}`;
  throw new ClutchError("usage", message, { hint: "see clutch keys --help" });
}

function openOwned<Store>(open: () => Store, reason: string): Store {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof ClutchError) || cause.code !== "database-busy") throw cause;
    throw new ClutchError("database-busy", `a gateway runs, but cannot be asked: ${reason}`, {
      hint: "set CLUTCH_PORT to the port that clutch serve printed",
      cause,
    });
  }
}

/** Given as several words, or with commas between them. */
function splitList(words: readonly string[] = []): string[] {
  return words
    .flatMap((word) => word.split(","))
    .map((word) => word.trim())
    .filter((word) => word !== "");
}

/** An agent by its name or its letter. */
function readAgent(word: string): string {
  const names = Object.keys(agentIds);
  const byLetter = Object.entries(agentIds).find(([, letter]) => letter === word)?.[0];
  const name = names.includes(word) ? word : byLetter;
  if (name !== undefined) return name;
  const near = nearest(word, names);
  throw new ClutchError("usage", `--agents has ${JSON.stringify(word)}, which is no agent`, {
    hint: near === undefined ? `use some of ${names.join(", ")}` : `did you mean ${near}?`,
  });
}

const units = ["usd", "tokens", "requests"];

/** `usd=5` -> `{ hard_usd: 5 }`. */
function readLimits(level: "hard" | "soft", words: readonly string[] | undefined): JsonObject {
  const flag = level === "hard" ? "--budget" : "--soft-budget";
  return Object.fromEntries(
    splitList(words).map((word) => {
      const [unit = "", text = ""] = word.split("=");
      const amount = Number(text);
      const isAmount = /^\d+(\.\d+)?$/.test(text) && (unit === "usd" || Number.isInteger(amount));
      if (!units.includes(unit) || !isAmount) {
        throw new ClutchError("usage", `${flag} has ${JSON.stringify(word)}, which is no limit`, {
          hint: "write usd=5, tokens=2000000 or requests=100",
        });
      }
      return [`${level}_${unit}`, amount];
    }),
  );
}

const spanMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** `30d` -> milliseconds. */
function readSpan(text: string): number {
  const [, count, unit] = /^(\d+)([mhdw])$/.exec(text) ?? [];
  if (count !== undefined) return Number(count) * spanMs[unit as keyof typeof spanMs];
  throw new ClutchError("usage", `${JSON.stringify(text)} is no span of time`, { hint: "write 90m, 24h, 30d or 4w" });
}

/** A span from now on, a day (its beginning, UTC) or a moment -> milliseconds since 1970. */
function readTime(text: string, now: number): number {
  const at = /^\d+[mhdw]$/.test(text) ? now + readSpan(text) : Date.parse(text);
  if (/^\d/.test(text) && Number.isFinite(at) && at < 8.64e15) return at;
  throw new ClutchError("usage", `--expires is ${JSON.stringify(text)}, which is no time`, {
    hint: "write 30d, 2027-01-31 or 2027-01-31T18:00:00Z",
  });
}
