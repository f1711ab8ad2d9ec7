/** A Responses request for an upstream. */

import type {
  AssistantPart,
  ChatRequest,
  DocumentPart,
  Json,
  JsonObject,
  Tool,
  ToolChoice,
  ToolResult,
  Turn,
  UserPart,
} from "../chat.ts";
import { type EncodedRequest, type EncodeTarget, ProtocolError } from "../codec.ts";
import { lowerToKnown } from "../efforts.ts";
import { isObject } from "../json.ts";
import { type FittedToolNames, fitToolNames } from "../tool-names.ts";
import { fitTo64, readArray, readObject } from "./wire.ts";

/** OpenAI: "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16". */
const leastOutputTokens = 16;

/** @throws {ProtocolError} for audio and for file ids, which only the vendor that gave them out can resolve */
export function encodeRequest(request: ChatRequest, target: EncodeTarget): EncodedRequest {
  const { quirks } = target;
  const names = fitToolNames(
    request.tools.map((tool) => tool.name),
    64,
  );
  const tools = request.tools.filter((tool) => tool.server === undefined || quirks.webSearch);
  const reasoning = writeReasoning(request, quirks.efforts);
  const text = writeText(request, quirks.verbosity);
  const body: JsonObject = {
    model: target.model,
    ...(request.system.length === 0 ? {} : { instructions: request.system.map((block) => block.text).join("\n\n") }),
    input: writeInput(request.turns, names),
    stream: request.stream,
    store: false,
    include: ["reasoning.encrypted_content"],
  };
  if (tools.length > 0) {
    const choice = request.toolChoice === undefined ? undefined : writeToolChoice(request.toolChoice, tools, names);
    body["tools"] = tools.map((tool) => writeTool(tool, names));
    if (choice !== undefined) body["tool_choice"] = choice;
    if (request.parallelToolCalls === false) body["parallel_tool_calls"] = false;
  }
  if (request.maxOutputTokens !== undefined) {
    const limit = Math.min(request.maxOutputTokens, target.maxOutputTokens ?? Number.POSITIVE_INFINITY);
    body["max_output_tokens"] = Math.max(leastOutputTokens, limit);
  }
  if (request.temperature !== undefined) body["temperature"] = request.temperature;
  if (request.topP !== undefined) body["top_p"] = request.topP;
  if (reasoning !== undefined) body["reasoning"] = reasoning;
  if (text !== undefined) body["text"] = text;
  if (quirks.promptCacheKey && request.cacheKey !== undefined) body["prompt_cache_key"] = request.cacheKey;
  if (request.endUser !== undefined) body["user"] = request.endUser;
  if (request.serviceTier !== undefined) body["service_tier"] = request.serviceTier;
  return { body, toolNames: names.restore };
}

/** A request of instructions alone still has to ask for something: an empty input is refused. */
function writeInput(turns: readonly Turn[], names: FittedToolNames): JsonObject[] {
  const items = turns.flatMap((turn) => writeTurn(turn, names));
  return items.length > 0
    ? items
    : [{ type: "message", role: "user", content: [{ type: "input_text", text: "Continue." }] }];
}

function writeTurn(turn: Turn, names: FittedToolNames): JsonObject[] {
  switch (turn.role) {
    case "system":
      return [{ type: "message", role: "developer", content: [{ type: "input_text", text: turn.text }] }];
    case "user":
      return [{ type: "message", role: "user", content: turn.parts.map(writeInputPart) }];
    case "assistant":
      return writeAssistant(turn.parts, names);
    case "tool":
      return turn.results.map((result) => ({
        type: "function_call_output",
        call_id: fitTo64(result.callId),
        output: writeOutput(result),
      }));
    default:
      return turn satisfies never;
  }
}

/**
 * No item gets an `id`: OpenAI refuses ids that another protocol made up, and takes items without. Reasoning waits for
 * the message or call it led to, since OpenAI refuses "a reasoning item without its required following item".
 */
function writeAssistant(parts: AssistantPart[], names: FittedToolNames): JsonObject[] {
  const messages: JsonObject[] = [];
  // Outputs follow their calls at once, so text behind a call (rare) moves before the first one.
  const calls: JsonObject[] = [];
  let reasoning: JsonObject[] = [];
  let content: JsonObject[] | undefined;
  for (const part of parts) {
    switch (part.type) {
      case "reasoning":
        content = undefined;
        if (part.replay?.kind === "openai") reasoning.push(writeReasoningItem(part.text, part.replay.encrypted));
        break;
      case "text":
      case "refusal":
        if (content === undefined) {
          content = [];
          messages.push(...reasoning, { type: "message", role: "assistant", content });
          reasoning = [];
        }
        content.push(
          part.type === "text" ? { type: "output_text", text: part.text } : { type: "refusal", refusal: part.text },
        );
        break;
      case "tool-call":
        content = undefined;
        calls.push(...reasoning, {
          type: "function_call",
          call_id: fitTo64(part.id),
          name: names.wire(part.name),
          arguments: part.arguments,
        });
        reasoning = [];
        break;
      default:
        part satisfies never;
    }
  }
  return [...messages, ...calls];
}

function writeReasoningItem(text: string, encrypted: string): JsonObject {
  return {
    type: "reasoning",
    summary: text === "" ? [] : [{ type: "summary_text", text }],
    encrypted_content: encrypted,
  };
}

