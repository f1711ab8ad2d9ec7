/**
 * What real servers said, and where it was seen: an issue of that repository, or a page of the vendor's. Where only a code
 * is known from there and the sentence is ours, the source says so. Some sentences were met in public programs that quote
 * them, and carry the vendor's page. Names of people, accounts and keys are left out or made up.
 */

import { describe, expect, test } from "bun:test";
import type { RateLimitScope } from "../../providers/catalog.ts";
import { classifyAnswer, classifyStreamError, type Failure, hear } from "../../providers/failure.ts";
import { judge, rules } from "../../providers/failure-rules.ts";
import type { Json } from "../../src/protocols/chat.ts";

/** 2025-11-20 00:53:20 UTC, which is 16:53:20 the day before in California. */
const now = 1_763_600_000_000;

const day = 86_400_000;
const hour = 3_600_000;

interface Answer {
  status: number;
  headers?: Record<string, string>;
  body: Json;
  /** The provider's, where the answer does not say what it is about. */
  scope?: RateLimitScope;
}

type Expected = Pick<Failure, "kind" | "scope" | "countsForBreaker" | "spendsQuota"> & Partial<Failure>;

type Row = [provider: string, source: string, answer: Answer, expected: Expected];

const asked = { countsForBreaker: "hard", spendsQuota: true } as const;
const refused = { countsForBreaker: "hard", spendsQuota: false } as const;
const innocent = { countsForBreaker: "no", spendsQuota: false } as const;

const fails = (code: string | number, message: string, more: Record<string, Json> = {}): Json => ({
  error: { code, message, ...more },
});

const groqDay =
  "Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_0` service tier `on_demand` on tokens per day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s. Need more tokens%3F Upgrade to Dev Tier today at https://console.groq.com/settings/billing";
const groqLarge =
  "Request too large for model llama-3.1-8b-instant in organization org_0 service tier on_demand on tokens per minute (TPM): Limit 6000, Requested 12328, please reduce your message size and try again. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing";
const openaiLarge =
  "Request too large for gpt-4o in organization org-0 on tokens per min (TPM): Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.";
const rampUp =
  "Request rate increased too quickly. To ensure system stability, please adjust your client logic to scale requests more smoothly over time.";
const upstreamLimit =
  "deepseek/deepseek-chat-v3-0324:free is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate limits: https://openrouter.ai/settings/integrations";
const fewerTokens =
  "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 30104. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account";
const geminiQuota =
  "You exceeded your current quota, please check your plan and billing details. For more information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.";
