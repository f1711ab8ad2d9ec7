/**
 * Requests in Anthropic's shape. `decodeRequest` refuses what the API refuses and reads the rest tolerantly;
 * `encodeRequest` sends nothing that a strict server of this protocol rejects.
 *
 * @see https://platform.claude.com/docs/en/api/messages/create
 */

import { parseArguments } from "../arguments.ts";
import {
  type AssistantPart,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  efforts,
  type ImagePart,
  type Json,
  type JsonObject,
  type OutputFormat,
  type ReasoningPart,
  type ReasoningRequest,
  type SystemText,
  type TextPart,
  type Tool,
  type ToolChoice,
  type ToolResult,
  type Turn,
  type UserPart,
} from "../chat.ts";
import { type EncodedRequest, type EncodeTarget, ProtocolError, type Quirks } from "../codec.ts";
import { unwrapReasoning } from "../envelope.ts";
import { isObject } from "../json.ts";
import { mergeRootUnions, repairSchema } from "../schema.ts";
import { fitToolNames } from "../tool-names.ts";
import { renderInput } from "./response.ts";
import type { Block, DocumentBlock, ImageBlock, Message, TextBlock, ToolResultBlock } from "./wire.ts";

// ---------------------------------------------------------------------------------------------------------------------
// From the client
// ---------------------------------------------------------------------------------------------------------------------

/** Top-level fields that `decodeRequest` makes use of; the others are listed in `dropped`. */
const knownFields = new Set([
  "model",
  "max_tokens",
  "messages",
  "system",
  "stream",
  "temperature",
  "top_p",
  "top_k",
  "stop_sequences",
  "tools",
  "tool_choice",
  "thinking",
  "output_config",
  "metadata",
  "service_tier",
]);

const knownToolFields = new Set([
  "name",
  "description",
  "input_schema",
  "strict",
  "cache_control",
  "defer_loading",
  "type",
]);

/** What reading the messages collects besides their turns. */
interface Reading {
  system: SystemText[];
  turns: Turn[];
  dropped: Set<string>;
  /** Tools that the conversation has called or been pointed at: a deferred one among them is loaded. */
  referenced: Set<string>;
  /** What system messages said of a tool's availability; the last word counts. */
  toolChanges: Map<string, { isPresent: boolean; definition?: JsonObject }>;
  effort: Effort | undefined;
}

/** @throws {ProtocolError} with the path of the field at fault, as the API reports it */
export function decodeRequest(body: Json): ChatRequest {
  if (!isObject(body)) throw new ProtocolError("the request body must be a JSON object");
  const model = body.model;
  if (typeof model !== "string" || model === "") throw missingOr("model", model, "must be a non-empty string");
  const maxTokens = body.max_tokens;
  if (typeof maxTokens !== "number" || !Number.isInteger(maxTokens) || maxTokens < 1) {
    throw missingOr("max_tokens", maxTokens, "must be an integer of at least 1");
  }
  if (!Array.isArray(body.messages)) throw missingOr("messages", body.messages, "must be an array");
  if (body.messages.length === 0) throw invalid("messages", "at least one message is required");

  const reading: Reading = {
    system: [],
    turns: [],
    dropped: new Set(),
    referenced: new Set(),
    toolChanges: new Map(),
    effort: undefined,
  };
  for (const field in body) if (!knownFields.has(field)) reading.dropped.add(field);
  readSystem(body.system, reading);
  readMessages(body.messages, reading);

  const request: ChatRequest = {
    model,
    stream: optional(body, "stream", "boolean") ?? false,
    system: reading.system,
    turns: reading.turns,
    tools: [],
    maxOutputTokens: maxTokens,
    reasoningDisplay: "none",
    echo: {},
    dropped: [],
  };
  readTools(body, request, reading);
  readThinking(body, request, reading.effort);
  readSampling(body, request);
  const cacheKey = readCacheKey(body.metadata);
  if (cacheKey !== undefined) request.cacheKey = cacheKey;
  if (body.service_tier === "auto") request.serviceTier = "auto";
  if (body.service_tier === "standard_only") request.serviceTier = "default";
  request.dropped = [...reading.dropped];
  return request;
}

function invalid(path: string, problem: string): ProtocolError {
  return new ProtocolError(`${path}: ${problem}`, { param: path });
}

function missingOr(path: string, value: Json | undefined, problem: string): ProtocolError {
  return invalid(path, value === undefined ? "field required" : problem);
}

function optional(body: JsonObject, field: string, type: "boolean"): boolean | undefined;
function optional(body: JsonObject, field: string, type: "number"): number | undefined;
function optional(body: JsonObject, field: string, type: "boolean" | "number"): Json | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) throw invalid(field, `must be a ${type}`);
  return value;
}

