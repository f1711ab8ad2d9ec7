/** A Messages request for an upstream: nothing that a strict server of this protocol rejects is sent. */

import { parseArguments } from "../arguments.ts";
import type {
  AssistantPart,
  ChatRequest,
  DocumentPart,
  ImagePart,
  JsonObject,
  ReasoningRequest,
  Tool,
  ToolChoice,
  ToolResult,
  Turn,
  UserPart,
} from "../chat.ts";
import { type EncodedRequest, type EncodeTarget, ProtocolError, type Quirks } from "../codec.ts";
import { lowerToKnown } from "../efforts.ts";
import { formatInstruction } from "../format-instruction.ts";
import { mergeRootUnions } from "../schema.ts";
import { fitToolNames } from "../tool-names.ts";
import type { Block, DocumentBlock, ImageBlock, Message, TextBlock, ToolResultBlock } from "./wire.ts";

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

  const effort = wantedEffort(reasoning, target.quirks.efforts);
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

function wantedEffort(reasoning: ReasoningRequest, known: readonly string[]): MessagesEffort | undefined {
  const { effort, budgetTokens } = reasoning;
  if (effort === undefined && budgetTokens === undefined) return undefined;
  const byBudget = (tokens: number) => (tokens < 4096 ? "low" : tokens < 16_384 ? "medium" : "high");
  const wanted = lowerToKnown(effort ?? byBudget(budgetTokens ?? 0), known);
  return wanted === "none" || wanted === "minimal" ? "low" : wanted;
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
        const problem = `tool_choice: the tool ${JSON.stringify(choice.name)} is not available on this model`;
        throw new ProtocolError(problem, { param: "tool_choice" });
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
  const { format } = request;
  // A plain JSON object is something this protocol can only ask for by words.
  if (format !== undefined && (format.type === "json-object" || !quirks.outputFormat)) {
    blocks.push({ type: "text", text: formatInstruction(format) });
  }
  return blocks;
}

/** What must be asked for in words because the upstream has no field for it. */
function encodeText(part: { text: string; cacheControl?: JsonObject }): TextBlock {
  const block: TextBlock = { type: "text", text: part.text };
  if (part.cacheControl !== undefined) block.cache_control = part.cacheControl;
  return block;
}

/** The API: "text content blocks must contain non-whitespace text". Stops at the first character that counts. */
function isSpoken(text: string): boolean {
  return /\S/.test(text);
}

/** How tools and calls are spelt for this upstream. */
interface WireNames {
  tool(name: string): string;
  callId(id: string): string;
}

function encodeTurns(turns: Turn[], quirks: Quirks, wireName: (name: string) => string): Message[] {
  const names: WireNames = { tool: wireName, callId: wireCallIds() };
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
        append(
          "user",
          turn.results.map((result) => encodeToolResult(result, names)),
        );
        break;
      case "assistant":
        append("assistant", encodeAssistant(turn.parts, names));
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
function encodeAssistant(parts: AssistantPart[], names: WireNames): Block[] {
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
          id: names.callId(part.id),
          name: names.tool(part.name),
          input: parseArguments(part.arguments),
        });
        break;
      default:
        part satisfies never;
    }
  }
  return hasContent ? blocks : [];
}

/** Tool ids match `^[a-zA-Z0-9_-]+$`. Made anew for each request from its own order; ids that would fall together stay apart. */
function wireCallIds(): (id: string) => string {
  const byId = new Map<string, string>();
  const taken = new Set<string>();
  return (id) => {
    const known = byId.get(id);
    if (known !== undefined) return known;
    let wire = id === "" ? "_" : id.replace(/[^a-zA-Z0-9_-]/g, "_");
    while (taken.has(wire)) wire += "_";
    byId.set(id, wire);
    taken.add(wire);
    return wire;
  };
}

function encodeToolResult(result: ToolResult, names: WireNames): ToolResultBlock {
  const block: ToolResultBlock = { type: "tool_result", tool_use_id: names.callId(result.callId) };
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