const geminiDetails = (quotaId: string): Json => [
  { "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId }] },
  { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "37.48s" },
];
const geminiKey = "API key not valid. Please pass a valid API key.";
const aliyunTokens =
  "You exceeded your current quota, please check your plan and billing details. For details, see: https://help.aliyun.com/zh/model-studio/error-code#token-limit";
const credit =
  "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.";
const anthropicMinute =
  "This request would exceed the rate limit for your organization of 30,000 input tokens per minute. For details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the prompt length or the maximum tokens requested, or try again later.";
const xaiSpent =
  "Your team has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit.";
const fireworksSuspended =
  "Account acme is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices. Please go to https://fireworks.ai/account/billing for more information.";
const azureFilter =
  "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry. To learn more about our content filtering policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766";
const azureTokens =
  "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-02-01 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 60 seconds. Please go here: https://aka.ms/oai/quotaincrease if you would like to further increase the default rate limit.";
const githubDay =
  "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 5631 seconds before retrying.";
const zaiFair =
  "Your account's current usage pattern does not comply with the Fair Usage Policy, and your request frequency has been limited. For details, please refer to the Subscription Service Agreement. To restore access, please submit a request.";
const cpaNobody =
  "auth_unavailable: no auth available (providers=claude, model=claude-opus-4-6); check Claude auth/key session and cooldown state via /v0/management/auth-files";
const cpaTemplate =
  "Proxy API endpoints are disabled because api-keys contains template values. Open /management.html?safe-mode=configure, update api-keys in Management, then retry.";
const togetherModel =
  "You have reached the rate limit specific to this model black-forest-labs/FLUX.1-kontext-pro. The maximum rate limit for this model is 9.0 queries per minute.";
const moonshotSuspended =
  "Your account org-0 is suspended due to insufficient balance, please recharge your account or check your plan and billing details";
const moonshotLarge = "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)";
const lmStudioLarge =
  "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.";
const kimiCycle = "You've reached your usage limit for this billing cycle";

const rows: Row[] = [
  // ---- pages of whoever stands before the upstream
  [
    "Cloudflare's challenge",
    "anthropics/claude-code#30437",
    { status: 403, body: '<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head></html>' },
    {
      kind: "permission",
      scope: "provider",
      ...refused,
      message: "the upstream answered 403 with a web page: Just a moment...",
    },
  ],
  [
    "Cloudflare with no server behind it",
    "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/",
    { status: 522, body: "<html><head><title>api.example.com | 522: Connection timed out</title></head></html>" },
    {
      kind: "network",
      scope: "provider",
      ...refused,
      message: "the upstream answered 522 with a web page: api.example.com | 522: Connection timed out",
    },
  ],
  [
    "Cloudflare with a server that takes too long",
    "anthropics/claude-code#16737",
    { status: 524, body: "<!DOCTYPE html>\n<title>newcli.com | 524: A timeout occurred</title>" },
    {
      kind: "timeout",
      scope: "model",
      ...asked,
      message: "the upstream answered 524 with a web page: newcli.com | 524: A timeout occurred",
    },
  ],
  [
    "Cloudflare with a server that answers nonsense, which is no challenge",
    "anthropics/claude-code#3197, router-for-me/CLIProxyAPI#5681",
    {
      status: 520,
      body: "<!DOCTYPE html>\n<title>api.anthropic.com | 520: Web server is returning an unknown error</title>",
    },
    { kind: "upstream", scope: "model", ...asked },
  ],

  // ---- the prompt does not fit
  [
    "Groq, with more than a minute's tokens at once",
    "HunorLaczko/ha-groq-cloud-api#27",
    { status: 413, body: fails("rate_limit_exceeded", groqLarge, { type: "tokens" }) },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: { input: 12_328, limit: 6000 } },
  ],
  [
    "OpenAI, with more than a minute's tokens at once",
    "vanderschaarlab/climb#1",
    { status: 429, body: fails("rate_limit_exceeded", openaiLarge, { type: "tokens", param: null }) },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: { input: 30_601, limit: 30_000 } },
  ],
  [
    "Anthropic, beyond what the plan has of the window",
    "anthropics/claude-code#33514",
    {
      status: 429,
      body: {
        type: "error",
        error: { type: "rate_limit_error", message: "Extra usage is required for long context requests." },
      },
    },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: {} },
  ],
  [
    "Moonshot",
    "MoonshotAI/kimi-cli#2011",
    { status: 400, body: { error: { message: moonshotLarge, type: "invalid_request_error" } } },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: { input: 269_030, limit: 262_144 } },
  ],
  [
    "LM Studio",
    "Gitlawb/openclaude#353",
    { status: 400, body: { error: lmStudioLarge } },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: { input: 13_055, limit: 4096 } },
  ],
  [
    "Qwen's coding plan",
    "https://www.alibabacloud.com/help/en/model-studio/coding-plan-faq",
    { status: 400, body: fails("InvalidParameter", "Range of input length should be [1, 129024]") },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: { limit: 129_024 } },
  ],
  [
    "Z.ai by its code alone",
    "https://docs.bigmodel.cn/cn/api/api-code",
    { status: 400, body: fails("1261", "Prompt 超长") },
    { kind: "context-overflow", scope: "model", ...innocent, tokens: {} },
  ],

  // ---- too much more than before
  [
    "Qwen",
    "QwenLM/Qwen#2069, https://www.alibabacloud.com/help/en/model-studio/rate-limit",
    { status: 429, body: fails("limit_burst_rate", rampUp) },
    { kind: "ramp-up", scope: "provider", ...innocent },
  ],
  [
    "Qwen behind OpenRouter",
    "anomalyco/opencode#21164",
    { status: 429, body: fails(429, `Upstream error from Alibaba: ${rampUp}`) },
    { kind: "ramp-up", scope: "provider", ...innocent },
  ],
  [
    "Qwen's own API by its code",
    "codes of https://help.aliyun.com/en/model-studio/error-code-start, words not seen",
    { status: 429, body: { code: "Throttling.BurstRate", message: "Too many requests.", request_id: "r" } },
    { kind: "ramp-up", scope: "provider", ...innocent, code: "Throttling.BurstRate" },
  ],

  // ---- a limit of a day or longer
  [
    "OpenRouter's free models for today, without a reset",
    "https://openrouter.ai/docs/api/reference/limits",
    {
      status: 429,
      body: fails(
        429,
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
      ),
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: day - (now % day) },
  ],
  [
    "OpenRouter's free models for this minute",
    "https://openrouter.ai/docs/api/reference/limits",
    {
      status: 429,
      body: fails(429, "Rate limit exceeded: free-models-per-min. ", {
        metadata: { headers: { "X-RateLimit-Reset": String(now + 42_000) } },
      }),
    },
    { kind: "rate-limit", scope: "account", ...innocent, retryAfterMs: 42_000 },
  ],
  [
    "Gemini's day, though it tells seconds",
    "google-gemini/gemini-cli#8437",
    {
      status: 429,
      body: [
        fails(429, geminiQuota, {
          status: "RESOURCE_EXHAUSTED",
          details: geminiDetails("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
        }),
      ],
    },
    { kind: "quota", scope: "model", ...refused, retryAfterMs: 7 * hour + 6 * 60_000 + 40_000 },
  ],
  [
    "Gemini's minute",
    "google-gemini/gemini-cli#8437",
    {
      status: 429,
      body: fails(429, geminiQuota, {
        status: "RESOURCE_EXHAUSTED",
        details: geminiDetails("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"),
      }),
    },
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 37_480 },
  ],
  [
    "GitHub Models' day, for this model",
    "https://docs.github.com/en/github-models/use-github-models/prototyping-with-ai-models#rate-limits",
    { status: 429, body: fails("RateLimitReached", githubDay, { details: githubDay }) },
    { kind: "quota", scope: "model", ...refused, retryAfterMs: 5_631_000, code: "RateLimitReached" },
  ],
  [
    "GitHub Models' minute, for this model",
    "https://docs.github.com/en/github-models/use-github-models/prototyping-with-ai-models#rate-limits",
    {
      status: 429,
      body: fails(
        "RateLimitReached",
        "Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 25 seconds before retrying.",
      ),
    },
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 25_000 },
  ],
  [
    "GitHub Models' limit of the user",
    "https://docs.github.com/en/github-models/use-github-models/prototyping-with-ai-models#rate-limits",
    {
      status: 429,
      body: fails(
        "RateLimitReached",
        "Rate limit of 2 per 0s exceeded for UserConcurrentRequests. Please wait 0 seconds before retrying.",
      ),
    },
    { kind: "rate-limit", scope: "account", ...innocent, retryAfterMs: 0 },
  ],
  [
    "OpenCode Zen's free models",
    "anomalyco/opencode#32971",
    {
      status: 429,
      headers: { "retry-after": "1970" },
      body: {
        type: "error",
        error: { type: "FreeUsageLimitError", message: "Rate limit exceeded. Please try again later." },
        metadata: {},
      },
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: 1_970_000 },
  ],
  [
    "ChatGPT's plan behind CLIProxyAPI",
    "router-for-me/CLIProxyAPI#5277",
    {
      status: 429,
      body: {
        error: { type: "usage_limit_reached", message: "The usage limit has been reached", resets_in_seconds: 7200 },
      },
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: 2 * hour },
  ],
  [
    "Ollama's cloud",
    "continuedev/continue#9233",
    { status: 429, body: { error: "you've reached your hourly usage limit, please wait or upgrade to continue" } },
    { kind: "quota", scope: "account", ...innocent },
  ],
  [
    "Ollama's cloud, by name",
    "diegosouzapw/OmniRoute#3709",
    {
      status: 429,
      body: {
        error: "you (me) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade",
      },
    },
    { kind: "quota", scope: "account", ...innocent },
  ],
  [
    "Kimi Code's billing cycle, with a status of permission",
    "https://www.kimi.com/code/docs/en/kimi-code/error-reference.html",
    { status: 403, body: { error: { message: kimiCycle, type: "permission_error" } } },
    { kind: "quota", scope: "account", ...innocent, message: kimiCycle },
  ],
  [
    "Z.ai's coding plan",
    "https://docs.z.ai/api-reference/api-code, https://docs.bigmodel.cn/cn/api/api-code",
    {
      status: 429,
      body: fails("1308", "Usage limit reached for 5 hour. Your limit will reset at 2025-11-20 10:53:20"),
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: 2 * hour },
  ],
  [
    "Z.ai's week",
    "https://docs.bigmodel.cn/cn/api/api-code",
    {
      status: 429,
      body: fails("1310", "Weekly/Monthly Limit Exhausted. Your limit will reset at 2025-11-23 08:53:20"),
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: 3 * day },
  ],
  [
    "Z.ai's fair use, which no time mends",
    "zai-org/GLM-5#77",
    { status: 429, body: fails("1313", `[1313][${zaiFair}][20260610204201]`) },
    { kind: "quota", scope: "account", ...innocent, code: "1313" },
  ],
  [
    "Qwen's coding plan",
    "https://www.alibabacloud.com/help/en/model-studio/coding-plan-faq",
    { status: 429, body: fails("throttling_error", "hour allocated quota exceeded.") },
    { kind: "quota", scope: "account", ...innocent },
  ],
  [
    "Groq's day",
    "continuedev/continue#10920",
    { status: 429, body: fails("rate_limit_exceeded", groqDay, { type: "tokens" }) },
    { kind: "quota", scope: "model", ...refused, retryAfterMs: 578_016 },
  ],
  [
    "Anthropic's subscription",
    "askalf/dario#1244, anthropics/claude-code#59993",
    {
      status: 429,
      headers: {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": "1763603600",
        "anthropic-ratelimit-unified-7d-status": "allowed",
        "anthropic-ratelimit-unified-7d-reset": "1764000000",
      },
      body: {
        type: "error",
        error: {
          type: "rate_limit_error",
          message: "This request would exceed your account's rate limit. Please try again later.",
        },
      },
    },
    { kind: "quota", scope: "account", ...innocent, retryAfterMs: hour },
  ],

  // ---- money
  [
    "OpenRouter, of a request that the balance does not cover",
    "can1357/oh-my-pi#9569: a smaller one was served at the same time",
    { status: 402, body: fails(402, fewerTokens, { metadata: { provider_name: null } }) },
    { kind: "billing", scope: "request", ...innocent, code: "402" },
  ],
  [
    "OpenRouter, of a prompt that the key's limit does not cover",
    "anomalyco/opencode#12219",
    {
      status: 402,
      body: fails(
        402,
        "Prompt tokens limit exceeded: 230799 > 91442. To increase, visit https://openrouter.ai/settings/keys and create a key with a higher monthly limit",
      ),
    },
    { kind: "billing", scope: "request", ...innocent },
  ],
  [
    "OpenRouter, of what is under way already",
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    {
      status: 402,
      headers: { "retry-after": "3" },
      body: fails(402, "Budget in use", { metadata: { limit_source: "openrouter_in_flight_budget" } }),
    },
    { kind: "rate-limit", scope: "account", ...innocent, retryAfterMs: 3000 },
  ],
  [
    "OpenRouter, of the key's limit",
    "https://www.developersdigest.tech/errors/api/openrouter/403-budget-limit-exceeded",
    {
      status: 403,
      body: fails(403, "Budget limit exceeded", {
        metadata: { limit_source: "openrouter_key_limit", resets_at: "2025-11-21T00:00:00Z" },
      }),
    },
    { kind: "billing", scope: "key", ...innocent, retryAfterMs: day - (now % day) },
  ],
  [
    "OpenRouter, of the key's limit in its older words",
    "openclaw/openclaw docs/concepts/model-failover",
    {
      status: 403,
      body: fails(403, "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys"),
    },
    { kind: "billing", scope: "key", ...innocent },
  ],
  [
    "OpenRouter, of a workspace's budget",
    "https://www.developersdigest.tech/errors/api/openrouter/403-budget-limit-exceeded",
    {
      status: 403,
      body: fails(403, "Budget limit exceeded", { metadata: { limit_source: "openrouter_workspace_budget" } }),
    },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "OpenRouter with a negative balance, which free models need too",
    "https://openrouter.ai/docs/api/reference/limits",
    { status: 402, body: fails(402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits") },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "Qwen's tokens of a minute in OpenAI's word for an empty account",
    "gustavodiasdev/opencode-qwencode-auth#8, https://www.alibabacloud.com/help/en/model-studio/rate-limit",
    { status: 429, body: fails("insufficient_quota", aliyunTokens, { param: null, type: "insufficient_quota" }) },
    { kind: "rate-limit", scope: "model", ...refused, code: "insufficient_quota" },
  ],
  [
    "Qwen, the free quota of one model",
    "https://help.aliyun.com/en/model-studio/error-code-start",
    {
      status: 403,
      body: fails(
        "AllocationQuota.FreeTierOnly",
        'The free tier of the model has been exhausted. If you wish to continue access the model on a paid basis, please disable the "use free tier only" mode in the management console.',
      ),
    },
    { kind: "billing", scope: "model", ...innocent },
  ],
  [
    "Qwen with a bill unpaid",
    "https://help.aliyun.com/en/model-studio/error-code-start",
    {
      status: 400,
      body: fails("Arrearage", "Access denied, please make sure your account is in good standing."),
    },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "Moonshot",
    "Alishahryar1/free-claude-code#1223",
    { status: 429, body: { error: { message: moonshotSuspended, type: "exceeded_current_quota_error" } } },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "OpenCode Zen, with a status of a wrong key",
    "codes of anomalyco/opencode packages/console/app/src/routes/zen/util/handler.ts, words not seen",
    { status: 401, body: { type: "error", error: { type: "CreditsError", message: "Insufficient balance." } } },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "Z.ai at its Messages endpoint",
    "zai-org/feedback#789",
    {
      status: 429,
      body: {
        type: "error",
        error: {
          type: "rate_limit_error",
          code: "1113",
          message: "[1113][Insufficient balance or no resource package. Please recharge.][20260922232915]",
        },
      },
    },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "Z.ai in Chinese",
    "continuedev/continue#11823",
    { status: 429, body: "余额不足或无可用资源包,请充值。" },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "MiniMax at its Messages endpoint, with a status of its own fault",
    "MiniMax-AI/MiniMax-M2#62",
    { status: 500, body: { type: "error", error: { type: "api_error", message: "insufficient balance (1008)" } } },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "Anthropic, with a status of a bad request",
    "anthropics/claude-code#66314",
    { status: 400, body: { type: "error", error: { type: "invalid_request_error", message: credit } } },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "xAI",
    "continuedev/continue#10373",
    { status: 429, body: { code: "Some resource has been exhausted", error: xaiSpent } },
    { kind: "billing", scope: "account", ...innocent, message: xaiSpent },
  ],
  [
    "Fireworks",
    "pollinations/pollinations#12136",
    { status: 412, body: fails("PRECONDITION_FAILED", fireworksSuspended, { param: null, type: "error" }) },
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "DeepSeek",
    "codes of continuedev/continue#11387, https://api-docs.deepseek.com/quick_start/error_codes, words not seen",
    {
      status: 402,
      body: {
        error: { message: "Insufficient Balance", type: "unknown_error", param: null, code: "invalid_request_error" },
      },
    },
    { kind: "billing", scope: "account", ...innocent },
  ],

  // ---- who asks, and from where
  [
    "Gemini's wrong key, with a status of a bad request, one error inside another",
    "continuedev/continue#10290",
    {
      status: 400,
      body: fails(400, JSON.stringify({ error: { code: 400, message: geminiKey, status: "INVALID_ARGUMENT" } }), {
        status: "Bad Request",
      }),
    },
    { kind: "auth", scope: "key", ...innocent, message: geminiKey },
  ],
  [
    "OpenRouter's word for a wrong key",
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    { status: 401, body: fails(401, "User not found.", { metadata: { error_type: "authentication" } }) },
    { kind: "auth", scope: "key", ...innocent, code: "authentication" },
  ],
  [
    "Anthropic's disabled organisation",
    "https://code.claude.com/docs/en/errors",
    {
      status: 400,
      body: {
        type: "error",
        error: { type: "invalid_request_error", message: "This organization has been disabled." },
      },
    },
    { kind: "permission", scope: "account", ...innocent },
  ],
  [
    "Z.ai's locked account",
    "codes of https://docs.bigmodel.cn/cn/api/api-code, words not seen",
    { status: 429, body: fails("1112", "Your account has been locked, please contact customer service to unlock") },
    { kind: "permission", scope: "account", ...innocent },
  ],
  [
    "OpenAI's borders",
    "https://developers.openai.com/api/docs/guides/error-codes",
    {
      status: 403,
      body: fails("unsupported_country_region_territory", "Country, region, or territory not supported", {
        type: "request_forbidden",
      }),
    },
    { kind: "permission", scope: "provider", ...innocent },
  ],
  [
    "Gemini's borders, with a status of a bad request",
    "https://ai.google.dev/gemini-api/docs/troubleshooting",
    {
      status: 400,
      body: [fails(400, "User location is not supported for the API use.", { status: "FAILED_PRECONDITION" })],
    },
    { kind: "permission", scope: "provider", ...innocent },
  ],
  [
    "Kimi Code's clients",
    "codes of https://www.kimi.com/code/docs/en/kimi-code/error-reference.html, words not seen",
    {
      status: 403,
      body: {
        error: {
          message: "Kimi For Coding is currently only available for Coding Agents",
          type: "access_terminated_error",
        },
      },
    },
    { kind: "permission", scope: "provider", ...innocent },
  ],
  [
    "CLIProxyAPI with the keys of its template",
    "router-for-me/CLIProxyAPI internal/api (header X-CPA-SAFE-MODE)",
    { status: 403, body: { error: "unsafe_example_api_key", message: cpaTemplate } },
    { kind: "permission", scope: "provider", ...innocent, message: cpaTemplate, code: "unsafe_example_api_key" },
  ],
  [
    "Z.ai's plan without this model",
    "https://docs.bigmodel.cn/cn/api/api-code",
    { status: 429, body: fails("1311", "Your current subscription plan does not yet include access to GLM-5") },
    { kind: "permission", scope: "model", ...innocent },
  ],

  // ---- what is asked
  [
    "Azure's filter",
    'Gitlawb/openclaude#273: it can be wrong, even about "hi"',
    {
      status: 400,
      body: fails("content_filter", azureFilter, {
        type: null,
        param: "prompt",
        status: 400,
        innererror: { code: "ResponsibleAIPolicyViolation" },
      }),
    },
    { kind: "moderation", scope: "request", countsForBreaker: "no", spendsQuota: true, code: "content_filter" },
  ],
  [
    "Anthropic's filter",
    "https://docs.claude.com/en/api/errors",
    {
      status: 400,
      body: {
        type: "error",
        error: { type: "invalid_request_error", message: "Output blocked by content filtering policy" },
      },
    },
    { kind: "moderation", scope: "request", countsForBreaker: "no", spendsQuota: true },
  ],
  [
    "OpenRouter's moderation, with a status of permission",
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    {
      status: 403,
      body: fails(403, 'openai/gpt-5 requires moderation on OpenInference. Your input was flagged for "violence".', {
        metadata: {
          reasons: ["violence"],
          flagged_input: "…",
          provider_name: "OpenInference",
          model_slug: "openai/gpt-5",
        },
      }),
    },
    { kind: "moderation", scope: "request", countsForBreaker: "no", spendsQuota: true },
  ],
  [
    "Azure's missing deployment",
    "https://learn.microsoft.com/en-us/azure/foundry/openai/",
    {
      status: 404,
      body: fails(
        "DeploymentNotFound",
        "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.",
      ),
    },
    { kind: "not-found", scope: "model", ...refused },
  ],
  [
    "OpenCode Zen's missing model, with a status of a wrong key",
    "codes of anomalyco/opencode packages/console/app/src/routes/zen/util/handler.ts, words not seen",
    { status: 401, body: { type: "error", error: { type: "ModelError", message: "Model glm-9 is not supported" } } },
    { kind: "not-found", scope: "model", ...refused },
  ],
  [
    "OpenRouter's missing model, with a status of a bad request",
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    { status: 400, body: fails(400, "openrouter/foo is not a valid model ID") },
    { kind: "not-found", scope: "model", ...refused },
  ],
  [
    "NVIDIA's removed model",
    "Alishahryar1/free-claude-code#1021",
    {
      status: 404,
      body: { status: 404, title: "Not Found", detail: "Function '23d4f03a': Not found for account 'Qaw'" },
    },
    { kind: "not-found", scope: "model", ...refused, message: "Function '23d4f03a': Not found for account 'Qaw'" },
  ],
  [
    "OpenRouter without an endpoint that takes tools",
    "Kilo-Org/kilocode#9006",
    {
      status: 404,
      body: fails(
        404,
        'No endpoints found that support tool use. Try disabling "question". To learn more about provider routing, visit: https://openrouter.ai/docs/guides/routing/provider-selection',
      ),
    },
    { kind: "unsupported", scope: "model", ...innocent },
  ],
  [
    "vLLM started without tools",
    "https://docs.vllm.ai/en/latest/features/tool_calling",
    {
      status: 400,
      body: fails(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', {
        type: "BadRequestError",
      }),
    },
    { kind: "unsupported", scope: "model", ...innocent },
  ],

  // ---- too many others
  [
    "llama.cpp at its start",
    "codes of ggml-org/llama.cpp tools/server/README.md, words not seen",
    { status: 503, body: fails(503, "Loading model", { type: "unavailable_error" }) },
    { kind: "overloaded", scope: "model", countsForBreaker: "soft", spendsQuota: true },
  ],
  [
    "Kimi, with a status of a rate limit",
    "https://forum.moonshot.ai/t/the-engine-is-currently-overloaded/569",
    {
      status: 429,
      body: {
        error: {
          message: "The engine is currently overloaded, please try again later",
          type: "engine_overloaded_error",
        },
      },
    },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "Cerebras",
    "https://inference-docs.cerebras.ai/support/error",
    {
      status: 429,
      body: {
        message: "We're experiencing high traffic right now! Please try again soon.",
        type: "too_many_requests_error",
        param: "queue",
        code: "queue_exceeded",
      },
    },
    { kind: "overloaded", scope: "model", ...asked, code: "queue_exceeded" },
  ],
  [
    "Z.ai's crowded model",
    "codes of https://docs.bigmodel.cn/cn/api/api-code, words not seen",
    { status: 429, body: fails("1305", "The service may be temporarily overloaded, please try again later") },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "Mistral",
    "continuedev/continue#6185, BerriAI/litellm#25078",
    {
      status: 429,
      body: {
        object: "error",
        message: "Service tier capacity exceeded for this model.",
        type: "invalid_request_error",
        param: null,
        code: null,
      },
    },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "OpenAI's crowded model",
    "openai/codex#46142, Wei-Shaw/sub2api#5827",
    { status: 429, body: fails(429, "Selected model is at capacity. Please try a different model.") },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "Gemini's crowded model, with a status of a rate limit",
    "google-gemini/gemini-cli#27548",
    {
      status: 429,
      body: fails(429, "No capacity available for model gemini-3.1-flash-lite on the server", {
        status: "RESOURCE_EXHAUSTED",
      }),
    },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "NVIDIA's worker",
    "QuantumNous/new-api#6619",
    { status: 429, body: { detail: "ResourceExhausted: Worker local total request limit reached (33/32)" } },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "Ollama's queue",
    "valentinfrlch/ha-llmvision#648, ollama/ollama#4144",
    { status: 503, body: { error: "server busy, please try again.  maximum pending requests exceeded" } },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "CLIProxyAPI with all its logins resting",
    "router-for-me/CLIProxyAPI#2687",
    { status: 500, body: { error: { message: cpaNobody, type: "server_error", code: "internal_server_error" } } },
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "Ollama without the memory for a model",
    "continuedev/continue#11478",
    { status: 500, body: { error: "model requires more system memory (2.7 GiB) than is available (2.3 GiB)" } },
    { kind: "upstream", scope: "model", ...asked },
  ],

  // ---- too many of ours
  [
    "CLIProxyAPI",
    "router-for-me/CLIProxyAPI#5639",
    {
      status: 429,
      body: fails("model_cooldown", "All credentials for model gpt-5.6-sol are cooling down", {
        model: "gpt-5.6-sol",
        reset_seconds: 495669,
        reset_time: "137h41m9s",
      }),
      scope: "account",
    },
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 495_669_000 },
  ],
  [
    "whoever is behind OpenRouter",
    "HacxGPT-Official/HacxGPT-CLI#31",
    {
      status: 429,
      body: fails(429, "Provider returned error", { metadata: { raw: upstreamLimit, provider_name: "Chutes" } }),
      scope: "account",
    },
    {
      kind: "rate-limit",
      scope: "model",
      countsForBreaker: "hard",
      spendsQuota: true,
      message: `Chutes: ${upstreamLimit}`,
    },
  ],
  [
    "Together's limit of one model",
    "xtekky/gpt4free#3032",
    { status: 429, body: { error: { message: togetherModel } }, scope: "account" },
    { kind: "rate-limit", scope: "model", ...refused },
  ],
  [
    "Moonshot's limit of the organisation",
    "https://platform.kimi.ai/docs/api/errors",
    {
      status: 429,
      body: {
        error: {
          message: "Your account org-0 request reached organization max RPM: 3, please try again after 1 seconds",
          type: "rate_limit_reached_error",
        },
      },
    },
    { kind: "rate-limit", scope: "account", ...innocent, retryAfterMs: 1000 },
  ],
  [
    "Anthropic's minute",
    "Trae-AI/TRAE#625",
    {
      status: 429,
      headers: { "anthropic-ratelimit-input-tokens-reset": "2025-11-20T00:53:50Z" },
      body: { type: "error", error: { type: "rate_limit_error", message: anthropicMinute } },
    },
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 30_000 },
  ],
  [
    "Mistral, whose limit is what the catalogue says",
    "cline/cline#9085",
    {
      status: 429,
      body: { object: "error", message: "Rate limit exceeded", type: "rate_limited", param: null, code: "1300" },
      scope: "account",
    },
    { kind: "rate-limit", scope: "account", ...innocent, code: "1300" },
  ],
  [
    "Cerebras' minute, though it tells of its day too",
    "nminaya/grammar-nazi-bot#958",
    {
      status: 429,
      headers: { "x-ratelimit-reset-requests-day": "33011.38", "x-ratelimit-remaining-requests-day": "900" },
      body: {
        message: "Requests per minute limit exceeded - too many requests sent.",
        type: "too_many_requests_error",
        param: "quota",
        code: "request_quota_exceeded",
      },
    },
    { kind: "rate-limit", scope: "model", ...refused },
  ],
  [
    "Z.ai's concurrency",
    "kaitranntt/ccs#402",
    {
      status: 429,
      body: fails(
        "1302",
        "High concurrency usage of this API, please reduce concurrency or contact customer service to increase limits",
      ),
    },
    { kind: "rate-limit", scope: "model", ...refused },
  ],
  [
    "NVIDIA, which says next to nothing",
    "Alishahryar1/free-claude-code#690",
    { status: 429, body: { status: 429, title: "Too Many Requests" } },
    { kind: "rate-limit", scope: "model", ...refused, message: "Too Many Requests" },
  ],
  [
    "Fireworks, whose error is a string beside its message",
    "GordeyZuev/LEAP#6",
    {
      status: 429,
      body: {
        error: "Too Many Requests",
        message:
          "You have exceeded your usage limits. Please try again later or contact Fireworks to explore dedicated capacity.",
      },
      scope: "key",
    },
    { kind: "rate-limit", scope: "key", ...innocent, code: "Too Many Requests" },
  ],
  [
    "Azure, whose wait is in its words",
    "DmitryKatson/bc-code-interpreter#2",
    { status: 429, body: fails("429", azureTokens) },
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 60_000 },
  ],

  // ---- words for what a status would have said
  [
    "OpenRouter's word for a timeout",
    "https://openrouter.ai/docs/api/reference/errors-and-debugging",
    { status: 502, body: fails(502, "The upstream timed out", { metadata: { error_type: "timeout" } }) },
    { kind: "timeout", scope: "model", ...asked },
  ],
  [
    "Groq's flex tier",
    "codes of https://console.groq.com/docs/errors, words not seen",
    { status: 498, body: fails("capacity_exceeded", "Flex tier capacity exceeded") },
    { kind: "overloaded", scope: "model", ...asked },
  ],
];

