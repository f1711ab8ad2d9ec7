/**
 * What targets have taught us by refusing a request: a 400 that names a field or a value is answered by sending the
 * request once more without it, and remembered, so that it happens once a day and not once a request.
 */

import type { JsonObject, Protocol } from "../src/protocols/chat.ts";
import { type Effort, efforts } from "../src/protocols/chat.ts";
import type { Quirks } from "../src/protocols/codec.ts";
import type { Failure } from "./failure.ts";

export interface Lesson {
  /** Flags that the encoder must see differently. */
  quirks: Partial<Quirks>;
  /** Top-level members of the wire body that the target refuses. */
  dropFields: readonly string[];
  /** Members of the wire body that go by another name there. */
  renameFields: Readonly<Record<string, string>>;
  /** Values of the `anthropic-beta` header that the target refuses. */
  dropBetas: readonly string[];
  /** The largest output that the target lets itself be asked for (tokens). */
  maxOutputTokens?: number;
}

export const nothingLearnt: Lesson = { quirks: {}, dropFields: [], renameFields: {}, dropBetas: [] };

/** How long a lesson holds: models change what they take without notice (ms). */
export const lessonLifeMs = 24 * 3_600_000;

/** Lessons by target, in memory. */
export class Lessons {
  #byTarget = new Map<string, { lesson: Lesson; expiresAt: number }>();

  /** @param target `provider:model@protocol` @param now milliseconds since 1970 */
  recall(target: string, now: number): Lesson {
    // Most gateways have learnt nothing, and then the name need not even be put together.
    if (this.#byTarget.size === 0) return nothingLearnt;
    const known = this.#byTarget.get(target);
    if (known === undefined) return nothingLearnt;
    if (known.expiresAt > now) return known.lesson;
    this.#byTarget.delete(target);
    return nothingLearnt;
  }

  /** Adds to what is known; the whole then holds for its full life again. */
  keep(target: string, lesson: Lesson, now: number): void {
    this.#byTarget.set(target, { lesson: addLesson(this.recall(target, now), lesson), expiresAt: now + lessonLifeMs });
  }
}

/** Both lessons in one. */
export function addLesson(known: Lesson, fresh: Lesson): Lesson {
  return {
    quirks: { ...known.quirks, ...fresh.quirks },
    dropFields: [...new Set([...known.dropFields, ...fresh.dropFields])],
    renameFields: { ...known.renameFields, ...fresh.renameFields },
    dropBetas: [...new Set([...known.dropBetas, ...fresh.dropBetas])],
    maxOutputTokens: fresh.maxOutputTokens ?? known.maxOutputTokens,
  };
}

/** True when a lesson says something of the wire body itself, so that it must be parsed even to be passed on. */
export function changesBody({ dropFields, renameFields, maxOutputTokens }: Lesson): boolean {
  return dropFields.length > 0 || Object.keys(renameFields).length > 0 || maxOutputTokens !== undefined;
}

const outputLimits = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/** The body as this target takes it; the same object when nothing changes. */
export function applyLesson(body: JsonObject, lesson: Lesson): JsonObject {
  if (!changesBody(lesson)) return body;
  const { dropFields, renameFields, maxOutputTokens: most = Number.POSITIVE_INFINITY } = lesson;
  const entries = Object.entries(body).filter(([name]) => !dropFields.includes(name));
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const isTooMuch = outputLimits.includes(name) && typeof value === "number" && value > most;
      return [renameFields[name] ?? name, isTooMuch ? most : value];
    }),
  );
}

/** Left out without harm: hints, tuning and bookkeeping. What carries the conversation itself is never dropped. */
const droppable = [
  "temperature",
  "top_p",
  "top_k",
  "seed",
  "stream_options",
  "reasoning_effort",
  "reasoning",
  "thinking",
  "enable_thinking",
  "output_config",
  "context_management",
  "parallel_tool_calls",
  "prompt_cache_key",
  "store",
  "include",
  "verbosity",
  "metadata",
  "client_metadata",
  "user",
  "service_tier",
  "response_format",
  "truncation",
  "speed",
  "diagnostics",
  "container",
] as const;

/** Words by which servers refuse a field. */
const refusal =
  /unsupported|not supported|unavailable|unknown|unrecognized|unexpected|not permitted|not allowed|extra inputs|extra fields|deprecated|invalid (?:field|parameter|argument)|cannot be (?:used|set)|does not support/i;

/**
 * What a refusal teaches, or undefined when it is the client's own mistake or teaches nothing new.
 * @param sent the wire body that was refused
 */
export function learn(why: Failure, protocol: Protocol, sent: JsonObject): Lesson | undefined {
  if (why.kind !== "bad-request") return undefined;
  const { message } = why;
  for (const rule of rules[protocol]) {
    const lesson = rule(message, sent);
    if (lesson !== undefined) return { ...nothingLearnt, ...lesson };
  }
  if (!refusal.test(message)) return undefined;
  const named = droppable.filter((field) => field in sent && namesField(message, field));
  return named.length === 0 ? undefined : { ...nothingLearnt, dropFields: named };
}

type Rule = (message: string, sent: JsonObject) => Partial<Lesson> | undefined;

/** OpenAI on reasoning models: "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead." */
const otherTokensField = (message: string, sent: JsonObject): Partial<Lesson> | undefined => {
  if ("max_tokens" in sent && message.includes("max_completion_tokens")) {
    return {
      quirks: { maxTokensField: "max_completion_tokens" },
      renameFields: { max_tokens: "max_completion_tokens" },
    };
  }
  if ("max_completion_tokens" in sent && namesField(message, "max_completion_tokens") && refusal.test(message)) {
    return { quirks: { maxTokensField: "max_tokens" }, renameFields: { max_completion_tokens: "max_tokens" } };
  }
  return undefined;
};

