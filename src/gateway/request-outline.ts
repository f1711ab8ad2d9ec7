/**
 * A client's body reduced to what routing asks about, read in the client's own dialect: the rules must not wait for a
 * translation, and must not depend on what one leaves out. Nothing is copied, and nothing is checked: an odd shape is
 * skipped here and refused by whoever decodes it. Pure.
 */

import type { Json, JsonObject, Protocol } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

/**
 * One piece of a conversation, in order.
 * - `note`: an agent's instructions (system, developer, and the `<system-reminder>` parts of user turns)
 * - `user`: what the person said or showed
 * - `assistant`, `call`: what the model wrote and called
 * - `tool`: what a call brought back
 */
export interface Piece {
  role: "note" | "user" | "assistant" | "call" | "tool";
  text: string;
  /** A call's tool. */
  name?: string;
  /** A call's arguments, where the wire carries no text. */
  input?: Json;
  /** Length of an image's data or URL in characters; such a piece has no text. */
  image?: number;
}

export interface OutlinedTool {
  name: string;
  description: string;
  parameters: Json;
  /** The vendor's own web search. */
  isSearch: boolean;
}

export interface Outline {
  pieces: Piece[];
  /** Namespaces opened. */
  tools: OutlinedTool[];
  /** The request cannot be answered without a web search: the tool choice demands it, or a field asks for it. */
  forcesSearch: boolean;
  /** As the client spells it. */
  effort: string | undefined;
  /** `thinking.type` is `enabled`. */
  enablesThinking: boolean;
  /** The members that an answer by schema must have; empty without a schema. */
  answerKeys: string[];
}

/** What marks a part of a user turn as the agent's: Claude Code, Qwen Code and OpenCode write it (measured 2026-11-20). */
export const reminderTag = "<system-reminder>";

const readers = { messages: readMessages, chat: readChat, responses: readResponses } as const satisfies Record<
  Protocol,
  (body: JsonObject) => Omit<Outline, "enablesThinking">
>;

export function outlineRequest(protocol: Protocol, body: JsonObject): Outline {
  return { ...readers[protocol](body), enablesThinking: member(body["thinking"], "type") === "enabled" };
}

function readMessages(body: JsonObject): Omit<Outline, "enablesThinking"> {
  const pieces: Piece[] = [];
  addText(pieces, "note", body["system"]);
  for (const message of objects(body["messages"])) {
    const role = message["role"] === "assistant" ? "assistant" : message["role"] === "user" ? "user" : "note";
    addText(pieces, role, message["content"]);
  }
  const tools = objects(body["tools"]).map((tool) => ({
    name: string(tool["name"]),
    description: string(tool["description"]),
    parameters: tool["input_schema"] ?? null,
    isSearch: string(tool["type"]).startsWith("web_search"),
  }));
  const forced = member(body["tool_choice"], "type") === "tool" ? member(body["tool_choice"], "name") : undefined;
  const output = isObject(body["output_config"]) ? body["output_config"] : {};
  return {
    pieces,
    tools,
    forcesSearch: tools.some(({ name, isSearch }) => isSearch && name === forced),
    effort: optional(output["effort"]),
    answerKeys: schemaKeys(output["format"] ?? body["output_format"]),
  };
}

function readChat(body: JsonObject): Omit<Outline, "enablesThinking"> {
  const pieces: Piece[] = [];
  for (const message of objects(body["messages"])) {
    const role = chatRoles[string(message["role"])];
    if (role === undefined) continue;
    for (const field of ["reasoning_content", "reasoning"]) addText(pieces, role, message[field]);
    addText(pieces, role, message["content"]);
    for (const call of [...objects(message["tool_calls"]), { function: message["function_call"] }]) {
      const made = isObject(call["function"]) ? call["function"] : undefined;
      if (made !== undefined)
        pieces.push({ role: "call", name: string(made["name"]), text: string(made["arguments"]) });
    }
  }
  const tools = objects(body["tools"]).map((tool) => {
    const declared = isObject(tool["function"]) ? tool["function"] : tool;
    return {
      name: string(declared["name"]),
      description: string(declared["description"]),
      parameters: declared["parameters"] ?? null,
      isSearch: string(tool["type"]).startsWith("web_search"),
    };
  });
  return {
    pieces,
    tools,
    // OpenAI's search models search whenever this field is there.
    forcesSearch: isObject(body["web_search_options"]) || isSearchType(member(body["tool_choice"], "type")),
    effort: optional(body["reasoning_effort"]) ?? optional(member(body["reasoning"], "effort")),
    answerKeys: schemaKeys(isObject(body["response_format"]) ? body["response_format"]["json_schema"] : undefined),
  };
}

