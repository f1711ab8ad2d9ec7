/** The config file's shape. Every number says its unit in its name; an unknown key is an error that names the nearest known one. */

import { z } from "zod";
import { agentRoles, roleAliases, unseenHermesRoles } from "../agent-roles.ts";
import { ClutchError } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { efforts, type Json } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";
import { allowanceSchema } from "./allowance.ts";

/** What stands in many places is made once: zod takes its time for each, and a gateway that starts waits for all of them. */
const text = z.string();
const someText = text.optional();
const textOrNone = text.default("");
const someTexts = z.array(text).optional();
const texts = z.array(text).default([]);
const someTextByName = z.record(text, text).optional();
const textByName = z.record(text, text).default({});
const on = z.boolean().default(true);
const off = z.boolean().default(false);
const someFlag = z.boolean().optional();
const amount = z.number().nonnegative();
const whole = z.number().int().nonnegative();
const positive = z.number().positive();
const count = z.number().int().positive();
const allowance = allowanceSchema.optional();

/** 0 is no limit. Timers cannot count further than 2^31-1 ms, which is 24 days. */
const milliseconds = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 31 - 1);

/** How much a tier's models think, whatever the agent asks for; an agent that switches thinking off is left alone. */
const reasoning = z.strictObject({
  effort: z.enum(efforts).optional(),
  /** For thinking alone; where a protocol knows only words, the word that stands for as much. */
  max_tokens: count.optional(),
  /** The thoughts are not sent to the agent, as far as the upstream can leave them out. */
  exclude: someFlag,
});

const tier = z.strictObject({
  /** The model asked first; empty means the next larger tier's. */
  default: textOrNone,
  cascade: texts,
  reasoning: reasoning.optional(),
  /** How long answers are, where the upstream takes it. */
  verbosity: z.enum(["low", "medium", "high"]).optional(),
});

const provider = z.strictObject({
  /** Pins the provider to one wire; a built-in row without it uses the client's own where the provider speaks it. */
  protocol: z.enum(["chat", "messages", "responses"]).optional(),
  base_url: z
    .url({ protocol: /^https?$/ })
    .refine((url) => !/[?#]/.test(url), "must not have a query or fragment: paths are appended to it")
    .optional(),
  /** `env:NAME`, `cmd:shell command`, or the key itself. */
  api_key: someText,
  api_keys: someTexts,
  /** Sent with every request. `env:NAME` takes the value from the environment; "" leaves out a header that Clutch would send. */
  headers: textByName,
  /** Appended to every URL, such as Azure's `api-version`. */
  query: someTextByName,
});

/** Read by the launcher alone, which knows what the letters mean. */
const profile = z.strictObject({
  name: someText,
  agent: someText,
  model: someText,
  route: z.enum(["", "p", "b", "d"]).optional(),
  args: someTexts,
  env: someTextByName,
});

/** Role -> tier or model reference. */
function roles<Role extends string>(names: readonly Role[]) {
  const fields = Object.fromEntries(names.map((name) => [name, someText]));
  return z.strictObject(fields as Record<Role, typeof someText>).optional();
}

const agent = {
  claude: z.strictObject({
    roles: roles(agentRoles.claude),
    /** A sub-agent's name, as its definition has it -> tier or model reference. */
    subagents: someTextByName,
  }),
  hermes: z.strictObject({
    roles: roles([...agentRoles.hermes, ...Object.keys(roleAliases), ...Object.keys(unseenHermesRoles)] as string[]),
  }),
  codex: z.strictObject({ roles: roles(agentRoles.codex) }),
  qwen: z.strictObject({ roles: roles(agentRoles.qwen) }),
  pi: z.strictObject({ roles: roles(agentRoles.pi) }),
  opencode: z.strictObject({ roles: roles(agentRoles.opencode) }),
  ante: z.strictObject({ roles: roles(agentRoles.ante) }),
  antigravity: z.strictObject({ roles: roles(agentRoles.antigravity) }),
};

/** An entry of the chain: what differs from the built-in service of that id, or a service of the user's own. */
const service = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, "must be lower-case letters, digits and hyphens"),
  name: someText,
  type: z.enum(["http", "cli_wrapper"]).optional(),
  enabled: someFlag,
  order: z.number().int().optional(),
  needs: someTexts,
  front: someFlag,
  /** Its words, as a list: nothing is left to a shell. */
  command: someTexts,
  /** `env:NAME` takes the value from the environment that `clutch up` is called in. */
  env: someTextByName,
  port: z.number().int().min(1).max(65535).optional(),
  health_path: z.string().regex(/^\//, "must begin with /").optional(),
  ready_seconds: z.number().positive().max(3600).optional(),
});