function readSampling(body: JsonObject, request: ChatRequest): void {
  const temperature = optional(body, "temperature", "number");
  if (temperature !== undefined) request.temperature = temperature;
  const topP = optional(body, "top_p", "number");
  if (topP !== undefined) request.topP = topP;
  const topK = optional(body, "top_k", "number");
  if (topK !== undefined) request.topK = topK;
  const stop = body.stop_sequences;
  if (stop === undefined || stop === null) return;
  if (!Array.isArray(stop)) throw invalid("stop_sequences", "must be an array of strings");
  const sequences = stop.map((sequence, index) => {
    if (typeof sequence !== "string") throw invalid(`stop_sequences.${index}`, "must be a string");
    return sequence;
  });
  if (sequences.length > 0) request.stop = sequences;
}

/** Claude Code's user_id is a JSON text with device, account and session; only the session may leave, as a cache key. */
function readCacheKey(metadata: Json | undefined): string | undefined {
  const userId = isObject(metadata) ? metadata.user_id : undefined;
  if (typeof userId !== "string" || !userId.startsWith("{")) return undefined;
  try {
    const parts = JSON.parse(userId) as Json;
    const session = isObject(parts) ? parts.session_id : undefined;
    return typeof session === "string" && session !== "" ? session.slice(0, 64) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Claude Code puts a block of this form before its prompt and changes it from request to request: an upstream that
 * caches by prefix would never find the prompt again.
 */
const billingHeader = "x-anthropic-billing-header:";

function readSystem(system: Json | undefined, reading: Reading): void {
  if (system === undefined || system === null) return;
  if (typeof system === "string") {
    if (system !== "" && !system.startsWith(billingHeader)) reading.system.push({ text: system });
    return;
  }
  if (!Array.isArray(system)) throw invalid("system", "must be a string or an array of text blocks");
  for (const [index, block] of system.entries()) {
    const path = `system.${index}`;
    if (!isObject(block) || block.type !== "text") throw invalid(`${path}.type`, 'must be "text"');
    const text = readString(block, "text", path);
    if (text !== "" && !text.startsWith(billingHeader)) reading.system.push(withCacheMark({ text }, block));
  }
}

function readString(block: JsonObject, field: string, path: string): string {
  const value = block[field];
  if (typeof value !== "string") throw missingOr(`${path}.${field}`, value, "must be a string");
  return value;
}

function withCacheMark<Part extends SystemText | TextPart | Tool>(part: Part, block: JsonObject): Part {
  if (isObject(block.cache_control)) part.cacheControl = block.cache_control;
  return part;
}

function readMessages(messages: Json[], reading: Reading): void {
  const lastUser = messages.findLastIndex((message) => isObject(message) && message.role === "user");
  for (const [index, message] of messages.entries()) {
    const path = `messages.${index}`;
    if (!isObject(message)) throw invalid(path, "must be an object");
    switch (message.role) {
      case "user":
        readUser(readBlocks(message, path), path, reading);
        break;
      case "assistant":
        readAssistant(readBlocks(message, path), path, reading);
        break;
      case "system":
        readSystemMessage(message, path, index < lastUser, reading);
        break;
      default:
        throw missingOr(`${path}.role`, message.role, 'must be "user", "assistant" or "system"');
    }
  }
}

function readBlocks(message: JsonObject, path: string): string | Json[] {
  const { content } = message;
  if (typeof content !== "string" && !Array.isArray(content)) {
    throw missingOr(`${path}.content`, content, "must be a string or an array of blocks");
  }
  return content;
}

function readBlock(block: Json, path: string): JsonObject {
  if (!isObject(block)) throw invalid(path, "must be an object");
  if (typeof block.type !== "string") throw missingOr(`${path}.type`, block.type, "must be a string");
  return block;
}

/** Each run of results and each run of other content becomes a turn; `settleTurns` orders them. */
function readUser(content: string | Json[], path: string, reading: Reading): void {
  if (typeof content === "string") {
    if (content !== "") reading.turns.push({ role: "user", parts: [{ type: "text", text: content }] });
    return;
  }
  let parts: UserPart[] = [];
  let results: ToolResult[] = [];
  for (const [index, value] of content.entries()) {
    const place = `${path}.content.${index}`;
    const block = readBlock(value, place);
    if (block.type === "tool_result") {
      if (results.length === 0) reading.turns.push({ role: "tool", results });
      results.push(readToolResult(block, place, reading));
      parts = [];
    } else {
      const read = readMedia(block, place, reading);
      if (read.length === 0) continue;
      if (parts.length === 0) reading.turns.push({ role: "user", parts });
      parts.push(...read);
      results = [];
    }
  }
}

function readToolResult(block: JsonObject, path: string, reading: Reading): ToolResult {
  const callId = readString(block, "tool_use_id", path);
  const parts: ToolResult["parts"] = [];
  const { content } = block;
  if (typeof content === "string") {
    if (content !== "") parts.push({ type: "text", text: content });
  } else if (Array.isArray(content)) {
    for (const [index, value] of content.entries()) {
      const place = `${path}.content.${index}`;
      parts.push(...readMedia(readBlock(value, place), place, reading));
    }
  } else if (content !== undefined && content !== null) {
    throw invalid(`${path}.content`, "must be a string or an array of blocks");
  }
  // The mark stands on the result; its last text is the nearest thing to it that other protocols can mark.
  const last = parts.at(-1);
  if (last?.type === "text" && last.cacheControl === undefined) withCacheMark(last, block);
  return { callId, parts, isError: block.is_error === true };
}

/** Everything that a user may say or a tool may return. Empty when there is nothing to keep of the block. */
function readMedia(block: JsonObject, path: string, reading: Reading): (TextPart | ImagePart | DocumentPart)[] {
  switch (block.type) {
    case "text": {
      const text = readString(block, "text", path);
      return text === "" ? [] : [withCacheMark({ type: "text", text }, block)];
    }
    case "image":
      return [{ type: "image", source: readSource(block, path) }];
    case "document":
      return readDocument(block, path, reading);
    case "search_result": {
      const lines = [block.title, block.source, textOf(block.content)].filter((line) => typeof line === "string");
      return toText(lines.join("\n"));
    }
    case "tool_reference": {
      const name = block.tool_name ?? block.name;
      if (typeof name !== "string") return [];
      reading.referenced.add(name);
      return toText(`Tool loaded: ${name}`);
    }
    case "container_upload":
      return toText(typeof block.file_id === "string" ? `[uploaded file ${block.file_id}]` : "");
    default:
      return toText(readUnknown(block, reading));
  }
}

function toText(text: string): TextPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

/** Blocks of a later API version: their text if they have one. */
function readUnknown(block: JsonObject, reading: Reading): string {
  if (typeof block.text === "string") return block.text;
  reading.dropped.add(`messages.content.${String(block.type)}`);
  return "";
}

/** The texts of a string or a list of blocks, one per line. */
function textOf(content: Json | undefined): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  const texts: string[] = [];
  for (const block of content) if (isObject(block) && typeof block.text === "string") texts.push(block.text);
  return texts.join("\n");
}

function readSource(block: JsonObject, path: string): ImagePart["source"] {
  const { source } = block;
  if (!isObject(source)) throw missingOr(`${path}.source`, source, "must be an object");
  const place = `${path}.source`;
  switch (source.type) {
    case "base64":
      return {
        kind: "base64",
        mediaType: readString(source, "media_type", place),
        data: readString(source, "data", place),
      };
    case "url":
      return { kind: "url", url: readString(source, "url", place) };
    case "file":
      return { kind: "file", id: readString(source, "file_id", place) };
    default:
      throw missingOr(`${place}.type`, source.type, 'must be "base64", "url" or "file"');
  }
}

function readDocument(block: JsonObject, path: string, reading: Reading): (TextPart | ImagePart | DocumentPart)[] {
  const { source } = block;
  const titled = (part: DocumentPart): DocumentPart => {
    if (typeof block.title === "string" && block.title !== "") part.title = block.title;
    return part;
  };
  if (isObject(source) && source.type === "text") {
    const text = readString(source, "data", `${path}.source`);
    return [titled({ type: "document", source: { kind: "text", text } })];
  }
  if (!isObject(source) || source.type !== "content") {
    return [titled({ type: "document", source: readSource(block, path) })];
  }
  // A document made of blocks: its texts are the document, its images follow it.
  const blocks = Array.isArray(source.content) ? source.content : [];
  const images = blocks.flatMap((value, index) => {
    if (!isObject(value) || value.type !== "image") return [];
    return readMedia(value, `${path}.source.content.${index}`, reading);
  });
  const text = textOf(source.content) ?? "";
  return text === "" ? images : [titled({ type: "document", source: { kind: "text", text } }), ...images];
}

function readAssistant(content: string | Json[], path: string, reading: Reading): void {
  const parts: AssistantPart[] = [];
  if (typeof content === "string") {
    if (content !== "") parts.push({ type: "text", text: content });
  } else {
    for (const [index, value] of content.entries()) {
      const place = `${path}.content.${index}`;
      const part = readAssistantBlock(readBlock(value, place), place, reading);
      if (part !== undefined) parts.push(part);
    }
  }
  // Empty ones stay for `settleTurns` to drop: whether an assistant has spoken decides what is leading system text.
  reading.turns.push({ role: "assistant", parts });
}

function readAssistantBlock(block: JsonObject, path: string, reading: Reading): AssistantPart | undefined {
  const asText = (text: string): AssistantPart | undefined => (text === "" ? undefined : { type: "text", text });
  switch (block.type) {
    case "text":
      return asText(readString(block, "text", path));
    case "thinking":
      return readThinkingBlock(readString(block, "thinking", path), block.signature);
    case "redacted_thinking":
      return { type: "reasoning", text: "", replay: { kind: "redacted", data: readString(block, "data", path) } };
    case "tool_use": {
      const name = readString(block, "name", path);
      reading.referenced.add(name);
      return { type: "tool-call", id: readString(block, "id", path), name, arguments: renderInput(block.input) };
    }
    case "mcp_tool_use": {
      const name = [block.server_name, block.name].filter((word) => typeof word === "string").join(".");
      return asText(`[MCP call ${name}] ${renderInput(block.input)}`);
    }
    case "mcp_tool_result":
      return asText(`[MCP result] ${textOf(block.content) ?? ""}`);
    case "compaction":
    case "fallback":
      return asText(textOf(block.content) ?? readUnknown(block, reading));
    default:
      return asText(readUnknown(block, reading));
  }
}

function readThinkingBlock(text: string, signature: Json | undefined): ReasoningPart {
  if (typeof signature !== "string" || signature === "") return { type: "reasoning", text };
  const wrapped = unwrapReasoning(signature);
  if (wrapped !== undefined) return { type: "reasoning", text: text || wrapped.hiddenText, replay: wrapped.replay };
  // A damaged envelope is nobody's signature: Anthropic would refuse the whole request for it.
  if (signature.startsWith("clutch1.")) return { type: "reasoning", text };
  return { type: "reasoning", text, replay: { kind: "anthropic", signature } };
}

/**
 * `role: "system"` inside messages: text, changes of the tool list, and settings. Claude Code sends the environment
 * this way, and again after tool results.
 *
 * @see https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
 */
function readSystemMessage(message: JsonObject, path: string, hasLaterUser: boolean, reading: Reading): void {
  const config = message.output_config;
  if (isObject(config)) reading.effort = effortOf(config.effort) ?? reading.effort;
  const { content } = message;
  // A message may consist of its output_config alone.
  if (content === undefined && isObject(config)) return;
  const blocks = readBlocks(message, path);
  const texts: SystemText[] = [];
  if (typeof blocks === "string") texts.push({ text: blocks });
  else {
    for (const [index, value] of blocks.entries()) {
      const place = `${path}.content.${index}`;
      const block = readBlock(value, place);
      if (block.type === "text") texts.push(withCacheMark({ text: readString(block, "text", place) }, block));
      else if (block.type === "tool_addition") readToolChange(block, true, place, reading);
      else if (block.type === "tool_removal") readToolChange(block, false, place, reading);
      else texts.push({ text: readUnknown(block, reading) });
    }
  }
  if (hasLaterUser && message.clear_at === "next_user_message") return;
  const spoken = texts.filter(({ text }) => text !== "");
  if (spoken.length === 0) return;
  if (reading.turns.length === 0) reading.system.push(...spoken);
  else reading.turns.push({ role: "system", text: spoken.map(({ text }) => text).join("\n\n") });
}

function readToolChange(block: JsonObject, isPresent: boolean, path: string, reading: Reading): void {
  const { tool } = block;
  if (!isObject(tool)) throw missingOr(`${path}.tool`, tool, "must be an object");
  const definition = isObject(tool.definition) ? tool.definition : undefined;
  const name = definition?.name ?? tool.name ?? tool.tool_name;
  // A whole MCP toolset has no tool name; it runs on Anthropic's side and is dropped anyway.
  if (typeof name !== "string") return;
  reading.toolChanges.set(name, definition === undefined ? { isPresent } : { isPresent, definition });
}

function effortOf(value: Json | undefined): Effort | undefined {
  return efforts.find((effort) => effort === value);
}

/** A tool that Anthropic defines and names by version, such as `web_search_20250305`. */
const versionedType = /_\d{8}$/;

function readTools(body: JsonObject, request: ChatRequest, reading: Reading): void {
  const { tools } = body;
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) throw invalid("tools", "must be an array");
  const choice = isObject(body.tool_choice) ? body.tool_choice : undefined;
  if (typeof choice?.name === "string") reading.referenced.add(choice.name);

  const declared = new Set<string>();
  const { toolChanges } = reading;
  for (const [index, tool] of (tools ?? []).entries()) {
    const path = `tools.${index}`;
    if (!isObject(tool)) throw invalid(path, "must be an object");
    const type = typeof tool.type === "string" ? tool.type : "custom";
    if (type !== "custom" && tool.input_schema === undefined) {
      const name = typeof tool.name === "string" ? tool.name : type;
      if (declared.has(name)) continue;
      declared.add(name);
      if (type.startsWith("web_search_") && versionedType.test(type)) {
        request.tools.push({ name: "web_search", parameters: repairSchema(undefined), server: "web_search" });
      } else reading.dropped.add(`tools.${type}`);
      continue;
    }
    const name = readString(tool, "name", path);
    if (declared.has(name)) continue;
    declared.add(name);
    const change = toolChanges.get(name);
    toolChanges.delete(name);
    if (change?.isPresent === false) continue;
    if (tool.defer_loading === true && change === undefined && !reading.referenced.has(name)) continue;
    request.tools.push(readTool(name, change?.definition ?? tool, reading));
  }
  for (const [name, { isPresent, definition }] of toolChanges) {
    if (!isPresent || definition === undefined) continue;
    declared.add(name);
    request.tools.push(readTool(name, definition, reading));
  }
  readToolChoice(body.tool_choice, declared, request, reading);
}

