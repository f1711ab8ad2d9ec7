/**
 * What is said under /admin and by the operational endpoints. The types that reports are made by come from here, and so does
 * /openapi.json. Commands take the types alone, so that none of them loads a validator. Times are ISO 8601 in UTC, spans
 * milliseconds, tokens and requests counts, money US dollars.
 */

import { z } from "zod";
import { type FailureKind, reactions } from "../../providers/failure.ts";
import { allowanceSchema } from "../config/allowance.ts";
import { pricings, requestStatuses } from "../store/schema.ts";
import { usageGroups } from "../usage-groups.ts";

const time = z.iso.datetime();
const span = z.number().describe("milliseconds");
const count = z.int();
const usd = z.number();

const protocol = z.enum(["messages", "chat", "responses"]);
const status = z.enum(requestStatuses);
export const failureKind = z.enum(Object.keys(reactions) as [FailureKind, ...FailureKind[]]);
const target = z.string().describe("provider:model");
const agentLetter = z.string().nullable().describe("the agent's letter in launch codes");

const left = z
  .array(z.strictObject({ target, kind: failureKind }))
  .describe("those that were asked and did not answer, in their order");

export const errorReport = z.looseObject({ error: z.looseObject({ message: z.string() }) });

export const about = z.strictObject({
  service: z.literal("clutch"),
  version: z.string(),
  pid: count,
  database: z.string().describe("the ledger's file: by it a command knows the gateway of its own home"),
});

// ---- what is out of order

export const breakerReport = z.strictObject({
  id: z.string(),
  what: z.string().describe("as a person calls it"),
  scope: z.enum(["provider", "account", "key", "pool", "model"]).nullable(),
  state: z.enum(["open", "half-open", "counting"]),
  kind: failureKind.nullable().describe("the failure that opened it; null while it only counts"),
  reason: z.string().nullable(),
  since: time.nullable(),
  back_at: time.nullable(),
  told_by: z
    .enum(["upstream", "guess"])
    .nullable()
    .describe("who says when it is back: the upstream itself, or Clutch, which doubles its guess each time"),
  probing: z.boolean().describe("a request is trying it at this moment"),
  failures: z.number().describe("weight of the failures since the last success; a soft one weighs one half"),
  failures_limit: count.nullable().describe("how many open it; null where the config is not known"),
  openings: count.describe("how often in a row it has opened"),
});

export const breakerList = z.strictObject({ breakers: z.array(breakerReport) });

export const resetBreakersRequest = z.strictObject({
  match: z.string().min(1).max(500).describe("all, a model, a provider, or an id of /admin/breakers"),
});

export const resetReport = z.strictObject({
  reset: z.array(z.string()).describe("ids of what will be tried again"),
  breakers: z.array(breakerReport),
});

// ---- limits

const limitReport = z.strictObject({
  model: z.string(),
  requests_per_minute: z.number(),
  used: count,
  back_at: time.nullable().describe("when the model may be asked again; null while it may"),
});

const freePoolReport = z
  .strictObject({
    asked_at: time.nullable().describe("null when OpenRouter was not asked, and then it is not known what is left"),
    error: z.string().nullable(),
    limit: count.nullable(),
    used: count.nullable(),
    remaining: count.nullable(),
    resets_at: time,
    credit_usd: usd.nullable().describe("what the key may still spend; null without a limit, or when it is not known"),
    sent_last_hour: count.describe("requests to free models in Clutch's own ledger"),
    sent_today: count,
    ends_at: time
      .nullable()
      .describe("when it is used up if things go on as in the last hour; null if not before it resets, or not known"),
  })
  .describe("all of OpenRouter's free models draw on it");

export const quotaReport = z.strictObject({
  limits: z.array(limitReport).describe("the config's own"),
  closed: z
    .array(breakerReport)
    .describe("keys, accounts, providers and pools that are closed, or about to be tried again"),
  openrouter: freePoolReport.nullable().describe("null where the config has no key for OpenRouter"),
});

const amounts = z.strictObject({ usd, tokens: count, requests: count });

export const budgetList = z.strictObject({
  budgets: z
    .array(
      z.strictObject({
        scope: z.enum(["day", "agent", "session", "key"]),
        name: z.string().nullable().describe("the agent, the session's id or the key's; null for the day"),
        limits: allowanceSchema,
        used: amounts,
        state: z.enum(["ok", "soft", "hard"]).describe("soft: only free models are asked; hard: nothing is"),
        resets_at: time.nullable().describe("null for a session, whose budget does not begin anew"),
      }),
    )
    .describe("those with a limit; of sessions, those of the last hour"),
});

export type BudgetReport = z.infer<typeof budgetList>["budgets"][number];

// ---- how things stand

