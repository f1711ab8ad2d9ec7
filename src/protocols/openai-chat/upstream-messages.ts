/** Our turns as the `messages` of an upstream, in the order that its chat template takes. */

import type { AssistantPart, ChatRequest, DocumentPart, ImagePart, Replay, ToolResult, UserPart } from "../chat.ts";
import { type CallSignatures, type EncodeTarget, ProtocolError, type Quirks } from "../codec.ts";
import type { FittedToolNames } from "../tool-names.ts";
import { signedContent } from "./thought-signature.ts";
import type { WireAssistantMessage, WireMessage, WirePart, WireTextPart, WireToolCall } from "./wire.ts";

/** @throws {ProtocolError} for a file that only its own vendor can resolve. */
export function encodeMessages(request: ChatRequest, target: EncodeTarget, names: FittedToolNames): WireMessage[] {
  const writer = new MessageWriter(target, names);
  writer.addSystem(request);
  for (const turn of request.turns) {
    switch (turn.role) {
      case "system":
        writer.addLateSystem(turn.text);
        break;
      case "user":
        writer.addUser(turn.parts);
        break;
      case "assistant":
        writer.addAssistant(turn.parts);
        break;
      case "tool":
        writer.addResults(turn.results);
        break;
      default:
        turn satisfies never;
    }
  }
  return writer.end();
}

/**
 * All that stands between two assistant messages becomes one user message behind the tool messages: many chat templates
 * demand that roles alternate.
 */
class MessageWriter {
  readonly #quirks: Quirks;
  readonly #names: FittedToolNames;
  readonly #messages: WireMessage[] = [];
  #user: WirePart[] = [];
  /** Of the latest assistant turn: which tool a result belongs to. */
  #callNames = new Map<string, string>();

  readonly #signatures: CallSignatures | undefined;

  constructor({ quirks, signatures }: EncodeTarget, names: FittedToolNames) {
    this.#quirks = quirks;
    this.#signatures = signatures;
    this.#names = names;
  }