function writeInputPart(part: UserPart): JsonObject {
  switch (part.type) {
    case "text":
      return { type: "input_text", text: part.text };
    case "image": {
      const { source } = part;
      if (source.kind === "file") throw foreignFile("image");
      const url = source.kind === "url" ? source.url : `data:${source.mediaType};base64,${source.data}`;
      return { type: "input_image", image_url: url, detail: part.detail ?? "auto" };
    }
    case "document":
      return writeDocument(part);
    case "audio":
      throw new ProtocolError("Audio input cannot be sent to a model behind the Responses API.");
    default:
      return part satisfies never;
  }
}

function writeDocument(part: DocumentPart): JsonObject {
  const { source, title } = part;
  switch (source.kind) {
    case "base64":
      return {
        type: "input_file",
        filename: title ?? "document.pdf",
        file_data: `data:${source.mediaType};base64,${source.data}`,
      };
    case "url":
      return { type: "input_file", file_url: source.url };
    case "text":
      return { type: "input_text", text: title === undefined ? source.text : `${title}\n\n${source.text}` };
    case "file":
      throw foreignFile("document");
    default:
      return source satisfies never;
  }
}

function foreignFile(what: string): ProtocolError {
  return new ProtocolError(`A file id can be read only by the vendor that stores the file: send the ${what} itself.`);
}

/** A string as long as it is only text: not every server takes parts here. */
function writeOutput(result: ToolResult): string | JsonObject[] {
  if (result.parts.every((part) => part.type === "text")) {
    return markError(result.parts.map((part) => part.text).join("\n"), result.isError);
  }
  const parts = result.parts.map(writeInputPart);
  if (!result.isError) return parts;
  const first = result.parts[0];
  if (first?.type !== "text") return [{ type: "input_text", text: "Error:" }, ...parts];
  return [{ type: "input_text", text: markError(first.text, true) }, ...parts.slice(1)];
}

/** Only Messages has a field for a failed tool. */
function markError(text: string, isError: boolean): string {
  return isError && !/^\s*error/i.test(text) ? `Error: ${text}` : text;
}

function writeTool(tool: Tool, names: FittedToolNames): JsonObject {
  if (tool.server === "web_search") return { type: "web_search" };
  return {
    type: "function",
    name: names.wire(tool.name),
    ...(tool.description === undefined ? {} : { description: tool.description }),
    parameters: tool.parameters,
    // Left out it means true here, which rewrites the schema and refuses most of those that agents send.
    strict: tool.strict ?? false,
  };
}

/** Undefined when the choice names a tool that is not sent: OpenAI refuses a choice outside of `tools`. */
function writeToolChoice(choice: ToolChoice, tools: readonly Tool[], names: FittedToolNames): Json | undefined {
  const write = (name: string): JsonObject | undefined => {
    const tool = tools.find((candidate) => candidate.name === name);
    if (tool === undefined) return undefined;
    return tool.server === "web_search" ? { type: "web_search" } : { type: "function", name: names.wire(name) };
  };
  switch (choice.type) {
    case "auto":
    case "none":
      return choice.type;
    case "any":
      return "required";
    case "tool":
      return write(choice.name);
    case "allowed": {
      const allowed = choice.names.map(write).filter((tool) => tool !== undefined);
      if (allowed.length === 0) return undefined;
      return { type: "allowed_tools", mode: choice.mode === "any" ? "required" : "auto", tools: allowed };
    }
    default:
      return choice satisfies never;
  }
}

function writeReasoning(request: ChatRequest, known: readonly string[]): JsonObject | undefined {
  if (request.reasoning === undefined) return undefined;
  const effort = writeEffort(request.reasoning, known);
  const isOff = request.reasoning.mode === "disabled" || request.reasoning.effort === "none";
  // Without the word no summary is made, and the client would see no thinking at all.
  const summary = request.reasoningDisplay === "full" && !isOff ? "auto" : undefined;
  if (effort === undefined && summary === undefined) return undefined;
  return { ...(effort === undefined ? {} : { effort }), ...(summary === undefined ? {} : { summary }) };
}

function writeEffort(reasoning: NonNullable<ChatRequest["reasoning"]>, known: readonly string[]): string | undefined {
  // Thinking that is switched off beats an effort beside it (Claude Code sends both for titles). Only newer models
  // document `none`; older ones answer it with a 400.
  if (reasoning.mode === "disabled") return known.includes("none") ? "none" : undefined;
  if (reasoning.effort !== undefined) return lowerToKnown(reasoning.effort, known);
  const { budgetTokens, mode } = reasoning;
  if (mode !== "enabled" || budgetTokens === undefined) return undefined;
  return lowerToKnown(budgetTokens < 4096 ? "low" : budgetTokens < 16384 ? "medium" : "high", known);
}

function writeText(request: ChatRequest, takesVerbosity: boolean): JsonObject | undefined {
  const text: JsonObject = {};
  const { format } = request;
  if (format?.type === "json-object") text["format"] = { type: "json_object" };
  if (format?.type === "json-schema") {
    const strict = format.strict ?? isClosed(format.schema);
    text["format"] = { type: "json_schema", name: format.name, schema: format.schema, strict };
  }
  if (takesVerbosity && request.verbosity !== undefined) text["verbosity"] = request.verbosity;
  return Object.keys(text).length === 0 ? undefined : text;
}

/** Whether OpenAI's strict mode takes the schema: no object in it may be open, and no property optional. */
function isClosed(schema: Json | undefined): boolean {
  if (Array.isArray(schema)) return schema.every(isClosed);
  if (!isObject(schema)) return true;
  if (schema["type"] === "object" || isObject(schema["properties"])) {
    if (schema["additionalProperties"] !== false) return false;
    const required = readArray(schema["required"]);
    if (Object.keys(readObject(schema["properties"]) ?? {}).some((name) => !required.includes(name))) return false;
  }
  return Object.values(schema).every(isClosed);
}
