/**
 * The many kinds of tool that a Responses client declares, as the plain functions that every model can call, and each
 * call back as the item that the client expects for that tool.
 * @see https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools
 */

import { normalizeArguments, parseArguments } from "../arguments.ts";
import type { Json, JsonObject, Tool, ToolOrigin } from "../chat.ts";
import { isObject } from "../json.ts";
import { repairSchema } from "../schema.ts";
import {
  type CallItem,
  type CustomToolCallItem,
  type FunctionCallItem,
  type ItemStatus,
  idPrefix,
  readArray,
  readNumber,
  readObject,
  readString,
  type StructuredCallItem,
} from "./wire.ts";

/** Codex's name for its own top-level tools: its children are called without a namespace. */
const bareNamespace = "functions";

/** How a child of a namespace is called where namespaces are unknown. */
export function flattenName(name: string, namespace: string | undefined): string {
  if (namespace === undefined || namespace === "" || namespace === bareNamespace) return name;
  let end = namespace.length;
  while (end > 0 && namespace[end - 1] === "_") end--;
  return `${namespace.slice(0, end)}__${name}`;
}

/** All tools of one request, wherever it declares them. */
export class ToolDeclarations {
  readonly tools: Tool[] = [];
  /** Types of hosted tools that were left out. */
  readonly dropped: string[] = [];
  readonly #canonicalNames = new Map<string, string>();
  readonly #taken = new Set<string>();
  readonly #reserved = new Set<string>();

  /** @param topLevel the request's `tools`: their names win over equal names of a namespace's children */
  constructor(topLevel: readonly Json[]) {
    for (const tool of topLevel) {
      const name = isObject(tool) && tool["type"] !== "namespace" ? declaredName(tool) : undefined;
      if (name !== undefined) this.#reserved.add(name);
    }
    this.add(topLevel);
  }

  /** Adds what is not there yet; the first declaration of a tool wins. Returns the canonical names of all of them. */
  add(declarations: readonly Json[], namespace?: string): string[] {
    const names: string[] = [];
    for (const declaration of declarations) {
      if (!isObject(declaration)) continue;
      if (declaration["type"] === "namespace") {
        names.push(...this.add(readArray(declaration["tools"]), readString(declaration["name"])));
        continue;
      }
      const name = this.#addOne(declaration, namespace);
      if (name !== undefined) names.push(name);
    }
    return names;
  }

  /** The canonical name of a declared tool, or the one it would have got. */
  nameOf(name: string, namespace?: string): string {
    return this.#canonicalNames.get(keyOf(name, namespace)) ?? flattenName(name, namespace);
  }

  has(canonicalName: string): boolean {
    return this.#taken.has(canonicalName);
  }

  #addOne(declaration: JsonObject, namespace: string | undefined): string | undefined {
    const childName = declaredName(declaration);
    const tool = childName === undefined ? undefined : buildTool(declaration, childName, namespace);
    if (childName === undefined || tool === undefined) {
      this.dropped.push(`tools.${readString(declaration["type"]) ?? "unknown"}`);
      return undefined;
    }
    // A hosted tool is the same wherever it is declared.
    const key = keyOf(childName, tool.server === undefined ? namespace : undefined);
    const known = this.#canonicalNames.get(key);
    if (known !== undefined) return known;
    const flat = flattenName(childName, namespace);
    const isCollision = this.#taken.has(flat) || (flat !== childName && this.#reserved.has(flat));
    const name = isCollision ? `${flat}_${shortHash(key)}` : flat;
    this.#canonicalNames.set(key, name);
    this.#taken.add(name);
    const origin = tool.origin ?? (name === childName ? undefined : { kind: "function" as const, childName });
    this.tools.push(origin === undefined ? tool : { ...tool, name, origin });
    return name;
  }
}

function keyOf(name: string, namespace: string | undefined): string {
  return namespace === undefined || namespace === bareNamespace ? name : `${namespace}\n${name}`;
}

/** 8 hex digits. */
function shortHash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 8);
}

/** Tools that are known by their type alone. */
const fixedTools = {
  tool_search: "Search the tools that are not loaded yet and load the matching ones.",
  local_shell: "Run one command on the user's machine.",
  shell: "Run shell commands on the user's machine, one after the other.",
  apply_patch: "Create, update or delete one file.",
} as const satisfies Partial<Record<ToolOrigin["kind"], string>>;

type FixedKind = keyof typeof fixedTools;

function isFixedKind(type: string): type is FixedKind {
  return Object.hasOwn(fixedTools, type);
}