function readTool(name: string, source: JsonObject, reading: Reading): Tool {
  for (const field in source) if (!knownToolFields.has(field)) reading.dropped.add(`tools.${field}`);
  const tool: Tool = { name, parameters: repairSchema(source.input_schema) };
  if (typeof source.description === "string") tool.description = source.description;
  if (typeof source.strict === "boolean") tool.strict = source.strict;
  return withCacheMark(tool, source);
}

function readToolChoice(value: Json | undefined, declared: Set<string>, request: ChatRequest, reading: Reading): void {
  if (value === undefined || value === null) return;
  if (!isObject(value)) throw invalid("tool_choice", "must be an object");
  if (value.disable_parallel_tool_use === true) request.parallelToolCalls = false;
  switch (value.type) {
    case "auto":
    case "any":
    case "none":
      request.toolChoice = { type: value.type };
      break;
    case "tool": {
      const name = readString(value, "name", "tool_choice");
      if (!declared.has(name)) throw invalid("tool_choice.name", `no tool is called ${JSON.stringify(name)}`);
      if (request.tools.some((tool) => tool.name === name)) request.toolChoice = { type: "tool", name };
      else reading.dropped.add("tool_choice");
      break;
    }
    default:
      throw missingOr("tool_choice.type", value.type, 'must be "auto", "any", "tool" or "none"');
  }
}