const chatRoles: Readonly<Record<string, Piece["role"]>> = {
  system: "note",
  developer: "note",
  user: "user",
  assistant: "assistant",
  tool: "tool",
  function: "tool",
};

function readResponses(body: JsonObject): Omit<Outline, "enablesThinking"> {
  const pieces: Piece[] = [];
  const declared = objects(body["tools"]);
  addText(pieces, "note", body["instructions"]);
  addText(pieces, "user", typeof body["input"] === "string" ? body["input"] : undefined);
  for (const item of objects(body["input"])) {
    const type = string(item["type"]);
    if (type === "additional_tools") declared.push(...objects(item["tools"]));
    else if (type === "message" || type === "") {
      addText(pieces, chatRoles[string(item["role"])] ?? "note", item["content"]);
    } else if (type === "reasoning") {
      addText(pieces, "assistant", item["summary"]);
      addText(pieces, "assistant", item["content"]);
    } else if (type.endsWith("_output")) addText(pieces, "tool", item["output"]);
    else if (type.endsWith("_call")) {
      const text = string(item["arguments"] ?? item["input"]);
      pieces.push({ role: "call", name: string(item["name"]), text });
    }
  }
  const opened = declared.flatMap((tool) => (tool["type"] === "namespace" ? objects(tool["tools"]) : [tool]));
  const tools = opened.map(readTool);
  const text = isObject(body["text"]) ? body["text"] : {};
  return {
    pieces,
    tools,
    forcesSearch: isSearchType(member(body["tool_choice"], "type")),
    effort: optional(member(body["reasoning"], "effort")),
    answerKeys: schemaKeys(text["format"]),
  };
}

function readTool(tool: JsonObject): OutlinedTool {
  return {
    name: string(tool["name"]),
    description: string(tool["description"]),
    // A custom tool has a grammar where others have a schema.
    parameters: tool["parameters"] ?? tool["format"] ?? null,
    isSearch: isSearchType(tool["type"]),
  };
}

function isSearchType(type: Json | undefined): boolean {
  return typeof type === "string" && type.startsWith("web_search");
}

/** Text, or the parts of any dialect: their `type` is told apart by what it names, which no two dialects use differently. */
function addText(pieces: Piece[], role: Piece["role"], content: Json | undefined): void {
  if (typeof content === "string") addSaid(pieces, role, content);
  else if (Array.isArray(content)) for (const part of content) if (isObject(part)) addPart(pieces, role, part);
}

function addPart(pieces: Piece[], role: Piece["role"], part: JsonObject): void {
  switch (part["type"]) {
    case "image": {
      const source = isObject(part["source"]) ? part["source"] : {};
      pieces.push({ role, text: "", image: dataLength(string(source["data"] ?? source["url"])) });
      return;
    }
    case "image_url":
    case "input_image": {
      const url = part["image_url"];
      pieces.push({ role, text: "", image: dataLength(string(isObject(url) ? url["url"] : url)) });
      return;
    }
    case "tool_result":
      // None within another, however deep somebody nests them.
      if (role !== "tool") addText(pieces, "tool", part["content"]);
      return;
    case "tool_use":
      pieces.push({ role: "call", name: string(part["name"]), text: "", input: part["input"] ?? {} });
      return;
    default: {
      const text = part["text"] ?? part["thinking"] ?? part["refusal"];
      if (typeof text === "string") addSaid(pieces, role, text);
    }
  }
}

/** Without the head of a data URL, which only some dialects have. */
function dataLength(url: string): number {
  return url.startsWith("data:") ? url.length - url.indexOf(",") - 1 : url.length;
}

function addSaid(pieces: Piece[], role: Piece["role"], text: string): void {
  if (text === "") return;
  pieces.push({ role: role === "user" && text.startsWith(reminderTag) && endsReminded(text) ? "note" : role, text });
}

/** A part in which the person's own words follow the reminder is the person's. */
function endsReminded(text: string): boolean {
  return text.trimEnd().endsWith("</system-reminder>");
}

function schemaKeys(format: Json | undefined): string[] {
  const schema = isObject(format) ? format["schema"] : undefined;
  const properties = isObject(schema) ? schema["properties"] : undefined;
  return isObject(properties) ? Object.keys(properties) : [];
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function string(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

function optional(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function member(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) ? value[key] : undefined;
}
