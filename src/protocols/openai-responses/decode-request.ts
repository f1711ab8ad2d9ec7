/** A client's Responses request (Codex, Pi). Tools have their own file. */

import {
  type AssistantPart,
  type AudioPart,
  type ChatRequest,
  type DocumentPart,
  type Effort,
  efforts,
  type ImagePart,
  type Json,
  type JsonObject,
  type OutputFormat,
  type ReasoningPart,
  type SystemText,
  type TextPart,
  type ToolChoice,
  type ToolResult,
  type Turn,
  type UserPart,
} from "../chat.ts";
import { ProtocolError } from "../codec.ts";
import { isObject } from "../json.ts";
import { readEncrypted, readReasoningText } from "./response.ts";
import { isWebSearchType, readCall, ToolDeclarations } from "./tools.ts";
import { fitTo64, readArray, readObject, readString } from "./wire.ts";

/** Fields that are read, or that mean nothing here: Clutch stores nothing, and always asks for encrypted reasoning. */
const knownFields: ReadonlySet<string> = new Set([
  "model",
  "input",
  "instructions",
  "stream",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "max_output_tokens",
  "temperature",
  "top_p",
  "reasoning",
  "text",
  "prompt_cache_key",
  "safety_identifier",
  "user",
  "service_tier",
  "metadata",
  "store",
  "include",
]);

/** What the response object repeats of its request. `tools` and `instructions` are left out for their size. */
const echoedFields = [
  "metadata",
  "temperature",
  "top_p",
  "max_output_tokens",
  "parallel_tool_calls",
  "reasoning",
  "text",
] as const;

/** @throws {ProtocolError} for what OpenAI refuses, and for what would need a conversation kept on the server */
export function decodeRequest(body: Json): ChatRequest {
  if (!isObject(body)) throw new ProtocolError("The request body must be a JSON object.");
  refuseServerState(body);
  const model = body["model"];
  if (model === undefined || model === null) throw missing("model");
  if (typeof model !== "string") throw wrongType("model", "a string", model);
  const input = readInput(body["input"]);

  const declarations = new ToolDeclarations(readArray(body["tools"]));
  const conversation = new ConversationReader(declarations);
  const instructions = readString(body["instructions"]);
  if (instructions !== undefined) conversation.instruct(instructions);
  conversation.read(input);

  const dropped = Object.keys(body).filter((name) => !knownFields.has(name) && isSet(body[name]));
  dropped.push(...declarations.dropped, ...conversation.dropped);
  const text = readObject(body["text"]);
  const toolChoice = readToolChoice(body["tool_choice"], declarations);
  const format = readFormat(text?.["format"]);
  const verbosity = readString(text?.["verbosity"]);
  const effort = conversation.effort ?? readObject(body["reasoning"])?.["effort"];
  const endUser = readString(body["safety_identifier"]) ?? readString(body["user"]);
  const cacheKey = readString(body["prompt_cache_key"]);
  const serviceTier = body["service_tier"];
  const maxOutputTokens = checkedNumber(body, "max_output_tokens", { least: 1, isInteger: true });
  const temperature = checkedNumber(body, "temperature", { least: 0, most: 2 });
  const topP = checkedNumber(body, "top_p", { least: 0, most: 1 });
  const isKnownTier = serviceTier === "auto" || serviceTier === "default";
  if (isSet(effort) && !isEffort(effort)) dropped.push("reasoning.effort");
  if (isSet(serviceTier) && !isKnownTier) dropped.push("service_tier");
  return {
    model,
    stream: body["stream"] === true,
    system: conversation.system,
    turns: conversation.turns,
    tools: declarations.tools,
    ...(toolChoice === undefined ? {} : { toolChoice }),
    ...(body["parallel_tool_calls"] === false ? { parallelToolCalls: false } : {}),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { topP }),
    ...(isEffort(effort) ? { reasoning: { effort } } : {}),
    ...(format === undefined ? {} : { format }),
    ...(verbosity === undefined ? {} : { verbosity }),
    ...(endUser === undefined ? {} : { endUser }),
    ...(cacheKey === undefined || cacheKey === "" ? {} : { cacheKey: fitTo64(cacheKey) }),
    ...(isKnownTier ? { serviceTier } : {}),
    // `reasoning.summary` asks for a summary to be made; text that exists anyway costs nothing to show.
    reasoningDisplay: "full",
    echo: readEcho(body),
    dropped: [...new Set(dropped)],
  };
}

