/**
 * What strict servers reject, per protocol, as far as it can be told from a request alone. A translated request has to
 * keep all of it; one that is passed on as it came is the agent's own affair. Pure.
 */

import type { Json, JsonObject, Protocol } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import { conversation, objects } from "./wire-requests.ts";

/** One sentence per fault. */
export function findFaults(protocol: Protocol, body: JsonObject): string[] {
  return [...unknownFields(body, knownFields[protocol]), ...rules[protocol](body)];
}

/** What the agent's vendor may know and no other: sessions, devices, folders, versions. One sentence per leak. */
export function findLeaks(headers: Readonly<Record<string, string>>, body: JsonObject): string[] {
  const told = JSON.stringify(body);
  return [
    ...Object.keys(headers)
      .filter((name) => vendorHeaders.test(name))
      .map((name) => `header ${name}`),
    ...["x-anthropic-billing-header", "device_id", "installation_id"]
      .filter((words) => told.includes(words))
      .map((words) => `${words} in the body`),
  ];
}

const vendorHeaders =
  /^(anthropic-(?!version$)|openai-|x-stainless-|x-codex-|x-openai-|x-claude-|x-session-|session[-_]id$|thread-id$|originator$|cookie$)/;

const knownFields: Readonly<Record<Protocol, readonly string[]>> = {
  messages: words(
    "model max_tokens messages system stream tools tool_choice thinking output_config temperature top_p top_k",
    "stop_sequences metadata service_tier cache_control",
  ),
  chat: words(
    "model messages stream stream_options tools tool_choice parallel_tool_calls max_tokens temperature top_p stop",
    "reasoning_effort response_format prompt_cache_key user safety_identifier service_tier verbosity",
  ),
  responses: words(
    "model input instructions stream store include tools tool_choice parallel_tool_calls max_output_tokens",
    "temperature top_p reasoning text prompt_cache_key user safety_identifier service_tier",
  ),
};

const rules: Readonly<Record<Protocol, (body: JsonObject) => string[]>> = {
  messages: (body) => [
    ...whenNot(Number(body.max_tokens) >= 1, "max_tokens is missing"),
    ...toolFaults(objects(body.tools), (tool) => [tool.name, tool.input_schema], 128),
    ...messagesTurnFaults(objects(body.messages)),
    ...[...objects(body.system), ...everyBlock(body)]
      .filter((block) => block.type === "text" && isBlank(block.text))
      .map(() => "an empty text block"),
  ],
  chat: (body) => [
    ...toolFaults(objects(body.tools), chatTool, 64),
    ...chatTurnFaults(objects(body.messages)),
    ...whenNot(!JSON.stringify(body).includes('"cache_control"'), "cache_control, which only Anthropic knows"),
    ...whenNot(
      body.stream !== true || (isObject(body.stream_options) && body.stream_options.include_usage === true),
      "the stream is not asked for usage",
    ),
  ],
  responses: (body) => [
    ...whenNot(body.store === false, "store is not false"),
    ...whenNot(
      Array.isArray(body.include) && body.include.includes("reasoning.encrypted_content"),
      "encrypted reasoning is not asked for",
    ),
    ...toolFaults(objects(body.tools), (tool) => [tool.name, tool.parameters], 64),
    ...objects(body.tools).flatMap((tool) =>
      whenNot(tool.type !== "function" || typeof tool.strict === "boolean", `tool ${tool.name} does not say strict`),
    ),
    ...itemFaults(objects(body.input)),
  ],
};

function chatTool(tool: JsonObject): [Json | undefined, Json | undefined] {
  return isObject(tool.function) ? [tool.function.name, tool.function.parameters] : [undefined, undefined];
}

type ReadTool = (tool: JsonObject) => [name: Json | undefined, schema: Json | undefined];

function toolFaults(tools: readonly JsonObject[], read: ReadTool, maxLength: number): string[] {
  const names = tools.map((tool) => String(read(tool)[0]));
  const duplicates = names.filter((name, index) => names.indexOf(name) !== index);
  return [
    ...duplicates.map((name) => `tool ${name} is declared twice`),
    ...tools.flatMap((tool) => {
      const [name, schema] = read(tool);
      if (typeof name !== "string" || !/^[a-zA-Z0-9_-]+$/.test(name) || name.length > maxLength)
        return [`tool name ${JSON.stringify(name)}`];
      if (!isObject(schema) || schema.type !== "object" || !isObject(schema.properties))
        return [`tool ${name}: its schema is no object with properties`];
      return ["anyOf", "oneOf", "allOf"]
        .filter((key) => key in schema)
        .map((key) => `tool ${name}: ${key} at the root`);
    }),
  ];
}

