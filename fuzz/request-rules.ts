/** What a strict server of each protocol refuses in a request. Takes the body as it goes over the wire. */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import type { Quirks } from "../src/protocols/codec.ts";
import { isFilled, isRecord, record, textOf } from "../test/support/grammar/report.ts";

/** @returns the rules broken; empty when a strict server would take the body */
export function checkRequest(protocol: Protocol, body: JsonObject, quirks: Quirks): string[] {
  const rules = new Rules();
  checkers[protocol](body, quirks, rules);
  return rules.broken;
}

class Rules {
  readonly broken: string[] = [];

  demand(holds: boolean, rule: string): void {
    if (!holds && !this.broken.includes(rule)) this.broken.push(rule);
  }

  fields(value: JsonObject, allowed: readonly string[], where: string): void {
    for (const field in value) this.demand(allowed.includes(field), `${where} has a field ${field}`);
  }
}

type Checker = (body: JsonObject, quirks: Quirks, rules: Rules) => void;

const checkers: Record<Protocol, Checker> = {
  messages: checkMessages,
  chat: checkChat,
  responses: checkResponses,
};

function list(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function isSpoken(value: Json | undefined): boolean {
  return typeof value === "string" && /\S/.test(value);
}

function isArguments(value: Json | undefined): boolean {
  try {
    return isRecord(JSON.parse(textOf(value)));
  } catch {
    return false;
  }
}

function checkSchema(schema: Json | undefined, where: string, rules: Rules): void {
  const object = record(schema);
  rules.demand(isRecord(schema), `${where}: no schema`);
  rules.demand(object["type"] !== undefined && object["type"] !== null, `${where}: schema without type`);
  rules.demand(isRecord(object["properties"]), `${where}: schema without properties`);
  rules.demand(!("$schema" in object), `${where}: $schema is sent`);
}

function checkNames(names: readonly Json[], longest: number, rules: Rules): void {
  for (const name of names) {
    const fits = isFilled(name) && name.length <= longest && /^[a-zA-Z0-9_-]+$/.test(name);
    rules.demand(fits, `a tool name does not fit: ${String(name).slice(0, 80)}`);
  }
  rules.demand(new Set(names).size === names.length, "two tools of one name");
}

/** Each call is answered once, in call order, right behind the calls. */
function checkRound(calls: readonly Json[], results: readonly Json[], rules: Rules): void {
  rules.demand(new Set(calls).size === calls.length, "two calls of one id in a turn");
  rules.demand(Bun.deepEquals(calls, results), `calls ${calls.join(",")} are answered by ${results.join(",")}`);
}

const messagesFields = [
  "model",
  "max_tokens",
  "system",
  "messages",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "metadata",
  "service_tier",
  "stream",
  "cache_control",
];

function checkMessages(body: JsonObject, quirks: Quirks, rules: Rules): void {
  rules.fields(body, messagesFields, "the body");
  const { max_tokens: maxTokens, thinking: thought, tool_choice: choice, stop_sequences: stop } = body;
  rules.demand(Number.isInteger(maxTokens) && Number(maxTokens) >= 1, "max_tokens is no positive integer");
  for (const block of list(body["system"])) rules.demand(isSpoken(block["text"]), "an empty system block");
  if ("system" in body) rules.demand(Array.isArray(body["system"]) && body["system"].length > 0, "an empty system");

  const tools = list(body["tools"]);
  if ("tools" in body) rules.demand(tools.length > 0, "an empty tools array");
  checkNames(
    tools.map((tool) => tool["name"] ?? null),
    128,
    rules,
  );
  for (const tool of tools) {
    if (isFilled(tool["type"]) && /_\d{8}$/.test(tool["type"])) continue;
    rules.fields(tool, ["name", "description", "input_schema", "cache_control"], "a tool");
    checkSchema(tool["input_schema"], "input_schema", rules);
    const root = record(tool["input_schema"]);
    rules.demand(!("anyOf" in root || "oneOf" in root || "allOf" in root), "a union at the root of input_schema");
  }
  const chosen = record(choice);
  if ("tool_choice" in body) rules.demand(tools.length > 0, "tool_choice without tools");
  if (chosen["type"] === "tool") {
    rules.demand(
      tools.some((tool) => tool["name"] === chosen["name"]),
      "tool_choice names a tool that is not sent",
    );
  }

  const thinking = record(thought);
  const thinks = thinking["type"] === "enabled" || thinking["type"] === "adaptive";
  if (thinks) {
    rules.demand(chosen["type"] !== "any" && chosen["type"] !== "tool", "thinking with a forced tool_choice");
    rules.demand(!("temperature" in body) && !("top_k" in body), "temperature or top_k beside thinking");
  }
  if (thinking["type"] === "enabled") {
    const budget = thinking["budget_tokens"];
    const fits = Number.isInteger(budget) && Number(budget) >= 1024 && Number(budget) < Number(maxTokens);
    rules.demand(fits, `budget_tokens ${String(budget)} with max_tokens ${String(maxTokens)}`);
  }
  const { temperature } = body;
  if (temperature !== undefined) {
    rules.demand(typeof temperature === "number" && temperature >= 0 && temperature <= 1, "temperature outside 0..1");
  }
  if (Array.isArray(stop)) rules.demand(stop.length > 0 && stop.every(isSpoken), "a blank stop sequence");

  const messages = list(body["messages"]);
  rules.demand(messages.length > 0, "no messages");
  rules.demand(messages[0]?.["role"] === "user", "the first message is not the user's");
  let previous: Json | undefined;
  for (const [index, message] of messages.entries()) {
    const role = message["role"];
    rules.fields(message, ["role", "content"], "a message");
    rules.demand(role === "user" || role === "assistant" || (role === "system" && quirks.midSystem), `role ${role}`);
    rules.demand(role === "system" || role !== previous, "two messages of one role in a row");
    if (role !== "system") previous = role;
    const blocks = list(message["content"]);
    rules.demand(blocks.length > 0, "a message without content");
    for (const block of blocks) checkMessagesBlock(block, rules);
    if (role === "assistant") {
      const last = textOf(blocks.at(-1)?.["type"]);
      rules.demand(last !== "thinking" && last !== "redacted_thinking", "an assistant message ends in thinking");
    }
    const calls = blocks.filter((block) => block["type"] === "tool_use").map((block) => block["id"] ?? null);
    rules.demand(calls.length === 0 || role === "assistant", "a call outside an assistant message");
    if (role === "assistant") checkRound(calls, leadingResults(messages[index + 1]), rules);
    const results = blocks.filter((block) => block["type"] === "tool_result");
    rules.demand(results.length === leadingResults(message).length, "a tool_result behind other content");
    if (results.length > 0) rules.demand(messages[index - 1]?.["role"] === "assistant", "results without calls");
  }
  const last = messages.at(-1);
  const ending = last?.["role"] === "assistant" ? list(last["content"]).at(-1)?.["text"] : undefined;
  if (typeof ending === "string") rules.demand(ending === ending.trimEnd(), "the prefill ends in white space");
}

function leadingResults(message: JsonObject | undefined): Json[] {
  const ids: Json[] = [];
  if (message?.["role"] !== "user") return ids;
  for (const block of list(message["content"])) {
    if (block["type"] !== "tool_result") break;
    ids.push(block["tool_use_id"] ?? null);
  }
  return ids;
}

function checkMessagesBlock(block: JsonObject, rules: Rules): void {
  switch (block["type"]) {
    case "text":
      rules.fields(block, ["type", "text", "cache_control"], "a text block");
      rules.demand(isSpoken(block["text"]), "an empty text block");
      return;
    case "thinking":
      rules.demand(isFilled(block["signature"]), "a thinking block without signature");
      rules.demand(!textOf(block["signature"]).startsWith("clutch1."), "a wrapped signature is sent to Anthropic");
      return;
    case "redacted_thinking":
      rules.demand(isFilled(block["data"]), "redacted_thinking without data");
      rules.demand(!textOf(block["data"]).startsWith("clutch1."), "wrapped redacted data is sent to Anthropic");
      return;
    case "tool_use":
      rules.fields(block, ["type", "id", "name", "input"], "a tool_use block");
      rules.demand(/^[a-zA-Z0-9_-]+$/.test(textOf(block["id"])), `tool_use id ${String(block["id"])}`);
      rules.demand(/^[a-zA-Z0-9_-]{1,128}$/.test(textOf(block["name"])), `tool_use name ${String(block["name"])}`);
      rules.demand(isRecord(block["input"]), "tool_use input is no object");
      return;
    case "tool_result":
      rules.fields(block, ["type", "tool_use_id", "content", "is_error"], "a tool_result block");
      for (const part of list(block["content"])) checkMessagesBlock(part, rules);
      if (Array.isArray(block["content"])) rules.demand(block["content"].length > 0, "a tool_result with no blocks");
      return;
    case "image":
    case "document":
      rules.fields(block, ["type", "source", "title"], `a ${block["type"]} block`);
      return;
    default:
      rules.demand(false, `a block of type ${String(block["type"])}`);
  }
}

const chatFields = [
  "model",
  "messages",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "stream",
  "stream_options",
  "reasoning_effort",
  "reasoning",
  "thinking",
  "enable_thinking",
  "max_tokens",
  "max_completion_tokens",
  "temperature",
  "top_p",
  "stop",
  "response_format",
  "verbosity",
  "user",
  "prompt_cache_key",
  "service_tier",
];

function checkChat(body: JsonObject, quirks: Quirks, rules: Rules): void {
  rules.fields(body, chatFields, "the body");
  rules.demand(body["stream"] === true || !("stream_options" in body), "stream_options without stream");
  const { stop } = body;
  if (stop !== undefined) {
    const fits = Array.isArray(stop) && stop.length > 0 && stop.length <= 4 && stop.every(isFilled);
    rules.demand(fits, "stop is no list of one to four texts");
  }
  const tools = list(body["tools"]);
  if ("tools" in body) rules.demand(tools.length > 0, "an empty tools array");
  else rules.demand(!("tool_choice" in body) && !("parallel_tool_calls" in body), "a tool_choice without tools");
  const names = tools.map((tool) => record(tool["function"])["name"] ?? null);
  checkNames(names, 64, rules);
  for (const tool of tools) {
    rules.demand(tool["type"] === "function", `a tool of type ${String(tool["type"])}`);
    rules.fields(record(tool["function"]), ["name", "description", "parameters", "strict"], "a function");
    checkSchema(record(tool["function"])["parameters"], "parameters", rules);
  }
  const choice = record(body["tool_choice"]);
  const chosen = [choice, ...list(record(choice["allowed_tools"])["tools"])].filter(
    (one) => one["type"] === "function",
  );
  for (const one of chosen) {
    const name = record(one["function"])["name"] ?? null;
    rules.demand(names.includes(name), "tool_choice names a tool that is not sent");
  }
  if (choice["type"] === "allowed_tools") rules.demand(chosen.length > 0, "allowed_tools allows nothing");

  const messages = list(body["messages"]);
  let open: Json[] = [];
  let answered: Json[] = [];
  const closeRound = () => {
    checkRound(open, answered, rules);
    open = [];
    answered = [];
  };
  for (const [index, message] of messages.entries()) {
    const { role, content } = message;
    if (role !== "tool") closeRound();
    switch (role) {
      case "system":
      case "developer":
        rules.demand((role === "developer") === quirks.developerRole, `role ${role} against the flag`);
        rules.demand(index === 0 || !quirks.systemFirstOnly, "a later system message");
        rules.demand(isFilled(content) || (Array.isArray(content) && content.length > 0), "an empty system message");
        break;
      case "user":
        rules.demand(messages[index - 1]?.["role"] !== "user", "two user messages in a row");
        rules.demand(isFilled(content) || (Array.isArray(content) && content.length > 0), "an empty user message");
        for (const part of list(content)) {
          rules.fields(part, ["type", "text", "image_url", "file", "input_audio", "cache_control"], "a part");
          rules.demand(part["type"] !== "text" || isFilled(part["text"]), "an empty text part");
          rules.demand(quirks.cacheControl || !("cache_control" in part), "cache_control against the flag");
        }
        break;
      case "assistant": {
        const known = ["role", "content", "reasoning_content", "reasoning", "reasoning_details", "tool_calls"];
        rules.fields(message, known, "an assistant message");
        const calls = list(message["tool_calls"]);
        rules.demand(isFilled(content) || (content === null && calls.length > 0), "an empty assistant message");
        rules.demand(!("tool_calls" in message) || calls.length > 0, "an empty tool_calls array");
        open = calls.map((call) => call["id"] ?? null);
        for (const call of calls) {
          const detail = record(call["function"]);
          rules.fields(call, ["id", "type", "function", "extra_content"], "a call");
          rules.demand(isFilled(call["id"]), "a call without id");
          rules.demand(/^[a-zA-Z0-9_-]{1,64}$/.test(textOf(detail["name"])), `a call of ${String(detail["name"])}`);
          rules.demand(isArguments(detail["arguments"]), "arguments that are no JSON object");
        }
        break;
      }
      case "tool":
        rules.fields(message, ["role", "tool_call_id", "content"], "a tool message");
        answered.push(message["tool_call_id"] ?? null);
        rules.demand(typeof content === "string" || quirks.toolImages, "a tool message whose content is no string");
        break;
      default:
        rules.demand(false, `role ${String(role)}`);
    }
  }
  closeRound();
}

const responsesFields = [
  "model",
  "instructions",
  "input",
  "stream",
  "store",
  "include",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "max_output_tokens",
  "temperature",
  "top_p",
  "reasoning",
  "text",
  "prompt_cache_key",
  "user",
  "service_tier",
];

function checkResponses(body: JsonObject, quirks: Quirks, rules: Rules): void {
  rules.fields(body, responsesFields, "the body");
  rules.demand(body["store"] === false, "store is not false");
  rules.demand(
    Bun.deepEquals(body["include"], ["reasoning.encrypted_content"]),
    "encrypted reasoning is not asked for",
  );
  const { max_output_tokens: limit, prompt_cache_key: cacheKey } = body;
  if (limit !== undefined) rules.demand(typeof limit === "number" && limit >= 16, "max_output_tokens below 16");
  if (cacheKey !== undefined) rules.demand(isFilled(cacheKey) && cacheKey.length <= 64, "a cache key beyond 64");
  if ("instructions" in body) rules.demand(isFilled(body["instructions"]), "empty instructions");

  const tools = list(body["tools"]);
  if ("tools" in body) rules.demand(tools.length > 0, "an empty tools array");
  else rules.demand(!("tool_choice" in body) && !("parallel_tool_calls" in body), "a tool_choice without tools");
  const functions = tools.filter((tool) => tool["type"] === "function");
  rules.demand(
    tools.length === functions.length || quirks.webSearch,
    "a tool that is no function, against the web search flag",
  );
  checkNames(
    functions.map((tool) => tool["name"] ?? null),
    64,
    rules,
  );
  for (const tool of functions) {
    rules.fields(tool, ["type", "name", "description", "parameters", "strict"], "a tool");
    rules.demand(typeof tool["strict"] === "boolean", "a tool without an explicit strict");
    checkSchema(tool["parameters"], "parameters", rules);
  }
  const choice = record(body["tool_choice"]);
  const chosen = [choice, ...list(choice["tools"])].filter((one) => one["type"] === "function");
  for (const one of chosen) {
    rules.demand(
      functions.some((tool) => tool["name"] === one["name"]),
      "tool_choice names a tool that is not sent",
    );
  }

  const items = list(body["input"]);
  rules.demand(items.length > 0 || !("instructions" in body), "instructions without any input");
  let open: Json[] = [];
  let answered: Json[] = [];
  const closeRound = () => {
    checkRound(open, answered, rules);
    open = [];
    answered = [];
  };
  for (const [index, item] of items.entries()) {
    const { type } = item;
    rules.demand(!("id" in item), `an ${String(type)} item with an id`);
    const startsAnswer = type === "function_call" || type === "reasoning";
    if (type !== "function_call_output" && !(startsAnswer && answered.length === 0)) closeRound();
    switch (type) {
      case "message":
        rules.fields(item, ["type", "role", "content"], "a message item");
        checkItemContent(item, rules);
        break;
      case "reasoning": {
        const following = items.slice(index + 1).find((other) => other["type"] !== "reasoning");
        const isAnswer = following?.["role"] === "assistant" || following?.["type"] === "function_call";
        rules.demand(isAnswer, "a reasoning item that nothing follows");
        rules.fields(item, ["type", "summary", "encrypted_content"], "a reasoning item");
        rules.demand(isFilled(item["encrypted_content"]), "reasoning without encrypted_content");
        rules.demand(!textOf(item["encrypted_content"]).startsWith("clutch1."), "an envelope is sent upstream");
        break;
      }
      case "function_call":
        rules.fields(item, ["type", "call_id", "name", "arguments"], "a function_call item");
        rules.demand(isCallId(item["call_id"]), `call_id ${String(item["call_id"])}`);
        rules.demand(/^[a-zA-Z0-9_-]{1,64}$/.test(textOf(item["name"])), `a call of ${String(item["name"])}`);
        rules.demand(isArguments(item["arguments"]), "arguments that are no JSON object");
        open.push(item["call_id"] ?? null);
        break;
      case "function_call_output":
        rules.fields(item, ["type", "call_id", "output"], "an output item");
        rules.demand(isCallId(item["call_id"]), `call_id ${String(item["call_id"])}`);
        for (const part of list(item["output"])) checkInputPart(part, rules);
        answered.push(item["call_id"] ?? null);
        break;
      default:
        rules.demand(false, `an item of type ${String(type)}`);
    }
  }
  closeRound();
}

function isCallId(value: Json | undefined): boolean {
  return isFilled(value) && value.length <= 64;
}

function checkItemContent(item: JsonObject, rules: Rules): void {
  const { role } = item;
  rules.demand(role === "user" || role === "developer" || role === "assistant", `role ${String(role)}`);
  const parts = list(item["content"]);
  rules.demand(parts.length > 0, "a message item without content");
  for (const part of parts) {
    if (role !== "assistant") checkInputPart(part, rules);
    else if (part["type"] === "refusal") rules.demand(isFilled(part["refusal"]), "an empty refusal");
    else rules.demand(part["type"] === "output_text" && isFilled(part["text"]), "an assistant part that is no text");
  }
}

function checkInputPart(part: JsonObject, rules: Rules): void {
  switch (part["type"]) {
    case "input_text":
      rules.demand(isFilled(part["text"]), "an empty input_text");
      return;
    case "input_image":
      rules.demand(isFilled(part["image_url"]), "an input_image without image_url");
      return;
    case "input_file":
      rules.demand(isFilled(part["file_data"]) || isFilled(part["file_url"]), "an input_file without its data");
      return;
    default:
      rules.demand(false, `a part of type ${String(part["type"])}`);
  }
}