/** Errors of a 200, as the codecs hand them on: no status unless the error names one. */
const inStreams: [provider: string, source: string, code: string | undefined, message: string, expected: Expected][] = [
  [
    "MiniMax without money, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode, adrianlyjak/obsidian-aloud-tts#114",
    "base_resp.1008",
    "insufficient balance",
    { kind: "billing", scope: "account", ...innocent },
  ],
  [
    "MiniMax' rate limit, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode",
    "base_resp.1002",
    "rate limit",
    { kind: "rate-limit", scope: "model", ...refused },
  ],
  [
    "MiniMax' limit of growth, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode",
    "base_resp.2045",
    "rate growth limit",
    { kind: "ramp-up", scope: "provider", ...innocent },
  ],
  [
    "MiniMax' plan, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode",
    "base_resp.2056",
    "usage limit exceeded",
    { kind: "quota", scope: "account", ...innocent },
  ],
  [
    "MiniMax' wrong parameter, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode",
    "base_resp.2013",
    "invalid params, tool result's tool id not found",
    { kind: "bad-request", scope: "request", ...innocent },
  ],
  [
    "MiniMax' overflow, in a 200",
    "https://platform.minimax.io/docs/api-reference/errorcode",
    "base_resp.2013",
    "invalid params, context window exceeds limit",
    { kind: "context-overflow", scope: "model", ...innocent, tokens: {} },
  ],
  [
    "Qwen's ramp-up in the middle of an answer",
    "anomalyco/opencode#21164",
    "502",
    `Upstream error from Alibaba: ${rampUp}`,
    { kind: "ramp-up", scope: "provider", ...innocent },
  ],
  [
    "DeepSeek's finish reason for an answer that it broke off",
    "codes of https://api-docs.deepseek.com/api/create-chat-completion, words not seen",
    "insufficient_system_resource",
    "the upstream broke off its answer: insufficient_system_resource (server error)",
    { kind: "overloaded", scope: "model", ...asked },
  ],
  [
    "a stream's own wait",
    "openai/codex#797",
    "rate_limit_exceeded",
    "Rate limit reached for o4-mini in organization org-0 on tokens per min (TPM): Limit 200000, Used 199000, Requested 2000. Please try again in 7m12s.",
    { kind: "rate-limit", scope: "model", ...refused, retryAfterMs: 432_000 },
  ],
];