/** The turns alternate, and the results of a turn's calls open the next one. */
function messagesTurnFaults(messages: readonly JsonObject[]): string[] {
  return messages.flatMap((message, index) => {
    const expectedRole = index % 2 === 0 ? "user" : "assistant";
    if (message.role !== expectedRole) return [`message ${index} is of role ${message.role}, not ${expectedRole}`];
    const blocks = objects(message.content);
    if (typeof message.content !== "string" && blocks.length === 0) return [`message ${index} is empty`];
    const calls = idsOf(objects(messages[index - 1]?.content), "tool_use", "id");
    const results = idsOf(blocks, "tool_result", "tool_use_id");
    const isOpening = blocks.slice(0, results.length).every((block) => block.type === "tool_result");
    return [
      ...whenNot(isSame(calls, results), `message ${index} answers [${results}], but the calls are [${calls}]`),
      ...whenNot(isOpening, `message ${index} does not open with its tool results`),
      ...calls.filter((id) => !/^[a-zA-Z0-9_-]+$/.test(id)).map((id) => `tool id ${id}`),
    ];
  });
}

function idsOf(blocks: readonly JsonObject[], type: string, key: string): string[] {
  return blocks.filter((block) => block.type === type).map((block) => String(block[key]));
}

/** Instructions only in front, and every call answered by the messages right behind it, in order. */
function chatTurnFaults(messages: readonly JsonObject[]): string[] {
  return messages.flatMap((message, index) => {
    const calls = objects(message.tool_calls).map((call) => String(call.id));
    const next = messages.slice(index + 1);
    const end = next.findIndex((later) => later.role !== "tool");
    const results = (end === -1 ? next : next.slice(0, end)).map((result) => String(result.tool_call_id));
    const openers = ["system", "user"];
    const others = ["user", "assistant", "tool"];
    return [
      ...whenNot((index === 0 ? openers : others).includes(String(message.role)), `message ${index}: ${message.role}`),
      ...whenNot(
        message.role !== "assistant" || isSame(calls, results),
        `message ${index} calls [${calls}], answered are [${results}]`,
      ),
      ...whenNot(message.role !== "tool" || typeof message.content === "string", `message ${index} is no string`),
      ...whenNot(calls.length > 0 || hasContent(message), `message ${index} is empty`),
    ];
  });
}

function hasContent(message: JsonObject): boolean {
  return (
    message.role === "tool" ||
    (message.content !== null && objects(message.content).length > 0) ||
    !isBlank(message.content)
  );
}

const itemTypes = words("message reasoning function_call function_call_output");

/** Plain items without ids of another protocol, every call answered, no reasoning without what it led to. */
function itemFaults(items: readonly JsonObject[]): string[] {
  const ids = (type: string) => items.filter((item) => item.type === type).map((item) => String(item.call_id));
  const calls = ids("function_call");
  const results = ids("function_call_output");
  return [
    ...whenNot(isSame([...calls].sort(), [...results].sort()), `calls [${calls}], answered are [${results}]`),
    ...calls.filter((id) => id.length > 64).map((id) => `call id ${id}`),
    ...items.flatMap((item, index) => [
      ...whenNot(itemTypes.includes(String(item.type ?? "message")), `item ${index} is a ${item.type}`),
      ...whenNot(item.id === undefined, `item ${index} has the id ${item.id}`),
      ...whenNot(item.type !== "reasoning" || leadsSomewhere(items[index + 1]), `reasoning ${index} leads nowhere`),
      ...objects(item.content).flatMap((part) => partFaults(item, part, index)),
    ]),
  ];
}

function leadsSomewhere(next: JsonObject | undefined): boolean {
  return next?.type === "function_call" || next?.type === "reasoning" || next?.role === "assistant";
}

function partFaults(item: JsonObject, part: JsonObject, index: number): string[] {
  const isOutput = part.type === "output_text" || part.type === "refusal";
  return whenNot(isOutput === (item.role === "assistant"), `item ${index} of ${item.role} holds ${part.type}`);
}

function unknownFields(body: JsonObject, known: readonly string[]): string[] {
  return Object.keys(body)
    .filter((key) => body[key] !== undefined && !known.includes(key))
    .map((key) => `unknown field ${key}`);
}

function everyBlock(body: JsonObject): JsonObject[] {
  return conversation(body).flatMap((message) => objects(message.content));
}

function isBlank(value: Json | undefined): boolean {
  return typeof value !== "string" || value === "";
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.join("\n") === b.join("\n");
}

function whenNot(condition: boolean, fault: string): string[] {
  return condition ? [] : [fault];
}

function words(...lines: string[]): string[] {
  return lines.flatMap((line) => line.split(" "));
}
