/**
 * THE table of what servers say when they refuse, and what it means. First rule wins; what no rule knows is told by its
 * HTTP status. Every rule's message, with its source as far as there is one, is a row of test/providers/failure-rules.test.ts.
 */

import type { Failure, FailureKind } from "./failure.ts";
import { overflowCodes, overflowWords } from "./overflow.ts";
import { untilMidnightPacific, untilMidnightUtc, untilNamedBeijingTime } from "./retry-after.ts";

/** What an upstream said, from whatever shape it said it in. */
export interface Said {
  /** Undefined inside a stream, unless the error names one. */
  status: number | undefined;
  /** Its words, and those of whoever is behind it. */
  text: string;
  /** Every code and type that it gave, verbatim. */
  codes: readonly string[];
  /** The title of a web page that came in place of an answer. */
  page: string | undefined;
  /** Lower-case names. */
  headers: Headers;
}

export interface Verdict {
  kind: FailureKind;
  scope?: Failure["scope"];
  countsForBreaker?: Failure["countsForBreaker"];
  spendsQuota?: boolean;
  /** The wait where the answer tells none (ms). */
  wait?: (now: number, text: string) => number | undefined;
  /** That wait stands over what the answer tells. */
  waitWins?: boolean;
}

/** All conditions that a rule names must hold. */
interface Rule extends Verdict {
  status?: readonly number[];
  code?: RegExp;
  words?: RegExp;
  page?: RegExp;
  header?: readonly [name: string, value: RegExp];
}