describe("what real servers say", () => {
  test.each(rows)("%s (%s)", (_provider, _source, { status, headers, body, scope }, expected) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const { headers: _headers, ...read } = classifyAnswer(status, new Headers(headers), text, now, scope);
    // Message and code are the upstream's own unless the row says what is made of them.
    const { message, code } = read;
    expect(read).toEqual({ message, ...(code === undefined ? {} : { code }), status, ...expected });
  });

  test.each(inStreams)("%s (%s)", (_provider, _source, code, message, expected) => {
    const read = classifyStreamError({ kind: "reported", message, ...(code === undefined ? {} : { code }) }, now);
    expect(read).toEqual({ message, ...(code === undefined ? {} : { code }), ...expected });
  });
});

describe("the table of rules", () => {
  const reached = new Set<unknown>([
    ...rows.map(([, , { status, headers, body }]) => {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      return judge(hear(status, new Headers(headers), text).said);
    }),
    ...inStreams.map(([, , code = "", text]) =>
      judge({ status: undefined, text, codes: [code], page: undefined, headers: new Headers() }),
    ),
  ]);

  test("has no rule without a real message", () => {
    expect(rules.filter((rule) => !reached.has(rule))).toEqual([]);
  });
});

describe("what is the client's own mistake stays so", () => {
  const mistakes: [message: string, status: number][] = [
    ["temperature: must be <= 1", 400],
    ["messages: at least one message is required", 400],
    ["Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", 400],
    ["tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", 400],
    ["thinking is not supported on this model", 400],
    ["This response_format type is unavailable now", 400],
    ["unexpected `tool_use_id` found in `tool_result` blocks: toolu_01", 400],
    ["field required", 422],
  ];
  test.each(mistakes)("%s", (message, status) => {
    const read = classifyAnswer(status, new Headers(), JSON.stringify({ error: { message } }), now);
    expect([read.kind, read.scope, read.countsForBreaker, read.spendsQuota]).toEqual([
      "bad-request",
      "request",
      "no",
      false,
    ]);
  });
});