function readThinking(body: JsonObject, request: ChatRequest, messageEffort: Effort | undefined): void {
  const config = body.output_config;
  if (config !== undefined && config !== null && !isObject(config)) throw invalid("output_config", "must be an object");
  const reasoning: ReasoningRequest = {};
  const effort = messageEffort ?? effortOf(config?.effort);
  if (effort !== undefined) reasoning.effort = effort;

  const { thinking } = body;
  if (thinking !== undefined && thinking !== null) {
    if (!isObject(thinking)) throw invalid("thinking", "must be an object");
    const mode = thinking.type;
    if (mode !== "enabled" && mode !== "adaptive" && mode !== "disabled") {
      throw missingOr("thinking.type", mode, 'must be "enabled", "adaptive" or "disabled"');
    }
    reasoning.mode = mode;
    if (mode === "enabled") {
      const budget = thinking.budget_tokens;
      if (typeof budget !== "number") throw missingOr("thinking.budget_tokens", budget, "must be an integer");
      reasoning.budgetTokens = budget;
    }
    if (mode !== "disabled") {
      // `updates` shows short progress notes and keeps reasoning hidden; other vendors write no such notes.
      const isHidden = thinking.display === "omitted" || thinking.display === "updates";
      request.reasoningDisplay = isHidden ? "omitted" : "full";
    }
  }
  if (reasoning.effort !== undefined || reasoning.mode !== undefined) request.reasoning = reasoning;

  const format = config?.format;
  if (format === undefined || format === null) return;
  if (!isObject(format) || format.type !== "json_schema" || !isObject(format.schema)) {
    throw invalid("output_config.format", 'must have type "json_schema" and a schema');
  }
  const { schema } = format;
  request.format = { type: "json-schema", name: "output", schema, strict: isClosedSchema(schema) };
}

