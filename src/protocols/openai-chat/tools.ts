/** Tools and the choice among them, both directions. Chat's custom tools become functions with one string argument. */

import type { ChatRequest, Json, JsonObject, Tool, ToolChoice } from "../chat.ts";
import { ProtocolError } from "../codec.ts";
import { isObject } from "../json.ts";
import { repairSchema } from "../schema.ts";
import type { FittedToolNames } from "../tool-names.ts";
import { filled, type WireTool } from "./wire.ts";

/** The argument that carries a custom tool's free text. */
const inputArgument = "input";

export function wrapInput(input: string): string {
  return JSON.stringify({ [inputArgument]: input });
}

/** The free text in a call's arguments; a model that ignored the wrapping meant its whole text. */
export function unwrapInput(text: string): string {
  let value: Json;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  if (!isObject(value)) return text;
  const input = value[inputArgument];
  if (typeof input === "string") return input;
  const strings = Object.values(value).filter((property) => typeof property === "string");
  return strings.length === 1 && strings[0] !== undefined ? strings[0] : text;
}

/** The tools whose calls the client expects as raw text. */
export function customToolNames(request: ChatRequest): ReadonlySet<string> {
  return new Set(request.tools.filter((tool) => tool.origin?.kind === "custom").map((tool) => tool.name));
}

/**
 * Vendors' own tools, of types that no other protocol has a picture of, are left out and named in `dropped`.
 *
 * @throws {ProtocolError} for a tool without a type or a name.
 */
export function decodeTools(value: Json | undefined, dropped: string[]): Tool[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw new ProtocolError("tools must be an array.", { param: "tools" });
  const tools = new Map<string, Tool>();
  value.forEach((entry, index) => {
    const param = `tools[${index}]`;
    const type = isObject(entry) ? filled(entry["type"]) : undefined;
    if (!isObject(entry) || type === undefined) {
      throw new ProtocolError(`${param}.type is required.`, { param: `${param}.type` });
    }
    if (type !== "function" && type !== "custom") {
      dropped.push(`tools.${type}`);
      return;
    }
    const tool = decodeTool(entry, type, param);
    if (!tools.has(tool.name)) tools.set(tool.name, tool);
  });
  return [...tools.values()];
}

function decodeTool(entry: JsonObject, type: "function" | "custom", param: string): Tool {
  const declared = entry[type];
  const name = isObject(declared) ? filled(declared["name"]) : undefined;
  if (!isObject(declared) || name === undefined) {
    throw new ProtocolError(`${param}.${type}.name is required.`, { param: `${param}.${type}.name` });
  }
  const tool: Tool = { name, parameters: repairSchema(declared["parameters"]) };
  const description = filled(declared["description"]);
  if (description !== undefined) tool.description = description;
  if (typeof declared["strict"] === "boolean") tool.strict = declared["strict"];
  if (isObject(entry["cache_control"])) tool.cacheControl = entry["cache_control"];
  if (type === "custom") {
    tool.origin = { kind: "custom", childName: name };
    tool.description = customDescription(description, declared["format"]);
    tool.parameters = {
      type: "object",
      properties: { [inputArgument]: { type: "string" } },
      required: [inputArgument],
      additionalProperties: false,
    };
  }
  return tool;
}

function customDescription(description: string | undefined, format: Json | undefined): string {
  const grammar = isObject(format) && isObject(format["grammar"]) ? filled(format["grammar"]["definition"]) : undefined;
  const hint = `Pass the raw text as \`${inputArgument}\`.`;
  return [description, hint, grammar === undefined ? undefined : `It must match this grammar:\n${grammar}`]
    .filter((text) => text !== undefined)
    .join("\n\n");
}

/** @throws {ProtocolError} for a choice that OpenAI's API does not know. */
export function decodeToolChoice(value: Json | undefined): ToolChoice | undefined {
  if (value === undefined || value === null) return undefined;
  if (value === "auto" || value === "none") return { type: value };
  if (value === "required") return { type: "any" };
  if (isObject(value)) {
    const allowed = value["type"] === "allowed_tools" ? value["allowed_tools"] : undefined;
    if (isObject(allowed) && Array.isArray(allowed["tools"])) {
      const names = allowed["tools"].map(chosenName).filter((name) => name !== undefined);
      return { type: "allowed", mode: allowed["mode"] === "required" ? "any" : "auto", names };
    }
    const name = chosenName(value);
    if (name !== undefined) return { type: "tool", name };
  }
  throw new ProtocolError('tool_choice must be "none", "auto", "required" or an object that names a tool.', {
    param: "tool_choice",
  });
}

function chosenName(value: Json): string | undefined {
  if (!isObject(value)) return undefined;
  const chosen = value["type"] === "custom" ? value["custom"] : value["function"];
  return isObject(chosen) ? filled(chosen["name"]) : undefined;
}

/** The three tool fields together: without tools none of them may be sent. */
export function encodeTools(request: ChatRequest, names: FittedToolNames): JsonObject {
  const tools = request.tools.filter((tool) => tool.server === undefined);
  const sent = new Set(tools.map((tool) => tool.name));
  const choice = request.toolChoice;
  if (choice?.type === "tool" && !sent.has(choice.name)) {
    throw new ProtocolError(`The tool ${choice.name} is not among the tools that can be called here.`, {
      param: "tool_choice",
    });
  }
  if (tools.length === 0) return {};
  const body: JsonObject = { tools: tools.map((tool) => encodeTool(tool, names)) };
  if (choice !== undefined) body["tool_choice"] = encodeToolChoice(choice, names, sent);
  if (request.parallelToolCalls === false) body["parallel_tool_calls"] = false;
  return body;
}

function encodeTool(tool: Tool, names: FittedToolNames): WireTool {
  return {
    type: "function",
    function: {
      name: names.wire(tool.name),
      ...(tool.description === undefined ? {} : { description: tool.description }),
      parameters: tool.parameters,
      strict: tool.strict ?? false,
    },
  };
}

function encodeToolChoice(choice: ToolChoice, names: FittedToolNames, sent: ReadonlySet<string>): Json {
  const reference = (name: string) => ({ type: "function", function: { name: names.wire(name) } });
  switch (choice.type) {
    case "auto":
    case "none":
      return choice.type;
    case "any":
      return "required";
    case "tool":
      return reference(choice.name);
    case "allowed": {
      const tools = choice.names.filter((name) => sent.has(name)).map(reference);
      const mode = choice.mode === "any" ? "required" : "auto";
      return tools.length === 0 ? "none" : { type: "allowed_tools", allowed_tools: { mode, tools } };
    }
    default:
      return choice satisfies never;
  }
}