const tierCandidate = z.strictObject({
  target,
  state: z
    .enum(["ready", "closed", "unsuited"])
    .describe("closed: out of order or used up for a while; unsuited: it would not be asked however well it is"),
  reason: z.string().nullable(),
  back_at: time.nullable(),
});

export const tierReport = z.strictObject({
  tier: z.string().describe("BIG, MIDDLE, SMALL, or the letter of a launch"),
  kind: z.enum(["tier", "letter"]),
  first: target.nullable().describe("the model that stands first; null where the config names none"),
  serves: target.nullable().describe("who would be asked first now; null when nobody can be"),
  candidates: z.array(tierCandidate),
});

export const flightReport = z.strictObject({
  id: z.string(),
  started_at: time,
  age_ms: span,
  agent: agentLetter,
  code: z.string().nullable(),
  launch_id: z.string().nullable(),
  session: z.string().nullable(),
  protocol,
  streamed: z.boolean(),
  model_requested: z.string(),
  rule: z.string().nullable(),
  phase: z.enum(["routing", "waiting", "pausing", "answering"]),
  targets: z.array(target).describe("who is asked or answers now; two where a second was asked beside a slow first"),
  phase_ms: span.nullable().describe("how long they have been asked"),
  left,
  candidates: count,
  first_token_ms: span.nullable(),
  output_tokens_estimate: count.nullable().describe("so far, at four characters to a token; null until there is some"),
});

export const dayTotals = z.strictObject({
  since: time.describe("the start of the day"),
  requests: count.describe("those that have ended, however they did"),
  completed: count,
  errors: count,
  aborted: count,
  input_tokens: count,
  cache_read_tokens: count,
  cache_write_tokens: count,
  output_tokens: count,
  reasoning_tokens: count,
  cost_usd: usd.nullable().describe("as far as it is known; null when nothing is"),
  unpriced_requests: count.describe("answers whose price nobody told, left ones included"),
  savings: z
    .strictObject({ tokens_before: count, tokens_after: count })
    .nullable()
    .describe("what compression has made of the input of requests that it was tried on; null where there were none"),
});

export const endedRequest = z.strictObject({
  id: z.string(),
  started_at: time,
  ended_at: time,
  status,
  agent: agentLetter,
  code: z.string().nullable(),
  launch_id: z.string().nullable(),
  streamed: z.boolean(),
  model_requested: z.string(),
  served_by: z.string().nullable(),
  http_status: count.nullable(),
  error: z.string().nullable(),
  duration_ms: span,
  first_token_ms: span.nullable(),
  input_tokens: count.nullable(),
  output_tokens: count.nullable(),
  cost_usd: usd.nullable(),
  left,
});

export const gatewayStatus = z.strictObject({
  ...about.shape,
  started_at: time,
  draining: z.boolean(),
  problems: z.array(z.string()).describe("things a person should know"),
  in_flight: count.describe("every request with a body, also those that ask no model"),
  requests: z.array(flightReport),
  tiers: z.array(tierReport),
  breakers: z.array(breakerReport).describe("of models"),
  domains: z.array(breakerReport).describe("of what several models share: providers, accounts, keys, pools"),
  today: dayTotals,
  recent: z.array(endedRequest).optional().describe("the last that have ended; only where they are asked for"),
});

export const lineStatus = z.strictObject({
  database: z.string(),
  draining: z.boolean(),
  problems: count,
  in_flight: count,
  tier: z
    .strictObject({ ...tierReport.pick({ tier: true, first: true, serves: true }).shape, back_at: time.nullable() })
    .nullable()
    .describe("what a launch of the tier that was asked for is served by; null for a tier that is none"),
  out: count.describe("models, keys, accounts and providers that are asked nothing at the moment"),
  today: dayTotals.pick({ requests: true, cost_usd: true, unpriced_requests: true }),
  launch: z
    .strictObject({ served_by: z.string(), model_requested: z.string(), at: time })
    .nullable()
    .describe("of the launch that asks; null where it has had no answer yet, or there is none"),
});

export const ruleHit = z.strictObject({
  rule: z.string().describe("a config key such as routes.image, or the name of a rule that nobody has to configure"),
  hits: count,
  last_hit_at: z.number().nullable().describe("milliseconds since 1970, like since"),
  since: z.number().describe("when the rule was first seen"),
});

export const routingReport = z.strictObject({ rules: z.array(ruleHit) });

export const sessionSavings = z.strictObject({
  session: z.string(),
  requests: count,
  compressed: count,
  tokens_saved: z.number(),
  cache_tokens_lost: z.number(),
  harmful: z.string().nullable().describe("why its requests are no longer compressed"),
});