/** US dollars per million tokens. */
const dollars = amount;
const someDollars = dollars.optional();

/** What a model costs, where no list says so or says it wrong: one of the three. */
const price = z
  .strictObject({
    usd_per_million: z
      .strictObject({
        input: dollars,
        output: dollars,
        /** Left out: as other input. */
        cache_read: someDollars,
        cache_write: someDollars,
      })
      .optional(),
    /** `provider:model` whose price it has. */
    same_as: someText,
    pays: z.enum(["free", "plan"]).optional(),
  })
  .refine(
    (entry) => Object.values(entry).filter((value) => value !== undefined).length === 1,
    "must have one of usd_per_million, same_as and pays",
  );
/** `others`: agents without a row of their own, those that are not recognised among them. */
const perAgent = z.strictObject({
  claude: allowance,
  hermes: allowance,
  codex: allowance,
  qwen: allowance,
  pi: allowance,
  opencode: allowance,
  ante: allowance,
  antigravity: allowance,
  others: allowance,
});

export const configSchema = z.strictObject({
  $schema: someText,
  server: z
    .strictObject({
      host: z.string().default("127.0.0.1"),
      port: z.number().int().min(0).max(65535).default(8082),
      require_key: off,
    })
    .prefault({}),
  proxy: z
    .strictObject({
      base_url: someText,
      health_url: someText,
      auto_start: on,
    })
    .prefault({}),
  default_provider: z.string().default("openrouter"),
  providers: z.record(text, provider).default({}),
  model_tiers: z
    .strictObject({ BIG: tier.prefault({}), MIDDLE: tier.prefault({}), SMALL: tier.prefault({}) })
    .optional(),
  routes: z
    .strictObject({
      image: textOrNone,
      web_search: textOrNone,
      long_context: z.strictObject({ model: textOrNone, threshold: count.default(60000) }).prefault({}),
      think: textOrNone,
      background: textOrNone,
      default: textOrNone,
      custom: textOrNone,
    })
    .prefault({}),
  mappings: textByName,
  agents: z
    .strictObject({
      claude: agent.claude.optional(),
      hermes: agent.hermes.optional(),
      codex: agent.codex.optional(),
      qwen: agent.qwen.optional(),
      pi: agent.pi.optional(),
      opencode: agent.opencode.optional(),
      ante: agent.ante.optional(),
      antigravity: agent.antigravity.optional(),
    })
    .default({}),
  fallbacks: texts,
  toolcall_models: texts,
  fallback_method: z.enum(["cascade", "openrouter_native", "both"]).default("cascade"),
  quotas: z
    .record(
      z.string(),
      z.strictObject({
        max_requests_per_minute: positive.optional(),
        cooldown_seconds: amount.optional(),
      }),
    )
    .default({}),
  breaker: z
    .strictObject({
      failures: whole.default(3),
      cooldown_seconds: positive.default(60),
      max_cooldown_seconds: positive.default(3600),
    })
    .prefault({}),
  timeouts: z
    .strictObject({
      connect_ms: milliseconds.default(10_000),
      first_token_ms: milliseconds.default(60_000),
      idle_ms: milliseconds.default(120_000),
      patience_ms: milliseconds.default(8_000),
    })
    .prefault({}),
  hedge: z.strictObject({ after_ms: milliseconds.default(0) }).prefault({}),
  /** By `provider:model`. */
  prices: z.record(z.string().regex(/^[^:/]+:./, "must be provider:model"), price).default({}),
  ledger: z
    .strictObject({
      /** Off: nothing of any request is kept, and usage, why and sessions know of none. */
      enabled: on,
      /** How long requests are kept; 0 is for ever. Sums by day stay. */
      retention_days: whole.default(90),
      /** The same of captured bodies. */
      body_days: whole.default(7),
    })
    .prefault({}),
  budgets: z
    .strictObject({
      /** The same as `per_day.soft_usd`. */
      daily_usd: amount.default(0),
      allow_paid: on,
      per_day: allowanceSchema.prefault({}),
      /** Each agent's own, a day. */
      per_agent: perAgent.prefault({}),
      /** Each session's own, however long it lasts. */
      per_session: allowanceSchema.prefault({}),
    })
    .prefault({}),
  launcher: z
    .strictObject({
      tiers: textByName,
      profiles: z.record(z.string().regex(/^[0-9]$/, "must be a digit"), profile).default({}),
    })
    .prefault({}),
  chain: z.strictObject({ services: z.array(service).default([]) }).prefault({}),
  headroom: z.strictObject({ mode: z.enum(["front", "sidecar", "off"]).default("front") }).prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type ProviderConfig = z.infer<typeof provider>;

/** Keys whose values are never printed. */
const secretKeys = ["api_key", "api_keys", "headers", "query", "env"];

/** Keys that the file sets and this version does not act on; `serve` names them. */
export function keysWithoutEffect(raw: Json): string[] {
  if (!isObject(raw)) return [];
  const roles = valueAt(raw, ["agents", "hermes", "roles"]);
  const unseen = isObject(roles) ? Object.keys(roles).filter((role) => Object.hasOwn(unseenHermesRoles, role)) : [];
  // Bun's fetch has no limit for connecting alone (oven-sh/bun#33338; tried on 1.4.4).
  const isConnect = valueAt(raw, ["timeouts", "connect_ms"]) !== undefined;
  return [...(isConnect ? ["timeouts.connect_ms"] : []), ...unseen.map((role) => `agents.hermes.roles.${role}`)];
}

/**
 * @param source the file's path, for the message
 * @param tolerant drops unknown keys (the predecessor's file holds things of its own)
 * @throws {ClutchError} `config-invalid`: the first problem, with its key, the value and what is expected
 */
export function parseConfig(raw: Json, source: string, tolerant = false): Config {
  // Read once or twice in a process: to compile the schema into code first would take longer than to walk it.
  const result = configSchema.safeParse(raw, { jitless: true });
  if (result.success) return result.data;
  const unknown = result.error.issues.filter((issue) => issue.code === "unrecognized_keys");
  if (tolerant && unknown.length > 0) {
    const cleaned = structuredClone(raw);
    for (const issue of unknown) {
      const holder = valueAt(cleaned, issue.path);
      if (isObject(holder)) for (const key of issue.keys) delete holder[key];
    }
    return parseConfig(cleaned, source, tolerant);
  }
  const [issue] = result.error.issues;
  throw issue?.code === "unrecognized_keys" ? unknownKey(issue, source) : wrongValue(issue, raw, source);
}

type Issue = z.core.$ZodIssue;

function unknownKey({ keys, path }: Issue & { keys: string[] }, source: string): ClutchError {
  const at = path.map(String).join(".");
  const key = keys[0] ?? "";
  const near = nearest(key, knownKeysAt(path));
  return new ClutchError("config-invalid", `${source}: unknown key ${quote(at === "" ? key : `${at}.${key}`)}`, {
    hint: near === undefined ? "remove it" : `did you mean ${quote(near)}?`,
  });
}

function wrongValue(issue: Issue | undefined, raw: Json, source: string): ClutchError {
  const path = issue?.path ?? [];
  const received = valueAt(raw, path);
  const isSecret = (path[0] === "providers" && path.length < 3) || path.some((key) => secretKeys.includes(String(key)));
  const shown = received === undefined ? "nothing" : isSecret ? "(hidden)" : short(JSON.stringify(received));
  const where = path.length === 0 ? "" : ` ${quote(path.map(String).join("."))} is ${shown}:`;
  const problem = issue?.message ?? "not a valid config";
  return new ClutchError("config-invalid", `${source}:${where} ${problem.charAt(0).toLowerCase()}${problem.slice(1)}`, {
    hint: "correct it in the file",
  });
}

function valueAt(value: Json | undefined, path: readonly PropertyKey[]): Json | undefined {
  let here: Json | undefined = value;
  for (const key of path) {
    if (here === null || typeof here !== "object") return undefined;
    here = Array.isArray(here) ? here[Number(key)] : here[String(key)];
  }
  return here;
}

/** The keys that an object at this place may have; empty where any is good, or none. */
export function knownKeysAt(path: readonly PropertyKey[]): string[] {
  let schema: unknown = configSchema;
  for (const key of path) {
    schema = unwrap(schema);
    if (schema instanceof z.ZodObject) schema = schema.shape[String(key)];
    else if (schema instanceof z.ZodRecord) schema = schema.valueType;
    else if (schema instanceof z.ZodArray) schema = schema.element;
  }
  schema = unwrap(schema);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** A schema without what says that it may be left out. */
export function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) {
    inner = inner.unwrap();
  }
  return inner;
}

function quote(text: string): string {
  return `"${text}"`;
}

/** An address may hold a password. */
function short(text: string): string {
  const shown = text.replace(/(:\/\/)[^/?#\s"]+@/g, "$1(hidden)@");
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}
