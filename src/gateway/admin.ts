/**
 * `/admin`: what the gateway knows of itself, and the few things that can be done to it while it runs. For programs on this
 * machine only: by the socket's address, not by what headers say.
 */

import { type Context, Hono } from "hono";
import { z } from "zod";
import { ClutchError, renderError } from "../errors.ts";
import { type KnownCircuit, reportBreakers } from "../explain/breakers.ts";
import { matchCircuits } from "../explain/circuit-names.ts";
import { countFree, reportQuota } from "../explain/quota.ts";
import { explainRequest } from "../explain/why.ts";
import { parseCaptureMode } from "../lifecycle/capture-mode.ts";
import type { Json, JsonObject } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import type { Lookups } from "../store/lookups.ts";
import { version } from "../version.ts";
import type { Captures } from "./capture.ts";
import type { DayTotals } from "./day-totals.ts";
import type { FlightReport } from "./flights.ts";
import type { Admission } from "./gate.ts";
import { isLoopbackPeer } from "./guard.ts";
import type { Health } from "./health.ts";
import { createKey, listKeys, revokeKey, rotateKey } from "./key-office.ts";
import { createKeyRequest, revokeKeyRequest, rotateKeyRequest } from "./key-schemas.ts";
import type { Keyring } from "./keyring.ts";
import type { OpenRouterAccount } from "./openrouter-account.ts";
import { type Caller, recognise } from "./recognise.ts";
import { type GatewayStatus, type LineStatus, reportEnded, splitBreakers } from "./status-report.ts";
import type { TierReport } from "./tier-status.ts";

/** Who is at the other end of a request's socket; Bun's server is one. */
export interface PeerSource {
  requestIP(request: Request): { address: string } | null;
}

export interface AdminDeps {
  /** Milliseconds since 1970. */
  now(): number;
  /** Whether this caller may look and touch; whoever is here may where no key is required. */
  admit(caller: Caller, findAddress: () => string | undefined): Admission;
  health: Pick<Health, "list" | "limits" | "reset">;
  /** How many failures open a breaker. */
  failuresLimit(): number;
  /** Undefined while the config has no key for OpenRouter. */
  account(): OpenRouterAccount | undefined;
  ledger: Lookups;
  keyring: Keyring;
  /** Writes what waits, so that the ledger tells of requests that have just ended. */
  flush(): Promise<void>;
  /** The ledger's file: by it a command knows the gateway of its own home. */
  database: string;
  /** How often each routing rule has decided. */
  routing(): Json;
  /** Whether Headroom compresses, and what that is worth by session. */
  headroom(): object;
  /** Milliseconds since 1970. */
  startedAt: number;
  isDraining(): boolean;
  /** Every request with a body. */
  inFlight(): number;
  flights(): FlightReport[];
  captures: Pick<Captures, "report" | "set">;
  problems(): string[];
  /** @param only these; left out, all */
  tiers(only?: readonly string[]): TierReport[];
  today(): DayTotals;
}

/** Set by whatever passes requests on; then the socket's address is not the client's. */
const forwardedHeaders = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"] as const;

/** Rows of a list that somebody looks at. */
const maxRecent = 200;

/** An admin request says one name at most (bytes). */
const maxBodyBytes = 10_000;