/**
 * Whether a schema is one that OpenAI takes as strict: every object names all its properties as required and allows no
 * others. Anthropic has no such switch, so it is read off the schema.
 *
 * @see https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
 */
function isClosedSchema(schema: Json | undefined): boolean {
  if (Array.isArray(schema)) return schema.every(isClosedSchema);
  if (!isObject(schema)) return true;
  if (schema.type === "object" || isObject(schema.properties)) {
    if (schema.additionalProperties !== false) return false;
    const required = Array.isArray(schema.required) ? schema.required : [];
    const names = isObject(schema.properties) ? Object.keys(schema.properties) : [];
    if (names.some((name) => !required.includes(name))) return false;
  }
  for (const key in schema) if (!isClosedSchema(schema[key])) return false;
  return true;
}

// ---------------------------------------------------------------------------------------------------------------------
// To the upstream
// ---------------------------------------------------------------------------------------------------------------------

/** When the client set no limit and the model's own is unknown (tokens). */
const defaultMaxTokens = { plain: 8192, reasoning: 32_000 } as const;

/** The API's own least thinking budget (tokens). */
const minThinkingBudget = 1024;

/** @throws {ProtocolError} for media that this protocol has no place for, and for a choice of a tool it lacks */
export function encodeRequest(request: ChatRequest, target: EncodeTarget): EncodedRequest {
  const { quirks } = target;
  const tools = offeredTools(request, quirks);
  const choice = encodeToolChoice(request, tools);
  const names = fitToolNames(
    tools.map((tool) => tool.name),
    128,
  );
  const isForced = choice?.type === "any" || choice?.type === "tool";
  const { thinking, effort, maxTokens } = planThinking(request, target, isForced);

  const body: JsonObject = { model: target.model, max_tokens: maxTokens };
  const system = encodeSystem(request, quirks);
  if (system.length > 0) body.system = system;
  body.messages = encodeTurns(request.turns, quirks, names.wire);
  if (tools.length > 0) {
    body.tools = tools.map((tool) => encodeTool(tool, names.wire));
    if (choice !== undefined) {
      body.tool_choice = choice.type === "tool" ? { ...choice, name: names.wire(choice.name) } : choice;
    }
  }
  if (thinking !== undefined) body.thinking = thinking;
  const config: JsonObject = {};
  if (effort !== undefined) config.effort = effort;
  if (request.format?.type === "json-schema" && quirks.outputFormat) {
    config.format = { type: "json_schema", schema: request.format.schema };
  }
  if (Object.keys(config).length > 0) body.output_config = config;
  // The API refuses temperature and top_k beside thinking, and allows top_p only in a narrow range.
  if (quirks.sampling && (thinking === undefined || thinking.type === "disabled")) encodeSampling(request, body);
  const stop = request.stop?.filter((sequence) => sequence.trim() !== "") ?? [];
  if (stop.length > 0) body.stop_sequences = stop;
  if (request.endUser !== undefined) body.metadata = { user_id: request.endUser };
  if (request.serviceTier !== undefined) {
    body.service_tier = request.serviceTier === "default" ? "standard_only" : "auto";
  }
  if (request.stream) body.stream = true;
  if (quirks.autoCache && !hasCacheMark(request)) body.cache_control = { type: "ephemeral" };
  return { body, toolNames: names.restore };
}

