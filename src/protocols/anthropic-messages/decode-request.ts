/**
 * A client's Messages request. Refuses what Anthropic's API refuses and reads the rest tolerantly.
 *
 * @see https://platform.claude.com/docs/en/api/messages/create
 */

import {
  type AssistantPart,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  efforts,
  type ImagePart,
  type Json,
  type JsonObject,
  type ReasoningPart,
  type ReasoningRequest,
  type SystemText,
  type TextPart,
  type Tool,
  type ToolResult,
  type Turn,
  type UserPart,
} from "../chat.ts";
import { ProtocolError } from "../codec.ts";
import { unwrapReasoning } from "../envelope.ts";
import { isObject } from "../json.ts";
import { repairSchema } from "../schema.ts";
import { renderInput } from "./response.ts";

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

function checkShare(path: string, value: number): number {
  if (value < 0 || value > 1) throw invalid(path, `is ${value}; it must be between 0 and 1`);
  return value;
}

function readSampling(body: JsonObject, request: ChatRequest): void {
  const temperature = optional(body, "temperature", "number");
  if (temperature !== undefined) request.temperature = checkShare("temperature", temperature);
  const topP = optional(body, "top_p", "number");
  if (topP !== undefined) request.topP = checkShare("top_p", topP);
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

function readFilled(block: JsonObject, field: string, path: string): string {
  const value = readString(block, field, path);
  if (value === "") throw invalid(`${path}.${field}`, "must not be empty");
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

function readMediaType(source: JsonObject, path: string): string {
  const type = readString(source, "media_type", path);
  if (!type.includes("/")) throw invalid(`${path}.media_type`, "must be a media type such as image/png");
  return type;
}

function readSource(block: JsonObject, path: string): ImagePart["source"] {
  const { source } = block;
  if (!isObject(source)) throw missingOr(`${path}.source`, source, "must be an object");
  const place = `${path}.source`;
  switch (source.type) {
    case "base64":
      return {
        kind: "base64",
        mediaType: readMediaType(source, place),
        data: readString(source, "data", place),
      };
    case "url":
      return { kind: "url", url: readFilled(source, "url", place) };
    case "file":
      return { kind: "file", id: readFilled(source, "file_id", place) };
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
    case "redacted_thinking": {
      const data = readString(block, "data", path);
      // An envelope of ours is never redacted data; a damaged one is nobody's.
      if (data === "" || data.startsWith("clutch1.")) return undefined;
      return { type: "reasoning", text: "", replay: { kind: "redacted", data } };
    }
    case "tool_use": {
      const name = readString(block, "name", path);
      reading.referenced.add(name);
      return { type: "tool-call", id: readFilled(block, "id", path), name, arguments: renderInput(block.input) };
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
  const spoken = texts.filter(({ text }) => text !== "" && !text.startsWith(billingHeader));
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