/** `web_search`, `web_search_preview` and their dated versions are one tool; none of them has a name of its own. */
export function isWebSearchType(type: string): boolean {
  return type.startsWith("web_search");
}

/** Undefined for a hosted tool and for a declaration without its name. */
function declaredName(declaration: JsonObject): string | undefined {
  const type = readString(declaration["type"]);
  if (type === undefined) return undefined;
  if (type === "function" || type === "custom") {
    const name = readString(declaration["name"]);
    return name === "" ? undefined : name;
  }
  if (isWebSearchType(type)) return "web_search";
  return isFixedKind(type) && !isHosted(declaration) ? type : undefined;
}

/** `tool_search` runs at OpenAI unless it says otherwise, `shell` when it is given a container. */
function isHosted(declaration: JsonObject): boolean {
  if (declaration["type"] === "tool_search") return declaration["execution"] !== "client";
  const environment = readString(readObject(declaration["environment"])?.["type"]);
  return environment?.startsWith("container") === true;
}

function buildTool(declaration: JsonObject, childName: string, namespace: string | undefined): Tool | undefined {
  const type = readString(declaration["type"]) ?? "";
  const described = readString(declaration["description"]);
  const child = { childName, ...(namespace === undefined ? {} : { namespace }) };
  if (type === "function") {
    const strict = declaration["strict"];
    return {
      name: childName,
      ...(described === undefined ? {} : { description: described }),
      parameters: repairSchema(declaration["parameters"]),
      ...(typeof strict === "boolean" ? { strict } : {}),
      ...(namespace === undefined ? {} : { origin: { kind: "function", ...child } }),
    };
  }
  if (type === "custom") {
    return {
      name: childName,
      description: describeCustom(described, readObject(declaration["format"])),
      parameters: customParameters,
      origin: { kind: "custom", ...child },
    };
  }
  if (isWebSearchType(type)) return { name: childName, parameters: repairSchema(undefined), server: "web_search" };
  if (!isFixedKind(type)) return undefined;
  return {
    name: childName,
    description: described ?? fixedTools[type],
    parameters: fixedParameters(type, declaration),
    origin: { kind: type, ...child },
  };
}

const customParameters: JsonObject = {
  type: "object",
  properties: { input: { type: "string", description: "The raw text, without quoting or code fences." } },
  required: ["input"],
  additionalProperties: false,
};

function describeCustom(description: string | undefined, format: JsonObject | undefined): string {
  const paragraphs = ["Pass the raw text as `input`."];
  if (description !== undefined && description !== "") paragraphs.unshift(description);
  const grammar = readString(format?.["definition"]);
  if (grammar !== undefined) {
    paragraphs.push(`The text must follow this ${readString(format?.["syntax"]) ?? ""} grammar:\n${grammar}`);
  }
  return paragraphs.join("\n\n");
}

function fixedParameters(kind: FixedKind, declaration: JsonObject): JsonObject {
  switch (kind) {
    case "tool_search":
      return repairSchema(declaration["parameters"]);
    case "local_shell":
      return {
        type: "object",
        properties: {
          command: { type: "array", items: { type: "string" }, description: "The program and its arguments." },
          workdir: { type: "string", description: "The directory to run in." },
          timeout_ms: { type: "number", description: "Milliseconds until the command is ended." },
        },
        required: ["command"],
      };
    case "shell":
      return {
        type: "object",
        properties: {
          commands: { type: "array", items: { type: "string" }, description: "Shell command lines." },
          timeout_ms: { type: "number", description: "Milliseconds until the commands are ended." },
          max_output_length: { type: "number", description: "Characters of output to keep." },
        },
        required: ["commands"],
      };
    case "apply_patch":
      return {
        type: "object",
        properties: {
          type: { type: "string", enum: ["create_file", "update_file", "delete_file"] },
          path: { type: "string", description: "The file, relative to the workspace." },
          diff: { type: "string", description: "The change as a V4A diff; none to delete a file." },
        },
        required: ["type", "path"],
      };
    default:
      return kind satisfies never;
  }
}

/** A call item as read from a history or an answer. */
export interface ReadCall {
  /** Absent where the server that made the item also runs it. */
  callId?: string;
  /** The child's own name; absent when the item lacks it. */
  name?: string;
  namespace?: string;
  /** JSON text of an object. */
  arguments: string;
}