export const headroomReport = z.strictObject({
  mode: z.enum(["front", "sidecar", "off"]),
  url: z.string(),
  state: z.enum(["up", "down", "unknown"]),
  since: z.number().nullable().describe("since when it is down (milliseconds since 1970)"),
  reason: z.string().nullable(),
  retryAt: z.number().nullable().describe("when it is tried again; null while it is tried with every request"),
  compressed: count.describe("requests since the gateway's start that it compressed"),
  missed: count.describe("requests that were answered without it because of it"),
  sessions: z.array(sessionSavings),
});

// ---- the ledger

export const requestReport = z.strictObject({
  id: z.string(),
  started_at: time,
  agent: agentLetter,
  code: z.string().nullable(),
  launch_id: z.string().nullable(),
  session: z.string().nullable(),
  folder: z.string().nullable().describe("where the agent was started; null where nothing tells"),
  model_requested: z.string(),
  served_by: z.string().nullable(),
  status,
  attempts: count,
  input_tokens: count.nullable().describe("neither read from nor written to a prompt cache"),
  cache_read_tokens: count.nullable(),
  cache_write_tokens: count.nullable(),
  output_tokens: count.nullable().describe("reasoning included"),
  reasoning_tokens: count.nullable(),
  usage_estimated: z.boolean().nullable(),
  cost_usd: usd.nullable().describe("null is unknown, not zero"),
  pricing: z
    .enum(pricings)
    .nullable()
    .describe("what the cost is made of: billed by the upstream, counted from a list, free, or paid for by a plan"),
  price_source: z.string().nullable(),
  duration_ms: span.nullable(),
  first_token_ms: span.nullable(),
  http_status: count.nullable(),
  error: z.string().nullable(),
  rule: z.string().nullable(),
  tier: z.string().nullable().describe("the launch code's letter, or the config's tier"),
  protocol,
  streamed: z.boolean(),
  compression: z.string().nullable(),
  tokens_before: count.nullable().describe("an estimate, without compression"),
  tokens_after: count.nullable().describe("an estimate, with it"),
});

export const requestPage = z.strictObject({ requests: z.array(requestReport) });

export const attemptReport = z.strictObject({
  number: count,
  target,
  protocol,
  started_at: time,
  duration_ms: span,
  failure_kind: z.string().nullable().describe("null for the one that served"),
  failure_scope: z.string().nullable(),
  http_status: count.nullable(),
  message: z.string().nullable(),
  retry_after_ms: span.nullable(),
  input_tokens: count
    .nullable()
    .describe("of an answer that was left and is billed all the same: of one that served, the request tells"),
  cache_read_tokens: count.nullable(),
  cache_write_tokens: count.nullable(),
  output_tokens: count.nullable(),
  reasoning_tokens: count.nullable(),
  cost_usd: usd.nullable().describe("beside the request's own; null is unknown, or nothing was counted"),
});

export const requestDetails = z.strictObject({ request: requestReport, attempts: z.array(attemptReport) });

export const requestStory = z.strictObject({
  id: z.string(),
  started_at: time.nullable(),
  status,
  agent: agentLetter,
  agent_name: z.string().nullable(),
  code: z.string().nullable(),
  launch_id: z.string().nullable(),
  session: z.string().nullable(),
  folder: z.string().nullable().describe("where the agent was started; null where nothing tells"),
  protocol,
  streamed: z.boolean(),
  model_requested: z.string(),
  http_status: count.nullable(),
  error: z.string().nullable(),
  duration_ms: span.nullable(),
  first_token_ms: span.nullable(),
  opened_early_ms: span.nullable().describe("when the stream was opened before anybody had answered"),
  waited_ms: span.describe("spent waiting for limits that were soon over"),
  input_tokens: count.nullable(),
  cache_read_tokens: count.nullable(),
  cache_write_tokens: count.nullable(),
  output_tokens: count.nullable(),
  reasoning_tokens: count.nullable(),
  usage_estimated: z.boolean().nullable(),
  cost_usd: usd.nullable(),
});

export const candidateStory = z.strictObject({
  target,
  outcome: z.enum(["served", "failed", "skipped", "asking", "not-needed", "not-reached"]),
  reason: z.string().describe("in words"),
  kind: failureKind.nullable(),
  back_at: time.nullable(),
  moved_forward: z
    .boolean()
    .describe("it stood further back, and was moved forward because the session's prompt cache is there"),
  others: z.array(z.string()).describe("models that OpenRouter itself could turn to, asked in the same request"),
});

