/**
 * `/admin`: what the gateway knows of itself, and the few things that can be done to it while it runs. For programs on this
 * machine only: by the socket's address, not by what headers say.
 */

import { type Context, Hono } from "hono";
import type { z } from "zod";
import { ClutchError, type ErrorCode, renderError } from "../errors.ts";
import { type KnownCircuit, reportBreakers } from "../explain/breakers.ts";
import { reportBudget } from "../explain/budgets.ts";
import { matchCircuits } from "../explain/circuit-names.ts";
import { parsePeriod } from "../explain/period.ts";
import { countFree, reportQuota } from "../explain/quota.ts";
import { reportAttempt, reportRequest } from "../explain/requests.ts";
import { reportUsage } from "../explain/usage.ts";
import { explainRequest } from "../explain/why.ts";
import type { Lookups } from "../store/lookups.ts";
import type { ListedRequest, RequestFilter } from "../store/request-list.ts";
import type { RequestRow } from "../store/schema.ts";
import type { GroupedSums, UsageSpan } from "../store/usage.ts";
import type { UsageGroup } from "../usage-groups.ts";
import { version } from "../version.ts";
import type { headroomReport } from "./admin-schemas.ts";
import type { BudgetState } from "./budgets.ts";
import type { Captures } from "./capture.ts";
import type { DayTotals } from "./day-totals.ts";
import { type AdminHandlers, type Asked, adminEndpoints, type Endpoint } from "./endpoints.ts";
import type { FlightReport } from "./flights.ts";
import type { Admission } from "./gate.ts";
import { addressOf, isLoopbackPeer, type PeerSource } from "./guard.ts";
import type { Health } from "./health.ts";
import { createKey, listKeys, revokeKey, rotateKey } from "./key-office.ts";
import type { Keyring } from "./keyring.ts";
import type { OpenRouterAccount } from "./openrouter-account.ts";
import { type Caller, recognise } from "./recognise.ts";
import type { RuleHit } from "./rule-hits.ts";
import { type GatewayStatus, reportEnded, splitBreakers } from "./status-report.ts";
import type { TierReport } from "./tier-status.ts";

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
  ruleHits(): RuleHit[];
  /** Whether Headroom compresses, and what that is worth by session. */
  headroom(): z.input<typeof headroomReport>;
  budgets(): BudgetState[];
  listRequests(filter: RequestFilter, limit: number): Promise<ListedRequest[]>;
  readUsage(span: UsageSpan, by: UsageGroup): GroupedSums[];
  /** Reads the config file; undefined where there is none. @returns the keys that are others now @throws {ClutchError} */
  reload: (() => Promise<string[]>) | undefined;
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

  const handlers: AdminHandlers = {
    about: () => ({ service: "clutch", version, pid: process.pid, database: deps.database }),

    async status({ query: { recent = 0 } }) {
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
      if (recent > 0) {
        // Last, so that a request that ends meanwhile is in both lists rather than in none.
        await deps.flush();
        const ended = await deps.ledger.recentRequests(Math.min(maxRecent, recent));
        status.recent = ended.map(({ request, attempts }) => reportEnded(request, attempts));
      }
      return status;
    },

    async line({ query }) {
      const [tier] = deps.tiers([query.tier ?? "BIG"]);
      const answered = query.launch === undefined ? undefined : await deps.ledger.newestOfLaunch(query.launch);
      const { requests, cost_usd, unpriced_requests } = deps.today();
      return {
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
    },

    breakers: () => ({ breakers: listBreakers() }),

    resetBreakers({ body: { match } }) {
      const reset = deps.health.reset(matchCircuits(match));
      return { reset, breakers: listBreakers() };
    },

    async quota() {
      const account = deps.account();
      await account?.look();
      const now = deps.now();
      const [lastHour, today] = await Promise.all([
        deps.ledger.countAttempts(now - 3_600_000, "openrouter"),
        deps.ledger.countAttempts(now - (now % 86_400_000), "openrouter"),
      ]);
      return reportQuota({
        limits: deps.health.limits(),
        circuits: known(),
        account: account?.view(),
        sentLastHour: countFree(lastHour),
        sentToday: countFree(today),
        now,
      });
    },

    budgets: () => ({ budgets: deps.budgets().map(reportBudget) }),

    async why({ params: { id } }) {
      const found = await findOne(id);
      return explainRequest({ request: found, attempts: await deps.ledger.attemptsOf(found.id) }, deps.now());
    },

    async requests({ query: { limit = 50, agent, status, session, launch } }) {
      await deps.flush();
      // A search through the whole ledger would hold up every stream; `clutch requests` reads it from a process of its own.
      const since = deps.now() - 86_400_000;
      const filter = {
        since,
        ...(agent !== undefined && { agents: [agent] }),
        ...(status !== undefined && { statuses: [status] }),
        ...(session !== undefined && { session }),
        ...(launch !== undefined && { launchId: launch }),
      };
      const rows = await deps.listRequests(filter, limit);
      return { requests: rows.map((row) => reportRequest(row, undefined)) };
    },

    async request({ params: { id } }) {
      const row = await findOne(id);
      const attempts = await deps.ledger.attemptsOf(row.id);
      return { request: reportRequest(row, undefined), attempts: attempts.map(reportAttempt) };
    },

    async usage({ query: { period, by } }) {
      await deps.flush();
      const span = parsePeriod(period, deps.now());
      return reportUsage(deps.readUsage(span, by), span, by);
    },

    capture: () => deps.captures.report(),

    async setCapture({ body }) {
      deps.captures.set(body.what === "off" ? undefined : body);
      return deps.captures.report();
    },

    routing: () => ({ rules: deps.ruleHits() }),

    headroom: () => deps.headroom(),

    keys: () => listKeys(deps.keyring),

    createKey: ({ body }) => createKey(body, deps.keyring, deps.now()),

    revokeKey: ({ body }) => revokeKey(body, deps.keyring),

    rotateKey: ({ body }) => rotateKey(body, deps.keyring),

    async reload() {
      if (deps.reload === undefined) throw new ClutchError("failed", "this gateway follows no config file");
      return { changed: await deps.reload() };
    },
  };

  for (const [name, row] of Object.entries(adminEndpoints) as [keyof AdminHandlers, Endpoint][]) {
    const handle = handlers[name] as (asked: Asked<Endpoint>) => unknown;
    admin.on(row.method.toUpperCase(), row.path.replace(/\{(\w+)\}/g, ":$1"), (c) => serve(c, row, handle));
  }

  admin.notFound((c) => refuse(c, 404, `${c.req.method} ${c.req.path} is not served here`));

  function known(): KnownCircuit[] {
    return deps.health.list();
  }

  function listBreakers() {
    return reportBreakers(known(), deps.now(), deps.failuresLimit());
  }

  /** An id, or its beginning where only one request has it; or the last. */
  async function findOne(id: string): Promise<RequestRow> {
    await deps.flush();
    const some = id === "last" ? [await deps.ledger.newestRequest()] : await deps.ledger.findRequests(id, 2);
    const found = some.find((request) => request?.id === id) ?? (some.length === 1 ? some[0] : undefined);
    if (found === undefined) throw new ClutchError("failed", `no single request has the id ${JSON.stringify(id)}`);
    return found;
  }

  return admin;
}