/** Undefined when the item is no call of a tool that the client runs. */
export function readCall(item: JsonObject): ReadCall | undefined {
  // An empty id names nothing, just as none does.
  const callId = readString(item["call_id"]) || undefined;
  const base = callId === undefined ? {} : { callId };
  switch (item["type"]) {
    case "function_call":
      return { ...base, ...readChild(item), arguments: readArguments(item["arguments"]) };
    case "custom_tool_call":
      return { ...base, ...readChild(item), arguments: JSON.stringify({ input: readString(item["input"]) ?? "" }) };
    case "tool_search_call":
      // Without an id OpenAI itself ran the search.
      if (callId === undefined) return undefined;
      return { ...base, name: "tool_search", arguments: readArguments(item["arguments"]) };
    case "local_shell_call": {
      const action = readObject(item["action"]) ?? {};
      return {
        ...base,
        name: "local_shell",
        arguments: JSON.stringify({
          command: action["command"] ?? [],
          workdir: action["working_directory"] ?? undefined,
          timeout_ms: action["timeout_ms"] ?? undefined,
        }),
      };
    }
    case "shell_call": {
      const action = readObject(item["action"]) ?? {};
      return {
        ...base,
        name: "shell",
        arguments: JSON.stringify({
          commands: action["commands"] ?? [],
          timeout_ms: action["timeout_ms"] ?? undefined,
          max_output_length: action["max_output_length"] ?? undefined,
        }),
      };
    }
    case "apply_patch_call":
      return { ...base, name: "apply_patch", arguments: readArguments(item["operation"]) };
    default:
      return undefined;
  }
}

