/** A client's `messages` as our system texts and turns, in the client's order. */

import { normalizeArguments } from "../arguments.ts";
import type {
  AssistantPart,
  DocumentPart,
  ImagePart,
  Json,
  JsonObject,
  SystemText,
  TextPart,
  ToolCall,
  ToolResult,
  Turn,
  UserPart,
} from "../chat.ts";
import { ProtocolError } from "../codec.ts";
import { isObject } from "../json.ts";
import { argumentsText } from "./call-assembly.ts";
import { decodeDetails } from "./reasoning-details.ts";
import { wrapInput } from "./tools.ts";
import { contentText, filled } from "./wire.ts";

export interface DecodedMessages {
  system: SystemText[];
  turns: Turn[];
}

/** @throws {ProtocolError} for what OpenAI's API refuses, with the path of the field as it names it. */
export function decodeMessages(value: Json | undefined): DecodedMessages {
  if (!Array.isArray(value) || value.length === 0) {
    throw new ProtocolError("messages must be an array with at least one message.", { param: "messages" });
  }
  const system: SystemText[] = [];
  const turns: Turn[] = [];
  /** The latest call of the legacy `function_call`: results name its function, not its id. */
  let legacyCallId: string | undefined;
  value.forEach((message, index) => {
    const param = `messages[${index}]`;
    if (!isObject(message)) throw new ProtocolError(`${param} must be an object.`, { param });
    const { role } = message;
    switch (role) {
      case "system":
      case "developer": {
        const texts = decodeTexts(message["content"], `${param}.content`);
        if (turns.length === 0) system.push(...texts.map(({ type: _, ...text }) => text));
        else if (texts.length > 0) turns.push({ role: "system", text: texts.map((part) => part.text).join("\n\n") });
        break;
      }
      case "user":
        turns.push({ role: "user", parts: decodeParts(message["content"], `${param}.content`) });
        break;
      case "assistant": {
        legacyCallId = isObject(message["function_call"]) ? `call_function_${index}` : legacyCallId;
        turns.push({ role: "assistant", parts: decodeAssistant(message, param, legacyCallId) });
        break;
      }
      case "tool": {
        const callId = filled(message["tool_call_id"]);
        if (callId === undefined) {
          throw new ProtocolError(`${param}.tool_call_id is required.`, { param: `${param}.tool_call_id` });
        }
        addResult(turns, callId, decodeResult(message["content"], `${param}.content`));
        break;
      }
      case "function":
        addResult(
          turns,
          legacyCallId ?? `call_function_${index}`,
          decodeResult(message["content"], `${param}.content`),
        );
        break;
      default:
        throw new ProtocolError(
          `${param}.role is ${JSON.stringify(role ?? null)}; it must be "system", "developer", "user", "assistant", "tool" or "function".`,
          { param: `${param}.role` },
        );
    }
  });
  return { system, turns };
}

/** Chat sends one message per result; together they are one turn. */
function addResult(turns: Turn[], callId: string, parts: ToolResult["parts"]): void {
  const result: ToolResult = { callId, parts, isError: false };
  const last = turns.at(-1);
  if (last?.role === "tool") last.results.push(result);
  else turns.push({ role: "tool", results: [result] });
}

/** Reasoning, then text, then calls: the order in which models write, and which Messages demands. */
function decodeAssistant(message: JsonObject, param: string, legacyCallId: string | undefined): AssistantPart[] {
  const parts: AssistantPart[] = decodeReasoning(message);
  const { content } = message;
  if (content !== undefined && content !== null && typeof content !== "string" && !Array.isArray(content)) {
    throw new ProtocolError(`${param}.content must be a string or an array of parts.`, { param: `${param}.content` });
  }
  const text = contentText(content);
  if (text !== "") parts.push({ type: "text", text });
  const refusals = Array.isArray(content) ? content.filter((part) => isObject(part) && part["type"] === "refusal") : [];
  for (const part of [...refusals, message]) {
    const refusal = isObject(part) ? filled(part["refusal"]) : undefined;
    if (refusal !== undefined) parts.push({ type: "refusal", text: refusal });
  }
  const calls = message["tool_calls"];
  if (Array.isArray(calls)) {
    calls.forEach((call, index) => {
      parts.push(decodeCall(call, `${param}.tool_calls[${index}]`));
    });
  }
  const legacy = message["function_call"];
  if (isObject(legacy) && legacyCallId !== undefined) {
    parts.push({ type: "tool-call", id: legacyCallId, ...decodeFunction(legacy, `${param}.function_call`) });
  }
  return parts;
}

/** What Qwen Code, Pi and OpenCode send back of the reasoning they were shown. */
function decodeReasoning(message: JsonObject): AssistantPart[] {
  const named = filled(message["reasoning_content"]);
  const readable = named ?? filled(message["reasoning"]);
  const details = message["reasoning_details"];
  if (Array.isArray(details) && details.length > 0) return decodeDetails(details, readable);
  if (readable === undefined) return [];
  const field = named === undefined ? "reasoning" : "reasoning_content";
  return [{ type: "reasoning", text: readable, replay: { kind: "field", field } }];
}