function isFromHere(request: Request, peers: Partial<PeerSource> | undefined): boolean {
  if (forwardedHeaders.some((name) => request.headers.has(name))) return false;
  const address = addressOf(request, peers);
  return address !== undefined && isLoopbackPeer(address);
}

/** Reads what is asked by the row's schemas, and has it answered; what is wrong with it is told in words. */
async function serve(c: Context, row: Endpoint, handle: (asked: Asked<Endpoint>) => unknown): Promise<Response> {
  const params = row.params?.safeParse(c.req.param());
  if (params?.success === false) return refuse(c, 400, describeMistake(params.error));
  const query = row.query?.safeParse(c.req.query());
  if (query?.success === false) return refuse(c, 400, describeMistake(query.error));
  let body: z.ZodSafeParseResult<unknown> | undefined;
  if (row.body !== undefined) {
    const length = Number(c.req.header("content-length") ?? Number.NaN);
    if (!(length <= maxBodyBytes)) return refuse(c, 413, `send at most ${maxBodyBytes} bytes, and their number`);
    body = row.body.schema.safeParse(await c.req.json().catch(() => undefined));
    const example = JSON.stringify(row.body.example);
    if (!body.success) return refuse(c, 400, `send JSON such as ${example}: ${describeMistake(body.error)}`);
  }
  try {
    const asked = { params: params?.data, query: query?.data, body: body?.data } as Asked<Endpoint>;
    return c.json((await handle(asked)) as object);
  } catch (error) {
    if (error instanceof ClutchError) return refuse(c, badRequests.has(error.code) ? 400 : 404, renderError(error));
    throw error;
  }
}

/** What is wrong with what was sent, rather than with what it is about. */
const badRequests: ReadonlySet<ErrorCode> = new Set([
  "usage",
  "config-invalid",
  "config-unreadable",
  "unknown-provider",
]);

function describeMistake(error: z.ZodError): string {
  const [{ path, message } = { path: [], message: "it cannot be read" }] = error.issues;
  const problem = message.charAt(0).toLowerCase() + message.slice(1);
  return path.length === 0 ? problem : `${path.map(String).join(".")}: ${problem}`;
}

function refuse(c: Context, status: 400 | 401 | 403 | 404 | 413 | 415 | 429, message: string): Response {
  return c.json({ error: { message } }, status);
}