function encodeSampling(request: ChatRequest, body: JsonObject): void {
  if (request.temperature !== undefined) body.temperature = Math.min(request.temperature, 1);
  // Claude 4.1 and later: "`temperature` and `top_p` cannot both be specified for this model."
  else if (request.topP !== undefined) body.top_p = request.topP;
  if (request.topK !== undefined) body.top_k = request.topK;
}

type Thinking = { type: "disabled" } | { type: "adaptive" } | { type: "enabled"; budget_tokens: number };

/** The thinking switch, the effort beside it, and the output limit, which bounds the one and is raised for it. */
function planThinking(
  request: ChatRequest,
  target: EncodeTarget,
  isForced: boolean,
): { thinking?: Thinking; effort?: string; maxTokens: number } {
  const { reasoning } = request;
  const mode = target.quirks.thinkingMode;
  const limit = (tokens: number) => Math.min(tokens, target.maxOutputTokens ?? tokens);
  const isOff = reasoning?.effort === "none" || reasoning?.mode === "disabled";
  const isOn = reasoning !== undefined && !isOff && mode !== "none";
  const maxTokens = limit(
    request.maxOutputTokens ?? target.maxOutputTokens ?? defaultMaxTokens[isOn ? "reasoning" : "plain"],
  );
  if (reasoning === undefined || mode === "none") return { maxTokens };
  if (isOff) return { thinking: { type: "disabled" }, maxTokens };
  // "Thinking may not be enabled when tool_choice forces tool use."
  if (isForced) return { maxTokens };

  const effort = wantedEffort(reasoning);
  if (mode === "adaptive") {
    const thinking = { type: "adaptive" } as const;
    return effort === undefined ? { thinking, maxTokens } : { thinking, effort, maxTokens };
  }
  if (isMidRoundUnthought(request.turns)) return { maxTokens };
  const wanted = Math.max(minThinkingBudget, reasoning.budgetTokens ?? budgets[effort ?? "high"]);
  const raised =
    request.maxOutputTokens === undefined ? limit(Math.max(maxTokens, wanted + defaultMaxTokens.plain)) : maxTokens;
  const budget = Math.min(wanted, raised - 1);
  if (budget < minThinkingBudget) return { maxTokens };
  return { thinking: { type: "enabled", budget_tokens: budget }, maxTokens: raised };
}

/**
 * Whether the last answer called tools without a thinking block of Anthropic's before them: another model gave it, or
 * the client's protocol lost the block. Budgeted thinking then fails with "Expected `thinking` or `redacted_thinking`,
 * but found `tool_use`"; the next user message makes it possible again. Adaptive thinking has no such rule.
 */
function isMidRoundUnthought(turns: Turn[]): boolean {
  const last = turns.findLast((turn) => turn.role === "assistant");
  if (last === undefined || !last.parts.some((part) => part.type === "tool-call")) return false;
  return !last.parts.some(
    (part) => part.type === "reasoning" && (part.replay?.kind === "anthropic" || part.replay?.kind === "redacted"),
  );
}

type MessagesEffort = "low" | "medium" | "high" | "xhigh" | "max";

/** Tokens to think with, for models that take a budget in place of an effort. */
const budgets = {
  low: 4096,
  medium: 10_240,
  high: 24_576,
  xhigh: 32_768,
  max: 32_768,
} as const satisfies Record<MessagesEffort, number>;

function wantedEffort({ effort, budgetTokens }: ReasoningRequest): MessagesEffort | undefined {
  if (effort === "none" || effort === "minimal") return "low";
  if (effort !== undefined || budgetTokens === undefined) return effort;
  if (budgetTokens < 4096) return "low";
  return budgetTokens < 16_384 ? "medium" : "high";
}