function missing(path: string): ProtocolError {
  return new ProtocolError(`Missing required parameter: '${path}'.`, {
    param: path,
    code: "missing_required_parameter",
  });
}

function wrongType(path: string, expected: string, got: Json): ProtocolError {
  const kind = got === null ? "null" : Array.isArray(got) ? "an array" : `type ${typeof got}`;
  return new ProtocolError(`Invalid type for '${path}': expected ${expected}, but got ${kind}.`, {
    param: path,
    code: "invalid_type",
  });
}

function invalidValue(path: string, got: string): ProtocolError {
  return new ProtocolError(`Invalid value for '${path}': '${got}'.`, { param: path, code: "invalid_value" });
}

function unsupported(path: string, why: string): ProtocolError {
  return new ProtocolError(`Unsupported parameter: '${path}'. ${why}`, { param: path, code: "unsupported_parameter" });
}

function isSet(value: Json | undefined): value is Exclude<Json, null> {
  return value !== undefined && value !== null;
}

/** To leave these out would be to answer another conversation than the one the client means. */
function refuseServerState(body: JsonObject): void {
  const previous = body["previous_response_id"];
  if (isSet(previous)) {
    throw new ProtocolError(
      `Previous response with id '${String(previous)}' not found. Responses are not stored here: send the whole conversation as input.`,
      { param: "previous_response_id", code: "previous_response_not_found" },
    );
  }
  const why = "Nothing is stored here: send the whole conversation as input.";
  if (isSet(body["conversation"])) throw unsupported("conversation", why);
  if (isSet(body["prompt"])) throw unsupported("prompt", "Stored prompts are OpenAI's own.");
  if (body["background"] === true) throw unsupported("background", why);
}

function readInput(input: Json | undefined): readonly Json[] {
  if (!isSet(input)) throw missing("input");
  if (typeof input === "string") return [{ role: "user", content: input }];
  if (!Array.isArray(input)) throw wrongType("input", "a string or an array of items", input);
  return input;
}

interface Bounds {
  least: number;
  most?: number;
  isInteger?: true;
}

function checkedNumber(body: JsonObject, name: string, { least, most, isInteger }: Bounds): number | undefined {
  const value = body[name];
  if (!isSet(value)) return undefined;
  if (typeof value !== "number") throw wrongType(name, "a number", value);
  if (isInteger && !Number.isInteger(value)) throw wrongType(name, "an integer", value);
  if (value < least || value > (most ?? value)) throw invalidValue(name, String(value));
  return value;
}

function isEffort(value: Json | undefined): value is Effort {
  return typeof value === "string" && (efforts as readonly string[]).includes(value);
}

function readEcho(body: JsonObject): JsonObject {
  const echo: JsonObject = {};
  for (const name of echoedFields) if (isSet(body[name])) echo[name] = body[name];
  if (typeof body["tool_choice"] === "string") echo["tool_choice"] = body["tool_choice"];
  return echo;
}

function readFormat(value: Json | undefined): OutputFormat | undefined {
  if (!isObject(value)) return undefined;
  if (value["type"] === "json_object") return { type: "json-object" };
  if (value["type"] !== "json_schema") return undefined;
  if (!isObject(value["schema"])) throw missing("text.format.schema");
  const strict = value["strict"];
  return {
    type: "json-schema",
    name: readString(value["name"]) ?? "output",
    schema: value["schema"],
    ...(typeof strict === "boolean" ? { strict } : {}),
  };
}

function readToolChoice(value: Json | undefined, declarations: ToolDeclarations): ToolChoice | undefined {
  if (!isSet(value)) return undefined;
  if (value === "auto" || value === "none") return { type: value };
  if (value === "required") return { type: "any" };
  if (!isObject(value)) throw invalidValue("tool_choice", JSON.stringify(value));
  if (value["type"] !== "allowed_tools") return { type: "tool", name: readChosenName(value, declarations) };

  const mode = value["mode"] === "required" ? "any" : "auto";
  // A hosted tool that was dropped cannot be called anyway; what remains is still what the client allows.
  const names = readArray(value["tools"])
    .map((tool) => (isObject(tool) ? chosenName(tool, declarations) : undefined))
    .filter((name) => name !== undefined && declarations.has(name)) as string[];
  if (names.length > 0) return { type: "allowed", mode, names };
  if (mode === "any") throw unsupported("tool_choice", "None of its tools can be called through this gateway.");
  return { type: "none" };
}