function decodeCall(call: Json, param: string): ToolCall {
  const id = isObject(call) ? filled(call["id"]) : undefined;
  if (!isObject(call) || id === undefined) {
    throw new ProtocolError(`${param}.id is required.`, { param: `${param}.id` });
  }
  const custom = call["custom"];
  if (call["type"] === "custom" && isObject(custom)) {
    const name = filled(custom["name"]) ?? "";
    return { type: "tool-call", id, name, arguments: wrapInput(filled(custom["input"]) ?? "") };
  }
  return { type: "tool-call", id, ...decodeFunction(call["function"], `${param}.function`) };
}

function decodeFunction(value: Json | undefined, param: string): Pick<ToolCall, "name" | "arguments"> {
  const name = isObject(value) ? filled(value["name"]) : undefined;
  if (!isObject(value) || name === undefined) {
    throw new ProtocolError(`${param}.name is required.`, { param: `${param}.name` });
  }
  return { name, arguments: normalizeArguments(argumentsText(value["arguments"])) };
}

function decodeResult(content: Json | undefined, param: string): ToolResult["parts"] {
  const parts: ToolResult["parts"] = [];
  for (const part of decodeParts(content, param)) {
    if (part.type === "audio") throw new ProtocolError(`${param}: a tool cannot return audio.`, { param });
    parts.push(part);
  }
  return parts;
}

function decodeTexts(content: Json | undefined, param: string): TextPart[] {
  const texts: TextPart[] = [];
  for (const part of decodeParts(content, param)) {
    if (part.type !== "text") throw new ProtocolError(`${param} must be text.`, { param });
    texts.push(part);
  }
  return texts;
}

/** Empty texts are left out: no upstream gains from them and Messages refuses them. */
function decodeParts(content: Json | undefined, param: string): UserPart[] {
  if (content === undefined || content === null || content === "") return [];
  if (typeof content === "string") return [{ type: "text", text: content }];
  if (!Array.isArray(content)) {
    throw new ProtocolError(`${param} must be a string or an array of parts.`, { param });
  }
  const parts: UserPart[] = [];
  content.forEach((entry, index) => {
    const part = decodePart(entry, `${param}[${index}]`);
    if (part.type !== "text" || part.text !== "") parts.push(part);
  });
  return parts;
}

function decodePart(part: Json, param: string): UserPart {
  const type = isObject(part) ? part["type"] : undefined;
  if (isObject(part)) {
    switch (type) {
      case "text": {
        if (typeof part["text"] !== "string") {
          throw new ProtocolError(`${param}.text must be a string.`, { param: `${param}.text` });
        }
        const text: TextPart = { type: "text", text: part["text"] };
        if (isObject(part["cache_control"])) text.cacheControl = part["cache_control"];
        return text;
      }
      case "image_url":
        return decodeImage(part["image_url"], `${param}.image_url`);
      case "file":
        return decodeFile(part["file"], `${param}.file`);
      case "input_audio": {
        const audio = part["input_audio"];
        const data = isObject(audio) ? filled(audio["data"]) : undefined;
        const format = isObject(audio) ? filled(audio["format"]) : undefined;
        if (data === undefined || format === undefined) {
          throw new ProtocolError(`${param}.input_audio must hold data and format.`, { param: `${param}.input_audio` });
        }
        return { type: "audio", data, format };
      }
    }
  }
  throw new ProtocolError(
    `${param}.type is ${JSON.stringify(type ?? null)}; it must be "text", "image_url", "file" or "input_audio".`,
    { param: `${param}.type` },
  );
}

function decodeImage(value: Json | undefined, param: string): ImagePart {
  const url = filled(isObject(value) ? value["url"] : value);
  if (url === undefined) throw new ProtocolError(`${param}.url is required.`, { param: `${param}.url` });
  const data = parseDataUrl(url, `${param}.url`);
  const image: ImagePart = {
    type: "image",
    source: data === undefined ? { kind: "url", url } : { kind: "base64", ...data },
  };
  const detail = isObject(value) ? filled(value["detail"]) : undefined;
  if (detail !== undefined) image.detail = detail;
  return image;
}

function decodeFile(value: Json | undefined, param: string): DocumentPart {
  const file = isObject(value) ? value : {};
  const id = filled(file["file_id"]);
  const data = filled(file["file_data"]);
  const title = filled(file["filename"]);
  const named = title === undefined ? {} : { title };
  if (data !== undefined) {
    const parsed = parseDataUrl(data, `${param}.file_data`);
    // The API takes the bare base64 text too, and files were PDFs alone when it began to.
    const source = parsed ?? { mediaType: "application/pdf", data };
    return { type: "document", source: { kind: "base64", ...source }, ...named };
  }
  if (id !== undefined) return { type: "document", source: { kind: "file", id }, ...named };
  throw new ProtocolError(`${param} must hold file_data or file_id.`, { param });
}

/** Looks at the head alone: the data may be megabytes. Undefined when it is no data URL. */
function parseDataUrl(url: string, param: string): { mediaType: string; data: string } | undefined {
  if (!url.startsWith("data:")) return undefined;
  const comma = url.indexOf(",");
  const [mediaType = "", ...options] = url.slice("data:".length, Math.max(comma, 0)).split(";");
  if (comma === -1 || mediaType === "" || !options.includes("base64")) {
    throw new ProtocolError(`${param} is a data URL without a media type or without base64.`, { param });
  }
  return { mediaType, data: url.slice(comma + 1) };
}