export function createAdmin(deps: AdminDeps): Hono<{ Bindings: Partial<PeerSource> }> {
  const admin = new Hono<{ Bindings: Partial<PeerSource> }>();

  admin.use(async (c, next) => {
    if (!isFromHere(c.req.raw, c.env)) return refuse(c, 403, "/admin answers programs on this machine only");
    const admission = deps.admit(recognise(c.req.raw.headers), () => addressOf(c.req.raw, c.env));
    if (!admission.ok) return refuse(c, admission.error.kind === "rate-limit" ? 429 : 401, admission.error.message);
    // A page may send forms and plain text to other origins unasked, but no JSON.
    const isJson = /^application\/json\s*(?:;|$)/i.test(c.req.header("content-type") ?? "");
    if (c.req.method === "POST" && !isJson) return refuse(c, 415, "send content-type: application/json");
    return next();
  });

  admin.get("/", (c) => c.json({ service: "clutch", version, pid: process.pid, database: deps.database }));

  admin.get("/status", async (c) => {
    const wanted = Math.min(maxRecent, Number(c.req.query("recent") ?? 0));
    const status: GatewayStatus = {
      service: "clutch",
      version,
      pid: process.pid,
      database: deps.database,
      started_at: new Date(deps.startedAt).toISOString(),
      draining: deps.isDraining(),
      problems: deps.problems(),
      in_flight: deps.inFlight(),
      requests: deps.flights(),
      tiers: deps.tiers(),
      ...splitBreakers(listBreakers()),
      today: deps.today(),
    };
    if (wanted > 0) {
      // Last, so that a request that ends meanwhile is in both lists rather than in none.
      await deps.flush();
      const ended = await deps.ledger.recentRequests(wanted);
      status.recent = ended.map(({ request, attempts }) => reportEnded(request, attempts));
    }
    return c.json(status);
  });

  admin.get("/line", async (c) => {
    const [tier] = deps.tiers([c.req.query("tier") ?? "BIG"]);
    const launchId = c.req.query("launch");
    const answered = launchId === undefined ? undefined : await deps.ledger.newestOfLaunch(launchId);
    const { requests, cost_usd, unpriced_requests } = deps.today();
    const line: LineStatus = {
      database: deps.database,
      draining: deps.isDraining(),
      problems: deps.problems().length,
      in_flight: deps.inFlight(),
      tier:
        tier === undefined
          ? null
          : {
              tier: tier.tier,
              first: tier.first,
              serves: tier.serves,
              back_at: tier.candidates[0]?.back_at ?? null,
            },
      out: listBreakers().filter(({ state }) => state === "open").length,
      today: { requests, cost_usd, unpriced_requests },
      launch:
        answered === undefined
          ? null
          : {
              served_by: answered.servedBy ?? "",
              model_requested: answered.modelRequested,
              at: new Date(answered.startedAt).toISOString(),
            },
    };
    return c.json(line);
  });

  admin.get("/breakers", (c) => c.json({ breakers: listBreakers() }));

  admin.post("/breakers/reset", async (c) => {
    const match = await readMatch(c);
    if (match === undefined)
      return refuse(c, 400, 'send {"match": "all"}, a model, a provider, or an id of /admin/breakers');
    const reset = deps.health.reset(matchCircuits(match));
    return c.json({ reset, breakers: listBreakers() });
  });

  admin.get("/quota", async (c) => {
    const account = deps.account();
    await account?.look();
    const now = deps.now();
    const [lastHour, today] = await Promise.all([
      deps.ledger.countAttempts(now - 3_600_000, "openrouter"),
      deps.ledger.countAttempts(now - (now % 86_400_000), "openrouter"),
    ]);
    const report = reportQuota({
      limits: deps.health.limits(),
      circuits: known(),
      account: account?.view(),
      sentLastHour: countFree(lastHour),
      sentToday: countFree(today),
      now,
    });
    return c.json(report);
  });

  admin.get("/why/:id", async (c) => {
    await deps.flush();
    const id = c.req.param("id");
    const found = id === "last" ? await deps.ledger.newestRequest() : await findOne(id, deps.ledger);
    if (found === undefined) return refuse(c, 404, `no single request has the id ${JSON.stringify(id)}`);
    return c.json(explainRequest({ request: found, attempts: await deps.ledger.attemptsOf(found.id) }, deps.now()));
  });

  admin.get("/capture", async (c) => c.json({ ...(await deps.captures.report()) }));

  admin.post("/capture", async (c) => {
    const body = await readBody(c);
    const mode = parseCaptureMode(body);
    if (mode === undefined && body?.["what"] !== "off") {
      return refuse(c, 400, 'send {"what": "all" or "errors", "until": milliseconds since 1970}, or {"what": "off"}');
    }
    deps.captures.set(mode);
    return c.json({ ...(await deps.captures.report()) });
  });

  admin.get("/routing", (c) => c.json(deps.routing()));

  admin.get("/headroom", (c) => c.json(deps.headroom()));

  admin.get("/keys", (c) => c.json(listKeys(deps.keyring)));

  admin.post("/keys", (c) => act(c, createKeyRequest, (request) => createKey(request, deps.keyring, deps.now())));

  admin.post("/keys/revoke", (c) => act(c, revokeKeyRequest, (request) => revokeKey(request, deps.keyring)));

  admin.post("/keys/rotate", (c) => act(c, rotateKeyRequest, (request) => rotateKey(request, deps.keyring)));

  admin.notFound((c) => refuse(c, 404, `${c.req.method} ${c.req.path} is not served here`));

  function known(): KnownCircuit[] {
    return deps.health.list();
  }

  function listBreakers() {
    return reportBreakers(known(), deps.now(), deps.failuresLimit());
  }

  return admin;
}

/** An id, or its beginning where only one request has it. */
async function findOne(id: string, ledger: Lookups) {
  const found = await ledger.findRequests(id, 2);
  return found.find((request) => request.id === id) ?? (found.length === 1 ? found[0] : undefined);
}

function isFromHere(request: Request, peers: Partial<PeerSource> | undefined): boolean {
  if (forwardedHeaders.some((name) => request.headers.has(name))) return false;
  const address = addressOf(request, peers);
  return address !== undefined && isLoopbackPeer(address);
}

/** Of the socket's other end; undefined where that is not known. */
export function addressOf(request: Request, peers: Partial<PeerSource> | undefined): string | undefined {
  return peers?.requestIP?.(request)?.address;
}

/** What a request asks to be done; what is wrong with it is told in words. */
async function act<Asked>(
  c: Context,
  schema: z.ZodType<Asked>,
  handle: (request: Asked) => Promise<object>,
): Promise<Response> {
  const length = Number(c.req.header("content-length") ?? Number.NaN);
  if (!(length <= maxBodyBytes)) return refuse(c, 413, `send a body of at most ${maxBodyBytes} bytes, with its length`);
  const read = schema.safeParse(await c.req.json().catch(() => undefined));
  if (!read.success) return refuse(c, 400, z.prettifyError(read.error).replace(/\s*\n\s*/g, " "));
  try {
    return c.json(await handle(read.data));
  } catch (error) {
    if (error instanceof ClutchError) return refuse(c, error.code === "usage" ? 400 : 404, renderError(error));
    throw error;
  }
}

async function readMatch(c: Context): Promise<string | undefined> {
  const match = (await readBody(c))?.["match"];
  return typeof match === "string" ? match : undefined;
}

async function readBody(c: Context): Promise<JsonObject | undefined> {
  const length = Number(c.req.header("content-length") ?? Number.NaN);
  if (!(length <= maxBodyBytes)) return undefined;
  const body = (await c.req.json().catch(() => undefined)) as Json | undefined;
  return isObject(body) ? body : undefined;
}

function refuse(c: Context, status: 400 | 401 | 403 | 404 | 413 | 415 | 429, message: string): Response {
  return c.json({ error: { message } }, status);
}