function readChosenName(choice: JsonObject, declarations: ToolDeclarations): string {
  const name = chosenName(choice, declarations);
  const type = readString(choice["type"]) ?? "";
  if (name === undefined) throw unsupported("tool_choice", `A tool of type '${type}' cannot be called here.`);
  if (declarations.has(name)) return name;
  throw new ProtocolError(`Tool choice '${readString(choice["name"]) ?? type}' not found in 'tools' parameter.`, {
    param: "tool_choice",
  });
}

/** Undefined for tools that only OpenAI's servers can run. */
function chosenName(choice: JsonObject, declarations: ToolDeclarations): string | undefined {
  const type = readString(choice["type"]) ?? "";
  switch (type) {
    case "function":
    case "custom":
      return declarations.nameOf(readString(choice["name"]) ?? "", readString(choice["namespace"]));
    case "tool_search":
    case "local_shell":
    case "shell":
    case "apply_patch":
      return type;
    default:
      return isWebSearchType(type) ? "web_search" : undefined;
  }
}

/** Items of hosted tools and of other features that leave nothing a different model could use. */
const skippedItems: ReadonlySet<string> = new Set([
  "web_search_call",
  "file_search_call",
  "code_interpreter_call",
  "image_generation_call",
  "computer_call",
  "computer_call_output",
  "mcp_list_tools",
  "mcp_approval_request",
  "mcp_approval_response",
  "mcp_call",
  "program",
  "program_output",
]);

/** Collects the turns of a flat list of items. */
class ConversationReader {
  readonly system: SystemText[] = [];
  readonly turns: Turn[] = [];
  readonly dropped: string[] = [];
  /** Of the last `configuration_update`. */
  effort: Json | undefined;
  readonly #declarations: ToolDeclarations;
  /** Reasoning belongs to what follows it; what nothing follows is left out. */
  #reasoning: ReasoningPart[] = [];
  /** The assistant turn that may still grow. */
  #assistant: AssistantPart[] | undefined;
  /** Call ids by item id: `local_shell_call_output` may name the item. */
  readonly #callIds = new Map<string, string>();
  /** Canonical names that each `tool_search_output` loaded. */
  readonly #loaded = new Map<JsonObject, string[]>();

  constructor(declarations: ToolDeclarations) {
    this.#declarations = declarations;
  }

  instruct(text: string): void {
    if (text !== "") this.system.push({ text });
  }

  read(items: readonly Json[]): void {
    for (const item of items) if (isObject(item)) this.#declare(item);
    for (const [index, item] of items.entries()) {
      if (!isObject(item)) throw wrongType(`input[${index}]`, "an object", item);
      this.#item(item, `input[${index}]`);
    }
  }