function readChild(item: JsonObject): { name?: string; namespace?: string } {
  const name = readString(item["name"]);
  const namespace = readString(item["namespace"]);
  return {
    ...(name === undefined || name === "" ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

function readArguments(value: Json | undefined): string {
  if (typeof value === "string") return normalizeArguments(value);
  return isObject(value) ? JSON.stringify(value) : "{}";
}

/** What a call's item is made of besides its arguments. */
export interface CallIdentity {
  /** Without its prefix. */
  itemId: string;
  callId: string;
  /** The canonical name. */
  name: string;
  /** How the client declared the tool; undefined for plain and for undeclared functions. */
  origin: ToolOrigin | undefined;
}

/** Whether a call of this tool is streamed piece by piece, and as what. */
export function streamedAs(origin: ToolOrigin | undefined): "function" | "custom" | "whole" {
  if (origin === undefined) return "function";
  return origin.kind === "function" || origin.kind === "custom" ? origin.kind : "whole";
}

export function buildFunctionCall(call: CallIdentity, text: string, status: ItemStatus): FunctionCallItem {
  return {
    id: `${idPrefix.function_call}_${call.itemId}`,
    type: "function_call",
    status,
    call_id: call.callId,
    ...writtenName(call),
    arguments: text,
  };
}

export function buildCustomCall(call: CallIdentity, input: string, status: ItemStatus): CustomToolCallItem {
  return {
    id: `${idPrefix.custom_tool_call}_${call.itemId}`,
    type: "custom_tool_call",
    status,
    call_id: call.callId,
    ...writtenName(call),
    input,
  };
}

/**
 * Codex 0.169 finds a namespaced tool only under the child's name beside its namespace: it refuses the flat name in
 * every spelling.
 */
function writtenName(call: CallIdentity): { name: string; namespace?: string } {
  const { origin } = call;
  if (origin === undefined) return { name: call.name };
  const isBare = origin.namespace === undefined || origin.namespace === bareNamespace;
  return isBare ? { name: origin.childName } : { name: origin.childName, namespace: origin.namespace };
}

/** The finished item for a call, whatever its tool was declared as. `text` is the JSON of its arguments. */
export function buildCall(call: CallIdentity, text: string): CallItem {
  const kind = call.origin?.kind ?? "function";
  switch (kind) {
    case "function":
      return buildFunctionCall(call, text.trim() === "" ? "{}" : text, "completed");
    case "custom":
      return buildCustomCall(call, unwrapInput(text), "completed");
    case "tool_search":
    case "local_shell":
    case "shell":
    case "apply_patch":
      return buildStructuredCall(kind, call, parseArguments(text));
    default:
      return kind satisfies never;
  }
}

function buildStructuredCall(kind: FixedKind, call: CallIdentity, given: JsonObject): StructuredCallItem {
  const base = { status: "completed", call_id: call.callId } as const;
  switch (kind) {
    case "tool_search":
      return {
        id: `${idPrefix.tool_search_call}_${call.itemId}`,
        type: "tool_search_call",
        ...base,
        execution: "client",
        arguments: given,
      };
    case "local_shell": {
      const { command } = given;
      const workdir = readString(given["workdir"]);
      const timeoutMs = readNumber(given["timeout_ms"]);
      return {
        id: `${idPrefix.local_shell_call}_${call.itemId}`,
        type: "local_shell_call",
        ...base,
        action: {
          type: "exec",
          // Models write a command line where an argument list is asked for; only a shell can run that.
          command: typeof command === "string" ? ["bash", "-lc", command] : readStrings(command),
          env: {},
          ...(workdir === undefined ? {} : { working_directory: workdir }),
          ...(timeoutMs === undefined ? {} : { timeout_ms: timeoutMs }),
        },
      };
    }
    case "shell":
      return {
        id: `${idPrefix.shell_call}_${call.itemId}`,
        type: "shell_call",
        ...base,
        action: {
          commands: readStrings(given["commands"]),
          timeout_ms: readNumber(given["timeout_ms"]) ?? null,
          max_output_length: readNumber(given["max_output_length"]) ?? null,
        },
      };
    case "apply_patch":
      return {
        id: `${idPrefix.apply_patch_call}_${call.itemId}`,
        type: "apply_patch_call",
        ...base,
        operation: given,
      };
    default:
      return kind satisfies never;
  }
}

/** One command may stand as a bare string where a list is asked for. */
function readStrings(value: Json | undefined): string[] {
  if (typeof value === "string") return [value];
  return readArray(value).filter((entry) => typeof entry === "string");
}

/** The raw text of a custom tool's call: its `input`, else its only string, else the arguments as they are. */
function unwrapInput(text: string): string {
  const given = parseArguments(text);
  if (typeof given["input"] === "string") return given["input"];
  const strings = Object.values(given).filter((value) => typeof value === "string");
  return strings.length === 1 ? (strings[0] ?? text) : text;
}

/** Arguments of a custom tool begin so when the model follows its schema. */
const inputHead = /^\s*\{\s*"input"\s*:\s*"/;
/** More than any head needs, with room for a model that likes white space (characters). */
const longestHead = 64;

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

/**
 * Turns the JSON of a custom tool's arguments, in any slicing, into the raw text it holds, piece by piece. A patch takes
 * minutes to write and Codex shows it while it grows. Arguments that begin otherwise are unwrapped whole by `end()`.
 */
export class RawInputReader {
  #state: "head" | "text" | "closed" | "unusual" = "head";
  /** In `head` and `unusual` all JSON so far; in `text` an escape or surrogate that is not complete yet. */
  #held = "";

  push(json: string): string {
    switch (this.#state) {
      case "head": {
        this.#held += json;
        const head = inputHead.exec(this.#held);
        if (head === null) {
          if (this.#held.length > longestHead) this.#state = "unusual";
          return "";
        }
        const rest = this.#held.slice(head[0].length);
        this.#held = "";
        this.#state = "text";
        return this.#unescape(rest);
      }
      case "text": {
        const text = this.#held + json;
        this.#held = "";
        return this.#unescape(text);
      }
      case "unusual":
        this.#held += json;
        return "";
      case "closed":
        return "";
      default:
        return this.#state satisfies never;
    }
  }

  /** What is left to say when no more JSON comes. */
  end(): string {
    const isWhole = this.#state === "head" || this.#state === "unusual";
    this.#state = "closed";
    return isWhole ? unwrapInput(this.#held) : "";
  }

  #unescape(json: string): string {
    let text = "";
    let from = 0;
    for (let at = 0; at < json.length; at++) {
      const character = json.charCodeAt(at);
      if (character === 34 /* " */) {
        this.#state = "closed";
        return text + json.slice(from, at);
      }
      if (character !== 92 /* \ */) continue;
      const isUnicode = json[at + 1] === "u";
      const length = isUnicode ? 6 : 2;
      if (at + length > json.length) {
        this.#held = json.slice(at);
        return text + json.slice(from, at);
      }
      const unescaped = isUnicode ? Number.parseInt(json.slice(at + 2, at + 6), 16) : Number.NaN;
      // A pair of escaped surrogates is taken as one: half of it is no text, and serde_json refuses the event.
      const isHigh = unescaped >= 0xd800 && unescaped <= 0xdbff;
      if (isHigh && at + 12 > json.length && `\\u`.startsWith(json.slice(at + 6, at + 8))) {
        this.#held = json.slice(at);
        return text + json.slice(from, at);
      }
      const letter = json[at + 1] ?? "";
      text += json.slice(from, at);
      text += Number.isNaN(unescaped) ? (escapes[letter] ?? letter) : String.fromCharCode(unescaped);
      at += Number.isNaN(unescaped) ? 1 : length - 1;
      from = at + 1;
    }
    return text + json.slice(from);
  }
}