function offeredTools(request: ChatRequest, quirks: Quirks): Tool[] {
  const choice = request.toolChoice;
  return request.tools.filter(
    (tool) =>
      (tool.server === undefined || quirks.webSearch) &&
      (choice?.type !== "allowed" || choice.names.includes(tool.name)),
  );
}

type WireToolChoice =
  | { type: "auto" | "any"; disable_parallel_tool_use?: true }
  | { type: "tool"; name: string; disable_parallel_tool_use?: true }
  | { type: "none" };

/** With canonical names. */
function encodeToolChoice(request: ChatRequest, tools: Tool[]): WireToolChoice | undefined {
  if (tools.length === 0 && request.toolChoice?.type !== "tool") return undefined;
  const serial = request.parallelToolCalls === false ? ({ disable_parallel_tool_use: true } as const) : {};
  const choice: ToolChoice | undefined = request.toolChoice;
  switch (choice?.type) {
    case undefined:
      return request.parallelToolCalls === false ? { type: "auto", ...serial } : undefined;
    case "auto":
    case "any":
      return { type: choice.type, ...serial };
    case "none":
      return { type: "none" };
    case "allowed":
      return { type: choice.mode, ...serial };
    case "tool":
      if (!tools.some((tool) => tool.name === choice.name)) {
        throw invalid("tool_choice", `the tool ${JSON.stringify(choice.name)} is not available on this model`);
      }
      return { type: "tool", name: choice.name, ...serial };
    default:
      return choice satisfies never;
  }
}

function encodeTool(tool: Tool, wireName: (name: string) => string): JsonObject {
  if (tool.server === "web_search") return { type: "web_search_20250305", name: "web_search" };
  const wire: JsonObject = { name: wireName(tool.name) };
  if (tool.description !== undefined) wire.description = tool.description;
  wire.input_schema = mergeRootUnions(tool.parameters);
  if (tool.cacheControl !== undefined) wire.cache_control = tool.cacheControl;
  return wire;
}

function encodeSystem(request: ChatRequest, quirks: Quirks): TextBlock[] {
  const blocks: TextBlock[] = [];
  for (const system of request.system) if (isSpoken(system.text)) blocks.push(encodeText(system));
  const instruction = formatInstruction(request.format, quirks);
  if (instruction !== undefined) blocks.push({ type: "text", text: instruction });
  return blocks;
}

/** What must be asked for in words because the upstream has no field for it. */
function formatInstruction(format: OutputFormat | undefined, quirks: Quirks): string | undefined {
  if (format === undefined) return undefined;
  if (format.type === "json-object") return "Respond with one JSON object only.";
  if (quirks.outputFormat) return undefined;
  return `Respond with one JSON object only, without any other text. It must match this JSON Schema:\n${JSON.stringify(format.schema)}`;
}

function encodeText(part: { text: string; cacheControl?: JsonObject }): TextBlock {
  const block: TextBlock = { type: "text", text: part.text };
  if (part.cacheControl !== undefined) block.cache_control = part.cacheControl;
  return block;
}

/** The API: "text content blocks must contain non-whitespace text". Stops at the first character that counts. */
function isSpoken(text: string): boolean {
  return /\S/.test(text);
}

function encodeTurns(turns: Turn[], quirks: Quirks, wireName: (name: string) => string): Message[] {
  const messages: Message[] = [];
  const append = (role: Message["role"], blocks: Block[]) => {
    if (blocks.length === 0) return;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else messages.push({ role, content: blocks });
  };
  for (const [index, turn] of turns.entries()) {
    switch (turn.role) {
      case "user":
        append("user", turn.parts.flatMap(encodeUserPart));
        break;
      case "tool":
        append("user", turn.results.map(encodeToolResult));
        break;
      case "assistant":
        append("assistant", encodeAssistant(turn.parts, wireName));
        break;
      case "system": {
        if (!isSpoken(turn.text)) break;
        const isPlaced = quirks.midSystem && mayStandAsSystem(messages.at(-1)?.role, turns, index);
        if (isPlaced) append("system", [{ type: "text", text: turn.text }]);
        else append("user", [{ type: "text", text: wrapReminder(turn.text) }]);
        break;
      }
      default:
        turn satisfies never;
    }
  }
  trimPrefill(messages);
  // A conversation starts with a user; one that begins after a cut, or is instructions only, gets the least there is.
  if (messages[0]?.role !== "user") messages.unshift({ role: "user", content: [{ type: "text", text: "Continue." }] });
  return messages;
}

/** The API takes a system message only between a user message and an assistant one or the end. */
function mayStandAsSystem(previous: Message["role"] | undefined, turns: Turn[], index: number): boolean {
  if (previous !== "user" && previous !== "system") return false;
  const next = turns.slice(index + 1).find((turn) => turn.role !== "system");
  return next === undefined || next.role === "assistant";
}