  /** Tools first: a call may stand before the item that declares its tool. */
  #declare(item: JsonObject): void {
    const type = item["type"];
    if (type === "additional_tools") this.#declarations.add(readArray(item["tools"]));
    if (type === "tool_search_output") this.#loaded.set(item, this.#declarations.add(readArray(item["tools"])));
  }

  #item(item: JsonObject, path: string): void {
    const type = readString(item["type"]) ?? (isSet(item["role"]) ? "message" : "item_reference");
    switch (type) {
      case "message":
        this.#message(item, path);
        return;
      case "reasoning": {
        const text = readReasoningText(item);
        const encrypted = readString(item["encrypted_content"]);
        const replay = encrypted === undefined ? undefined : readEncrypted(encrypted);
        if (text === "" && replay === undefined) return;
        this.#reasoning.push({ type: "reasoning", text, ...(replay === undefined ? {} : { replay }) });
        return;
      }
      case "function_call":
      case "custom_tool_call":
      case "local_shell_call":
      case "shell_call":
      case "apply_patch_call":
      case "tool_search_call":
        this.#call(item, path);
        return;
      case "function_call_output":
      case "custom_tool_call_output":
      case "local_shell_call_output":
        this.#result(item, path, readOutput(item["output"], `${path}.output`), false);
        return;
      case "shell_call_output":
        this.#result(item, path, textParts(JSON.stringify(item["output"] ?? [])), false);
        return;
      case "apply_patch_call_output": {
        const hasFailed = item["status"] === "failed";
        const output = readString(item["output"]) || (hasFailed ? "The patch was not applied." : "");
        this.#result(item, path, textParts(output), hasFailed);
        return;
      }
      case "tool_search_output":
        // Without an id OpenAI itself ran the search; the tools that it found are declared all the same.
        if (readString(item["call_id"]) === undefined) return;
        this.#result(item, path, textParts(describeLoaded(this.#loaded.get(item) ?? [])), false);
        return;
      case "additional_tools":
        return;
      case "configuration_update":
        this.effort = readObject(item["reasoning"])?.["effort"] ?? this.effort;
        return;
      case "item_reference":
        throw unsupported(path, "Items are not stored here: send the item itself.");
      case "compaction":
      case "compaction_summary":
      case "context_compaction":
      case "compaction_trigger":
        throw unsupported(path, "Compacted conversations can be read by OpenAI alone.");
      default:
        this.dropped.push(skippedItems.has(type) ? `input.${type}` : `input.${type} (unknown)`);
    }
  }

  #message(item: JsonObject, path: string): void {
    const content = readContent(item["content"], `${path}.content`);
    switch (item["role"]) {
      case "system":
      case "developer":
        this.#systemMessage(content, path);
        return;
      case "user": {
        const parts = content.filter((part) => part.type !== "refusal");
        if (parts.length > 0) this.#turn({ role: "user", parts });
        return;
      }
      case "assistant": {
        const parts = content.filter((part) => part.type === "text" || part.type === "refusal");
        if (parts.length === 0) return;
        // A message behind a call begins a new turn: the results of the call belong between the two.
        if (this.#assistant?.some((part) => part.type === "tool-call")) this.#assistant = undefined;
        this.#answer(...parts);
        return;
      }
      default:
        throw invalidValue(`${path}.role`, String(item["role"]));
    }
  }

  #systemMessage(content: ContentPart[], path: string): void {
    const texts: string[] = [];
    for (const part of content) {
      if (part.type !== "text") throw unsupported(`${path}.content`, "Instructions can only be text.");
      texts.push(part.text);
    }
    if (texts.length === 0) return;
    if (this.turns.length === 0) this.system.push(...texts.map((text) => ({ text })));
    else this.#turn({ role: "system", text: texts.join("\n\n") });
  }

  #call(item: JsonObject, path: string): void {
    const call = readCall(item);
    if (call === undefined) return;
    if (call.name === undefined) throw missing(`${path}.name`);
    if (call.callId === undefined) throw missing(`${path}.call_id`);
    const id = readString(item["id"]);
    if (id !== undefined) this.#callIds.set(id, call.callId);
    this.#answer({
      type: "tool-call",
      id: call.callId,
      name: this.#declarations.nameOf(call.name, call.namespace),
      arguments: call.arguments,
    });
  }

  #result(item: JsonObject, path: string, parts: ToolResult["parts"], isError: boolean): void {
    const itemId = readString(item["id"]) ?? "";
    const callId = readString(item["call_id"]) ?? this.#callIds.get(itemId) ?? itemId;
    if (callId === "") throw missing(`${path}.call_id`);
    const result: ToolResult = { callId, parts, isError };
    const last = this.turns.at(-1);
    if (last?.role === "tool") {
      this.#close();
      last.results.push(result);
    } else this.#turn({ role: "tool", results: [result] });
  }

  #answer(...parts: AssistantPart[]): void {
    if (this.#assistant === undefined) {
      this.#assistant = [];
      this.turns.push({ role: "assistant", parts: this.#assistant });
    }
    this.#assistant.push(...this.#reasoning, ...parts);
    this.#reasoning = [];
  }

  #turn(turn: Turn): void {
    this.#close();
    this.turns.push(turn);
  }

  #close(): void {
    this.#reasoning = [];
    this.#assistant = undefined;
  }
}

function describeLoaded(names: readonly string[]): string {
  return names.length === 0 ? "No tools found." : names.map((name) => `Tool loaded: ${name}`).join("\n");
}