const usageOption: Rule = (message, sent) =>
  "stream_options" in sent && /stream_options|include_usage/.test(message)
    ? { quirks: { streamOptions: false }, dropFields: ["stream_options"] }
    : undefined;

/**
 * vLLM and llama.cpp chat templates: "System message must be at the beginning."; Anthropic's models before 4.8:
 * "messages.1.role: Input should be 'user' or 'assistant'".
 */
const systemPlace: Rule = (message) =>
  /unexpected role ['"`]?system|messages\.\d+\.role: input should be|role ['"`]?system['"`]? is not (?:supported|allowed)/i.test(
    message,
  ) ||
  /system (?:message|role|prompt)s? (?:must|should|can only|may only) (?:be|appear|come)[^.]*(?:begin|first|start)/i.test(
    message,
  )
    ? { quirks: { systemFirstOnly: true, midSystem: false } }
    : undefined;

/**
 * OpenAI: "max_tokens is too large: 32000. This model supports at most 16384 completion tokens"; DashScope: "Range of
 * max_tokens should be [1, 8192]"; Anthropic: "max_tokens: 128000 > 64000, which is the maximum allowed".
 */
const largestOutput: Rule = (message) => {
  const match =
    /at most (\d+) completion tokens|range of max_tokens (?:should be|is) \[\d+, ?(\d+)\]|max_tokens: \d+ > (\d+)/i.exec(
      message,
    );
  const limit = match?.slice(1).find((digits) => digits !== undefined);
  return limit === undefined ? undefined : { maxOutputTokens: Number(limit) };
};

/** DeepSeek: "This response_format type is unavailable now". The schema is then asked for by words. */
const responseFormat: Rule = (message, sent) =>
  "response_format" in sent && /response_format/.test(message) && refusal.test(message)
    ? { quirks: { outputFormat: false }, dropFields: ["response_format"] }
    : undefined;

const developerRole: Rule = (message) =>
  /['"`]?developer['"`]?/.test(message) && /role/i.test(message) ? { quirks: { developerRole: false } } : undefined;

/** OpenAI: "Unsupported value: 'xhigh' is not supported with the 'o3' model. Supported values are: 'low', 'medium', and 'high'." */
const acceptedEfforts: Rule = (message, sent) => {
  const used = usedEffort(sent);
  if (used === undefined || !/effort|supported values/i.test(message)) return undefined;
  const listed = efforts.filter((effort) => effort !== used && new RegExp(`\\b${effort}\\b`).test(message));
  if (listed.length > 0) return { quirks: { efforts: listed } };
  // Without any effort's name in it, it is the field that is refused.
  if (!message.includes(used)) return undefined;
  const lower = efforts.filter((effort) => effort !== "none" && efforts.indexOf(effort) < efforts.indexOf(used));
  return lower.length === 0 ? undefined : { quirks: { efforts: lower } };
};

function usedEffort(sent: JsonObject): Effort | undefined {
  const nested = [sent["reasoning"], sent["output_config"]].map((value) =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? value["effort"] : undefined,
  );
  return efforts.find((effort) => effort === sent["reasoning_effort"] || nested.includes(effort));
}

/** Anthropic on Claude 4.7 and later: "temperature is deprecated for this model", and so for top_p and top_k. */
const sampling: Rule = (message, sent) => {
  const fields = ["temperature", "top_p", "top_k"].filter((field) => field in sent);
  const isNamed = fields.some((field) => namesField(message, field));
  return isNamed ? { quirks: { sampling: false }, dropFields: ["temperature", "top_p", "top_k"] } : undefined;
};

const outputFormat: Rule = (message) =>
  /output_config\.format|output_format|structured outputs?/.test(message) && refusal.test(message)
    ? { quirks: { outputFormat: false } }
    : undefined;

/** Anthropic on older models: "adaptive thinking is not supported on this model"; on newer ones the reverse for budgets. */
const thinkingMode: Rule = (message, sent) => {
  if (!("thinking" in sent) || !/thinking/.test(message) || !refusal.test(message)) return undefined;
  const wasAdaptive = JSON.stringify(sent["thinking"]).includes('"adaptive"');
  if (wasAdaptive && /adaptive/.test(message)) return { quirks: { thinkingMode: "budget" }, dropFields: [] };
  if (!wasAdaptive && /enabled|budget/.test(message)) return { quirks: { thinkingMode: "adaptive" } };
  return { quirks: { thinkingMode: "none" }, dropFields: ["thinking"] };
};

/** Anthropic-like servers: "Unexpected value(s) `effort-2025-11-24` for the `anthropic-beta` header." */
const betas: Rule = (message) => {
  if (!/anthropic-beta/.test(message)) return undefined;
  const named = [...message.matchAll(/[a-z][a-z-]*-20\d\d-\d\d-\d\d|claude-code-\d{8}/g)].map(([beta]) => beta);
  return named.length === 0 ? undefined : { dropBetas: named };
};

const rules: Record<Protocol, readonly Rule[]> = {
  chat: [largestOutput, otherTokensField, usageOption, systemPlace, developerRole, responseFormat, acceptedEfforts],
  messages: [largestOutput, betas, sampling, outputFormat, thinkingMode, systemPlace, acceptedEfforts],
  responses: [largestOutput, acceptedEfforts],
};

/** As a word of its own: `user` must not be found in "the user message". */
function namesField(message: string, field: string): boolean {
  return field.includes("_")
    ? message.includes(field)
    : new RegExp(
        `['"\`]${field}(?:[.'"\`])|\\b${field}:|parameter:? ${field}\\b|field:? ${field}\\b|^${field}\\b`,
      ).test(message);
}