export const attemptStory = z.strictObject({
  number: count,
  target,
  protocol,
  offset_ms: span.describe("after the request came"),
  duration_ms: span,
  http_status: count.nullable(),
  kind: failureKind.nullable(),
  scope: z.enum(["request", "key", "account", "provider", "model"]).nullable(),
  meaning: z.string().describe("in words"),
  message: z.string().nullable().describe("what the upstream said, or what was noticed"),
  retry_after_ms: span.nullable(),
  key: z.string().nullable(),
  hedged: z.boolean().describe("begun while an earlier one was still silent"),
  repairs: z.array(z.string()).describe("how the request was changed for this target"),
  closed: z.strictObject({ id: z.string(), what: z.string(), until: time.nullable() }).nullable(),
});

export const whyReport = z.strictObject({
  request: requestStory,
  rule: z.string().nullable().describe("the rule that decided which candidates there were"),
  rules_passed: z
    .array(z.strictObject({ rule: z.string(), outcome: z.string() }))
    .describe("configured rules that were asked before it"),
  candidates: z.array(candidateStory),
  attempts: z.array(attemptStory),
  served_by: z.string().nullable(),
});

export const usageTotals = z.strictObject({
  requests: count,
  input_tokens: count,
  cache_read_tokens: count,
  cache_write_tokens: count,
  output_tokens: count,
  reasoning_tokens: count,
  cost_usd: usd.nullable().describe("as far as it is known; null when nothing is"),
  unpriced_requests: count.describe("answers whose cost nobody tells"),
});

const group = z.string().nullable().optional();

export const usageRow = z
  .strictObject({
    ...usageTotals.shape,
    agent: group,
    model: group,
    provider: group,
    session: group,
    folder: group,
    tier: group,
    day: group,
  })
  .describe("besides its key, under the name that it is grouped by: null where it is unknown, or nobody answered");

export const usageSavings = z
  .strictObject({
    cascade_usd: usd
      .nullable()
      .describe("where another model answered for money or from a plan, less what the answers cost that were left"),
    free_usd: usd.nullable().describe("where a free model answered in the place of a dearer one"),
    moved_requests: count.describe("requests that another than the first choice answered"),
    unknown_requests: count.describe("those of them that nobody can compare"),
    compression_usd: usd.nullable(),
    compression_tokens: count.describe("taken out by compression: an estimate"),
    compression_share: z.number().nullable().describe("of the input of requests that compression was tried on"),
  })
  .describe("against what the first choice would have cost for the same tokens; null is unknown, below 0 it cost more");

export const usageReport = z.strictObject({
  from: z.iso.date().describe("a day, UTC; both count"),
  to: z.iso.date(),
  by: z.enum(usageGroups),
  totals: usageTotals,
  rows: z.array(usageRow),
  outcomes: z
    .strictObject({
      completed: count,
      errors: count,
      aborted: count,
      free_requests: count,
      plan_requests: count,
      estimated_requests: count,
      left_usd: usd.describe("part of the cost: answers that were left for another candidate"),
    })
    .describe("of the requests in the totals"),
  savings: usageSavings,
});

export const captureReport = z.strictObject({
  mode: z.enum(["off", "all", "errors"]),
  until: time.nullable(),
  captured: count.describe("requests whose bodies are kept"),
  stored_bytes: count,
});

export const setCaptureRequest = z.union([
  z.strictObject({
    what: z.enum(["all", "errors"]).describe("errors: those that nobody answered, or whose answer broke off"),
    until: z.number().describe("milliseconds since 1970"),
  }),
  z.strictObject({ what: z.literal("off") }),
]);

// ---- whether it lives

export const livez = z.strictObject({ status: z.literal("ok"), in_flight: count, draining: z.boolean() });

export const health = z.strictObject({
  status: z.enum(["ok", "degraded", "draining"]),
  service: z.literal("clutch"),
  version: z.string().optional().describe("this and what follows only for whoever may use the gateway"),
  pid: count.optional(),
  uptime_seconds: count.optional(),
  in_flight: count.optional(),
  problems: z.array(z.string()).optional(),
});

export const readyReport = z.strictObject({
  status: z.enum(["ready", "not ready"]),
  reasons: z.array(z.string()).optional().describe("why not; like checks only for whoever may use the gateway"),
  checks: z
    .strictObject({
      database: z.strictObject({ ok: z.boolean(), waiting_rows: z.int(), lost_rows: z.int() }),
      prices: z.strictObject({
        ok: z.boolean(),
        oldest_at: z.iso.datetime().nullable().describe("of the lists that the tiers' models are in"),
      }),
      upstreams: z.strictObject({
        ok: z.boolean(),
        reached: z.array(z.string()).describe("hosts of providers that the tiers name"),
        not_reached: z.array(z.string()),
      }),
      loops: z.strictObject({ ok: z.boolean(), delay_ms: z.number(), late: z.array(z.string()) }),
    })
    .optional(),
});

export const reloadReport = z.strictObject({
  changed: z.array(z.string()).describe("top-level keys of the config whose values are others now"),
});