function textParts(text: string): TextPart[] {
  return text === "" ? [] : [{ type: "text", text }];
}

type ContentPart = UserPart | { type: "refusal"; text: string };

/** Parts without empty texts. */
function readContent(content: Json | undefined, path: string): ContentPart[] {
  if (!isSet(content)) return [];
  if (typeof content === "string") return textParts(content);
  if (!Array.isArray(content)) throw wrongType(path, "a string or an array of parts", content);
  const parts: ContentPart[] = [];
  for (const [index, value] of content.entries()) {
    const part = readPart(value, `${path}[${index}]`);
    if (part !== undefined) parts.push(part);
  }
  return parts;
}

function readPart(value: Json, path: string): ContentPart | undefined {
  if (typeof value === "string") return value === "" ? undefined : { type: "text", text: value };
  if (!isObject(value)) throw wrongType(path, "an object", value);
  const type = readString(value["type"]) ?? "";
  switch (type) {
    case "input_image":
      return readImage(value, path);
    case "input_file":
      return readFile(value, path);
    case "input_audio":
      return readAudio(value, path);
    case "refusal": {
      const text = readString(value["refusal"]) ?? "";
      return text === "" ? undefined : { type: "refusal", text };
    }
    default: {
      const text = readString(value["text"]);
      if (text === undefined) throw invalidValue(`${path}.type`, type);
      return text === "" ? undefined : { type: "text", text };
    }
  }
}

function readImage(part: JsonObject, path: string): ImagePart {
  const detail = readString(part["detail"]);
  const shared = { type: "image", ...(detail === undefined ? {} : { detail }) } as const;
  // Chat's shape of the same field, which some clients keep when they change protocol.
  const url = (readString(part["image_url"]) ?? readString(readObject(part["image_url"])?.["url"])) || undefined;
  if (url !== undefined) {
    const inline = parseDataUrl(url);
    if (inline === undefined && url.startsWith("data:")) {
      throw invalidValue(`${path}.image_url`, "a data URL without a media type or without base64");
    }
    return { ...shared, source: inline === undefined ? { kind: "url", url } : { kind: "base64", ...inline } };
  }
  const id = readString(part["file_id"]) || undefined;
  if (id === undefined) throw missing(`${path}.image_url`);
  return { ...shared, source: { kind: "file", id } };
}

function readFile(part: JsonObject, path: string): DocumentPart {
  const title = readString(part["filename"]);
  const shared = { type: "document", ...(title === undefined ? {} : { title }) } as const;
  const data = readString(part["file_data"]);
  if (data !== undefined) {
    const inline = parseDataUrl(data) ?? { mediaType: "application/pdf", data };
    return { ...shared, source: { kind: "base64", ...inline } };
  }
  const url = readString(part["file_url"]);
  if (url !== undefined) return { ...shared, source: { kind: "url", url } };
  const id = readString(part["file_id"]);
  if (id === undefined) throw missing(`${path}.file_data`);
  return { ...shared, source: { kind: "file", id } };
}

function readAudio(part: JsonObject, path: string): AudioPart {
  const audio = readObject(part["input_audio"]) ?? part;
  const data = readString(audio["data"]);
  if (data === undefined) throw missing(`${path}.data`);
  return { type: "audio", format: readString(audio["format"]) ?? "wav", data };
}

/** Looks at the head alone: the data may be megabytes. Undefined when it is no base64 data URL. */
function parseDataUrl(url: string): { mediaType: string; data: string } | undefined {
  if (!url.startsWith("data:")) return undefined;
  const comma = url.indexOf(",");
  const [mediaType = "", ...parameters] = url.slice("data:".length, comma).split(";");
  if (comma < 0 || mediaType === "" || parameters.at(-1) !== "base64") return undefined;
  return { mediaType, data: url.slice(comma + 1) };
}

/** Codex sends a string for its own tools and parts for MCP tools. */
function readOutput(output: Json | undefined, path: string): ToolResult["parts"] {
  if (isObject(output)) return textParts(JSON.stringify(output));
  const parts: ToolResult["parts"] = [];
  for (const part of readContent(output, path)) {
    if (part.type === "audio") throw unsupported(path, "Audio cannot be the output of a tool.");
    parts.push(part.type === "refusal" ? { type: "text", text: part.text } : part);
  }
  return parts;
}