  get #systemRole(): "system" | "developer" {
    return this.#quirks.developerRole ? "developer" : "system";
  }

  addSystem({ system }: ChatRequest): void {
    if (system.length === 0) return;
    const isMarked = this.#quirks.cacheControl && system.some((block) => block.cacheControl !== undefined);
    const content = isMarked
      ? system.map((block) => this.#textPart(block))
      : system.map((block) => block.text).join("\n\n");
    this.#messages.push({ role: this.#systemRole, content });
  }

  addLateSystem(text: string): void {
    if (text === "") return;
    if (this.#quirks.systemFirstOnly) {
      this.#user.push({ type: "text", text: asReminder(text) });
      return;
    }
    this.#flushUser();
    this.#messages.push({ role: this.#systemRole, content: text });
  }

  addUser(parts: readonly UserPart[]): void {
    for (const part of parts) {
      if (part.type === "audio") {
        this.#user.push({ type: "input_audio", input_audio: { data: part.data, format: part.format } });
      } else if (part.type !== "text") this.#user.push(encodeMedia(part));
      else if (part.text !== "") this.#user.push(this.#textPart(part));
    }
  }

  addAssistant(parts: readonly AssistantPart[]): void {
    this.#flushUser();
    this.#callNames = new Map();
    const calls: WireToolCall[] = [];
    const reasoning: EchoedReasoning = {};
    for (const part of parts) {
      if (part.type === "tool-call") {
        this.#callNames.set(part.id, part.name);
        const detail = { name: this.#names.wire(part.name), arguments: part.arguments };
        const call: WireToolCall = { id: part.id, type: "function", function: detail };
        if (this.#quirks.thoughtSignatures)
          call.extra_content = signedContent(part.id, calls.length === 0, this.#signatures);
        calls.push(call);
      } else if (part.type === "reasoning" && part.replay !== undefined) addReplay(reasoning, part.text, part.replay);
    }
    // A refusal of another vendor's model is history like any text; servers that ignore `refusal` would see nothing.
    const text = joinTexts(parts, "with-refusals");
    // An empty assistant message is refused by strict servers, and Hermes sends one after a broken answer.
    if (text === "" && calls.length === 0) return;
    const message: WireAssistantMessage = { role: "assistant", content: text === "" ? null : text, ...reasoning };
    if (calls.length > 0) message.tool_calls = calls;
    this.#messages.push(message);
  }

  addResults(results: readonly ToolResult[]): void {
    this.#flushUser();
    for (const result of results) this.#addResult(result);
  }

  end(): WireMessage[] {
    this.#flushUser();
    // An empty list is refused.
    if (this.#messages.length === 0) this.#messages.push({ role: "user", content: "Continue." });
    return this.#messages;
  }

  /** Tool messages take text alone, so pictures follow in the user message behind all of them. */
  #addResult({ callId, parts, isError }: ToolResult): void {
    const texts: string[] = [];
    const media: WirePart[] = [];
    for (const part of parts) {
      const encoded = part.type === "text" ? { type: "text" as const, text: part.text } : encodeMedia(part);
      if (encoded.type !== "text") media.push(encoded);
      else if (encoded.text !== "") texts.push(encoded.text);
    }
    const text = markError(texts.join("\n"), isError);
    if (media.length === 0) {
      this.#messages.push({ role: "tool", tool_call_id: callId, content: text });
      return;
    }
    if (this.#quirks.toolImages) {
      const content: WirePart[] = text === "" ? media : [{ type: "text", text }, ...media];
      this.#messages.push({ role: "tool", tool_call_id: callId, content });
      return;
    }
    const isPictures = media.every((part) => part.type === "image_url");
    const content = text === "" ? `[${isPictures ? "image" : "file"} follows]` : text;
    this.#messages.push({ role: "tool", tool_call_id: callId, content });
    const tool = this.#callNames.get(callId);
    const origin = tool === undefined ? "a tool" : `tool ${this.#names.wire(tool)}`;
    this.#user.push({ type: "text", text: `${isPictures ? "Images" : "Files"} returned by ${origin}:` }, ...media);
  }

  #flushUser(): void {
    const parts = this.#user;
    if (parts.length === 0) return;
    this.#user = [];
    const [first] = parts;
    const isPlain = parts.length === 1 && first?.type === "text" && first.cache_control === undefined;
    this.#messages.push({ role: "user", content: isPlain ? first.text : parts });
  }

  #textPart({ text, cacheControl }: { text: string; cacheControl?: WireTextPart["cache_control"] }): WireTextPart {
    return this.#quirks.cacheControl && cacheControl !== undefined
      ? { type: "text", text, cache_control: cacheControl }
      : { type: "text", text };
  }
}

/** The marks by which agents' own prompts tell instructions in a user message; Claude Code puts them there itself. */
function asReminder(text: string): string {
  return text.startsWith("<system-reminder>") ? text : `<system-reminder>\n${text}\n</system-reminder>`;
}

/**
 * The texts of an answer as the one string that Chat has room for. Blocks that follow each other directly were one text
 * (Anthropic splits at citations); where something stood between them a paragraph begins.
 */
export function joinTexts(parts: readonly AssistantPart[], refusals?: "with-refusals"): string {
  let text = "";
  let isApart = false;
  for (const part of parts) {
    if (part.type === "text" || (part.type === "refusal" && refusals !== undefined)) {
      if (part.text === "") continue;
      text += isApart && text !== "" ? `\n\n${part.text}` : part.text;
      isApart = false;
    } else isApart = true;
  }
  return text;
}

type EchoedReasoning = Pick<WireAssistantMessage, "reasoning_content" | "reasoning" | "reasoning_details">;

/** Puts reasoning back where its server looks for it; what another protocol's vendor wrote is of no use to it. */
function addReplay(message: EchoedReasoning, text: string, replay: Replay): void {
  switch (replay.kind) {
    case "field":
      message[replay.field] = (message[replay.field] ?? "") + text;
      break;
    case "details":
      message.reasoning_details = [...(message.reasoning_details ?? []), ...replay.details];
      if (text !== "") message.reasoning = (message.reasoning ?? "") + text;
      break;
    case "anthropic":
    case "redacted":
    case "openai":
      break;
    default:
      replay satisfies never;
  }
}

/** Chat cannot mark a failed result, so the text says it, unless it does already. */
function markError(text: string, isError: boolean): string {
  if (!isError || text.slice(0, 5).toLowerCase() === "error") return text;
  return text === "" ? "Error" : `Error: ${text}`;
}

function encodeMedia(part: ImagePart | DocumentPart): WirePart {
  const { source } = part;
  if (source.kind === "file") {
    throw new ProtocolError(`The file ${source.id} is known to its own provider only; send its content instead.`);
  }
  if (part.type === "image") {
    if (source.kind === "text") throw new ProtocolError("An image cannot be text.");
    const url = source.kind === "url" ? source.url : `data:${source.mediaType};base64,${source.data}`;
    const detail = part.detail === "original" ? "high" : part.detail;
    return { type: "image_url", image_url: detail === undefined ? { url } : { url, detail } };
  }
  switch (source.kind) {
    case "base64": {
      const file_data = `data:${source.mediaType};base64,${source.data}`;
      return { type: "file", file: { filename: part.title ?? "document.pdf", file_data } };
    }
    case "url":
      return { type: "text", text: `Document: ${source.url}` };
    case "text":
      return { type: "text", text: part.title === undefined ? source.text : `${part.title}\n\n${source.text}` };
    default:
      return source satisfies never;
  }
}