/** Claude Code wraps some of its own already. */
function wrapReminder(text: string): string {
  return text.startsWith("<system-reminder>") ? text : `<system-reminder>\n${text}\n</system-reminder>`;
}

/** The API: "final assistant content cannot end with trailing whitespace". */
function trimPrefill(messages: Message[]): void {
  const last = messages.at(-1);
  const block = last?.role === "assistant" ? last.content.at(-1) : undefined;
  if (block?.type === "text") block.text = block.text.trimEnd();
}

/** Empty when neither text nor call is left: thinking alone is no message. */
function encodeAssistant(parts: AssistantPart[], wireName: (name: string) => string): Block[] {
  const blocks: Block[] = [];
  let hasContent = false;
  for (const part of parts) {
    switch (part.type) {
      case "text":
      case "refusal":
        if (!isSpoken(part.text)) break;
        hasContent = true;
        blocks.push({ type: "text", text: part.text });
        break;
      case "reasoning":
        // Only Anthropic's own blocks: any other signature makes it refuse the request.
        if (part.replay?.kind === "anthropic") {
          blocks.push({ type: "thinking", thinking: part.text, signature: part.replay.signature });
        } else if (part.replay?.kind === "redacted") {
          blocks.push({ type: "redacted_thinking", data: part.replay.data });
        }
        break;
      case "tool-call":
        hasContent = true;
        blocks.push({
          type: "tool_use",
          id: wireId(part.id),
          name: wireName(part.name),
          input: parseArguments(part.arguments),
        });
        break;
      default:
        part satisfies never;
    }
  }
  return hasContent ? blocks : [];
}

/** Tool ids match `^[a-zA-Z0-9_-]+$`. Pure, so a call and its result stay together without any memory. */
function wireId(id: string): string {
  return id === "" ? "_" : id.replace(/[^a-zA-Z0-9_-]/g, "_");
}

function encodeToolResult(result: ToolResult): ToolResultBlock {
  const block: ToolResultBlock = { type: "tool_result", tool_use_id: wireId(result.callId) };
  const [only] = result.parts;
  if (result.parts.length === 1 && only?.type === "text" && only.cacheControl === undefined) {
    if (isSpoken(only.text)) block.content = only.text;
  } else {
    const content = result.parts.flatMap(encodeUserPart);
    if (content.length > 0) block.content = content;
  }
  if (result.isError) block.is_error = true;
  return block;
}

function encodeUserPart(part: UserPart): (TextBlock | ImageBlock | DocumentBlock)[] {
  switch (part.type) {
    case "text":
      return isSpoken(part.text) ? [encodeText(part)] : [];
    case "image":
      return [encodeImage(part)];
    case "document":
      return [encodeDocument(part)];
    case "audio":
      throw new ProtocolError("messages: audio input cannot be sent to this model");
    default:
      return part satisfies never;
  }
}

const imageTypes = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"]);

function encodeImage({ source }: ImagePart): ImageBlock {
  switch (source.kind) {
    case "base64": {
      const mediaType = source.mediaType === "image/jpg" ? "image/jpeg" : source.mediaType;
      if (!imageTypes.has(mediaType)) throw new ProtocolError(`messages: images of type ${mediaType} cannot be sent`);
      return { type: "image", source: { type: "base64", media_type: mediaType, data: source.data } };
    }
    case "url":
      return { type: "image", source: { type: "url", url: source.url } };
    case "file":
      throw foreignFile(source.id);
    default:
      return source satisfies never;
  }
}

function encodeDocument({ source, title }: DocumentPart): DocumentBlock {
  const wrap = (wire: DocumentBlock["source"]): DocumentBlock =>
    title === undefined ? { type: "document", source: wire } : { type: "document", source: wire, title };
  switch (source.kind) {
    case "base64":
      if (source.mediaType === "application/pdf") {
        return wrap({ type: "base64", media_type: "application/pdf", data: source.data });
      }
      if (source.mediaType.startsWith("text/")) {
        const data = Buffer.from(source.data, "base64").toString();
        return wrap({ type: "text", media_type: "text/plain", data });
      }
      throw new ProtocolError(`messages: files of type ${source.mediaType} cannot be sent`);
    case "text":
      return wrap({ type: "text", media_type: "text/plain", data: source.text });
    case "url":
      return wrap({ type: "url", url: source.url });
    case "file":
      throw foreignFile(source.id);
    default:
      return source satisfies never;
  }
}

function foreignFile(id: string): ProtocolError {
  return new ProtocolError(`messages: the file ${id} is stored with another provider and cannot be sent`);
}

function hasCacheMark(request: ChatRequest): boolean {
  const isMarked = (part: { cacheControl?: JsonObject }) => part.cacheControl !== undefined;
  return (
    request.system.some(isMarked) ||
    request.tools.some(isMarked) ||
    request.turns.some(
      (turn) => turn.role === "user" && turn.parts.some((part) => part.type === "text" && isMarked(part)),
    )
  );
}