/** Exported for the test that holds a message against each of them. */
export const rules: readonly Rule[] = [
  // ---- pages of whoever stands before the upstream
  // Cloudflare wants a person to answer: no key, model or patience of ours changes that.
  { page: /^just a moment|^attention required/i, kind: "permission", scope: "provider", countsForBreaker: "hard" },
  // Cloudflare reached nobody: 521 to 523 the server, 525 and 526 its certificate, 530 its address.
  { status: [521, 522, 523, 525, 526, 530], kind: "network" },
  { status: [524], kind: "timeout" },

  // ---- the prompt does not fit
  // Groq with 413, OpenAI with 429: more than a minute's tokens at once never fits, however long one waits.
  { words: /request too large for .*tokens per min/i, kind: "context-overflow" },
  // Anthropic, with 429: the part of the window beyond 200,000 tokens is not in this plan.
  { words: /(?:extra usage|usage credits) (?:is|are) required for long context/i, kind: "context-overflow" },
  { status: [400, 413, 422, 500], code: overflowCodes, kind: "context-overflow" },
  { status: [400, 413, 422, 500], words: overflowWords, kind: "context-overflow" },

  // ---- too much more than before: the whole provider sheds us, whichever model is asked
  { words: /rate increased too quickly|scale requests more smoothly/i, kind: "ramp-up" },
  { code: /^(?:limit_burst_rate|Throttling\.BurstRate|base_resp\.2045)$/, kind: "ramp-up" },

  // ---- a limit of a day or longer
  { words: /free-models-per-day/, kind: "quota", scope: "account", wait: untilMidnightUtc },
  { words: /free-models-per-min/, kind: "rate-limit", scope: "account" },
  // Gemini tells a delay of seconds even where the day's quota is gone.
  { words: /"quotaId":\s*"\w*PerDay/, kind: "quota", scope: "model", wait: untilMidnightPacific, waitWins: true },
  { words: /exceeded for UserByModelByDay/, kind: "quota", scope: "model" },
  { words: /exceeded for UserByModel/, kind: "rate-limit", scope: "model" },
  { words: /exceeded for User\w+/, kind: "rate-limit", scope: "account" },
  { code: /^(?:Free|Go|Black)UsageLimitError$/, kind: "quota", scope: "account" },
  { code: /^usage_limit_reached$/, kind: "quota", scope: "account" },
  { words: /reached your (?:hourly|session|daily|weekly|monthly) usage limit/i, kind: "quota", scope: "account" },
  { words: /reached your usage limit for this/i, kind: "quota", scope: "account" },
  {
    code: /^(?:1304|1308|1310|1316|1317|1318|1319|1320|1321)$/,
    kind: "quota",
    scope: "account",
    wait: untilNamedBeijingTime,
  },
  { code: /^1313$/, kind: "quota", scope: "account" },
  { code: /^base_resp\.2056$/, kind: "quota", scope: "account" },
  { words: /(?:hour|week|month) allocated quota exceeded/i, kind: "quota", scope: "account" },
  { words: /(?:tokens|requests) per day/i, status: [429], kind: "quota", scope: "model" },
  { header: ["anthropic-ratelimit-unified-status", /^rejected$/], status: [429], kind: "quota", scope: "account" },

  // ---- money
  // The balance would do for a smaller request, and for free models: nothing is shared by others.
  {
    words: /requires more credits, or fewer max_tokens|prompt tokens limit exceeded/i,
    kind: "billing",
    scope: "request",
  },
  { words: /openrouter_in_flight_budget/, kind: "rate-limit", scope: "account" },
  { words: /openrouter_key_limit|\bkey limit exceeded/i, kind: "billing", scope: "key" },
  { words: /openrouter_(?:guardrail|workspace)_budget/, kind: "billing", scope: "account" },
  // DashScope uses OpenAI's word for an empty account for its tokens per minute.
  { code: /^insufficient_quota$/, words: /help\.aliyun\.com|alibabacloud\.com/, kind: "rate-limit", scope: "model" },
  { code: /AllocationQuota\.FreeTierOnly$/, kind: "billing", scope: "model" },
  {
    code: /^(?:insufficient_quota|billing_hard_limit_reached|billing_not_active|payment_required|exceeded_current_quota_error|insufficient_balance(?:_error)?|CreditsError|MonthlyLimitError|UserLimitError|Arrearage|1113|1309|1314|base_resp\.1008)$/,
    kind: "billing",
  },
  {
    words:
      /credit balance is too low|insufficient (?:account )?(?:balance|credits?|funds)|used all available credits|run out of credits|reaching the monthly spending limit|account is in good standing|余额不足/i,
    kind: "billing",
  },

  // ---- who asks, and from where
  { words: /API key not valid|API_KEY_INVALID/, kind: "auth" },
  { code: /^(?:authentication|base_resp\.(?:1004|2049))$/, kind: "auth" },
  { words: /organization has been disabled/i, kind: "permission", scope: "account" },
  { code: /^(?:account_deactivated|1110|1111|1112|1121)$/, kind: "permission", scope: "account" },
  { code: /^(?:unsupported_country_region_territory|RegionError)$/, kind: "permission", scope: "provider" },
  { words: /user location is not supported/i, kind: "permission", scope: "provider" },
  { words: /only available for Coding Agents/i, kind: "permission", scope: "provider" },
  { words: /unsafe_example_api_key/, kind: "permission", scope: "provider" },
  { code: /^1311$/, kind: "permission", scope: "model" },

  // ---- what is asked
  {
    code: /^(?:content_filter|content_policy_violation|data_inspection_failed|DataInspectionFailed|refusal|1301|base_resp\.102[67])$/,
    kind: "moderation",
  },
  { words: /content management policy|blocked by content filtering policy|flagged_input/i, kind: "moderation" },
  { code: /^(?:model_not_found|ModelNotFound|DeploymentNotFound|ModelError|1211|1221|1222)$/, kind: "not-found" },
  { status: [400], words: /is not a valid model id/i, kind: "not-found" },
  {
    words:
      /no endpoints found that support|does not support tools|requires --enable-auto-tool-choice|is not a multimodal model/i,
    kind: "unsupported",
  },

  // ---- too many others
  // llama.cpp reads the weights: it will be there in a minute, and nothing is wrong with it.
  { status: [503], words: /^loading model$/i, kind: "overloaded", countsForBreaker: "soft" },
  {
    code: /^(?:overloaded_error|overloaded|provider_overloaded|engine_overloaded_error|queue_exceeded|server_is_overloaded|slow_down|insufficient_system_resource|Throttling\.ServiceOverloaded|1305|1312)$/,
    kind: "overloaded",
  },
  {
    words:
      /service tier capacity exceeded|(?:model is|currently) at capacity|no capacity available for model|worker local total request limit|engine is currently overloaded|receiving too many requests|maximum pending requests|auth_unavailable: no auth available/i,
    kind: "overloaded",
  },

  // ---- too many of ours
  { code: /^model_cooldown$/, kind: "rate-limit", scope: "model" },
  // OpenRouter counts the request all the same.
  { words: /temporarily rate-limited upstream/i, kind: "rate-limit", scope: "model", spendsQuota: true },
  { words: /rate limit specific to this model/i, kind: "rate-limit", scope: "model" },
  { code: /^rate_limit_reached_error$/, kind: "rate-limit", scope: "account" },
  {
    code: /^(?:rate_limit_exceeded|rate_limit_error|rate_limited|too_many_requests_error|limit_requests|LimitRequests|Throttling(?:\.\w+)?|RateLimitError|RateLimitReached|1302|1303|base_resp\.(?:1002|1039|1041))$/,
    kind: "rate-limit",
  },

  // ---- words for what a status would have said
  { code: /^(?:timeout|base_resp\.1001)$/, kind: "timeout" },
  { code: /^base_resp\.2013$/, kind: "bad-request" },
];

const byStatus: Readonly<Record<number, FailureKind>> = {
  401: "auth",
  402: "billing",
  403: "permission",
  404: "not-found",
  405: "not-found",
  408: "timeout",
  410: "not-found",
  413: "too-large",
  429: "rate-limit",
  // Groq: no capacity in the flex tier just now, https://console.groq.com/docs/errors
  498: "overloaded",
  503: "overloaded",
  504: "timeout",
  529: "overloaded",
};

export function judge(said: Said): Verdict {
  const rule = rules.find((candidate) => applies(candidate, said));
  return rule ?? { kind: kindOfStatus(said.status ?? 500, said.text) };
}

function applies({ status, code, words, page, header }: Rule, said: Said): boolean {
  return (
    // An error inside a stream that names no status may be of any.
    (status === undefined || said.status === undefined || status.includes(said.status)) &&
    (code === undefined || said.codes.some((given) => code.test(given))) &&
    (words === undefined || words.test(said.text)) &&
    (page === undefined || (said.page !== undefined && page.test(said.page))) &&
    (header === undefined || header[1].test(said.headers.get(header[0]) ?? "")) &&
    // A rule of statuses alone says nothing of an error that has none.
    (said.status !== undefined || code !== undefined || words !== undefined)
  );
}

function kindOfStatus(status: number, text: string): FailureKind {
  const known = byStatus[status];
  if (known !== undefined) return known;
  if (status >= 500 && /\boverloaded\b/i.test(text)) return "overloaded";
  return status >= 400 && status < 500 ? "bad-request" : "upstream";
}
