/**
 * What routing may ask about a request, found out in the client's own dialect, each at most once and only when a rule
 * asks. Without such a rule nothing of a large body is parsed. Pure.
 */

import type { AgentId } from "../agent-roles.ts";
import type { Json, Protocol } from "../protocols/chat.ts";
import { type AgentCall, findAgentCall } from "./agent-calls.ts";
import type { RequestBody } from "./body.ts";
import { type Outline, type Piece, reminderTag } from "./request-outline.ts";

/** The questions, for rules and their tests. Reading one may parse the body. */
export interface RequestFacts {
  readonly hasTools: boolean;
  /** In the newest turn: what the person showed last, or what a tool has brought back since. */
  readonly hasImage: boolean;
  /** Why the request is for a web search: `sole` tool, or `forced`; a search tool among others is none. */
  readonly webSearch: "sole" | "forced" | undefined;
  /** The smallest honest estimate of the input: messages, system and tools. */
  readonly tokens: number;
  /** True when `tokens` is larger; a body too short for it is not parsed. */
  exceeds(tokens: number): boolean;
  /** Why the request wants a model that thinks; undefined when it does not. */
  readonly thinks: string | undefined;
  /** Which of its agent's side calls this is. */
  readonly call: AgentCall | undefined;
  /** `call`, as far as it is known without parsing: from headers, or because the body is parsed already. */
  readonly callAtNoCost: AgentCall | undefined;
}

/** Bytes of UTF-8 to a token, at most: dense code and other scripts have more tokens, never fewer. */
const bytesPerToken = 4;

/** What an image costs at most, whatever its size (Anthropic: width * height / 750, at most 1600). */
const maxImageTokens = 1600;

/** Efforts that ask for a thinking model in any dialect; `ultra` is Hermes' word for more than `max`. */
const highEfforts: readonly string[] = ["xhigh", "max", "ultra"];

interface FactsInput {
  protocol: Protocol;
  body: RequestBody;
  /** Parses on first use. */
  outline(): Outline;
  headers: Headers;
  /** Undefined when nothing tells. */
  agent: AgentId | undefined;
}

/** @throws {ProtocolError} from any question, when the body has to be parsed and is not JSON */
export function readFacts(input: FactsInput): RequestFacts {
  return new BodyFacts(input);
}

/** A class, since there is one for every request and most are asked nothing. */
class BodyFacts implements RequestFacts {
  readonly #input: FactsInput;
  readonly #known = new Map<string, unknown>();

  constructor(input: FactsInput) {
    this.#input = input;
  }

  get hasTools() {
    const { protocol, body, outline } = this.#input;
    return this.#once(
      "hasTools",
      () => body.hasTools || (declaresInInput(protocol, body) && outline().tools.length > 0),
    );
  }

  get hasImage() {
    return this.#once("hasImage", () =>
      newestTurn(this.#input.outline().pieces).some(({ image }) => image !== undefined),
    );
  }

  get webSearch() {
    return this.#once("webSearch", () => searchOf(this.#input.outline()));
  }

  get tokens() {
    return this.#once("tokens", () => estimateTokens(this.#input.outline()));
  }

  exceeds(tokens: number) {
    return this.#input.body.size > tokens * bytesPerToken && this.tokens > tokens;
  }

  get thinks() {
    return this.#once("thinks", () => thinkingOf(this.#input.outline(), this.#input.body));
  }

  get call() {
    return this.#once("call", () => this.#findCall(this.#input.outline));
  }

  get callAtNoCost() {
    if (this.#input.agent === undefined) return undefined;
    return this.#input.body.isParsed ? this.call : this.#once("header", () => this.#findCall(undefined));
  }

  #findCall(outline: FactsInput["outline"] | undefined): AgentCall | undefined {
    const { agent, headers } = this.#input;
    return agent === undefined ? undefined : findAgentCall(agent, (name) => headers.get(name), outline);
  }

  #once<Value>(question: string, answer: () => Value): Value {
    if (!this.#known.has(question)) this.#known.set(question, answer());
    return this.#known.get(question) as Value;
  }
}

/** Codex' newer dialect has no `tools` member: they stand in an item of the input. */
function declaresInInput(protocol: Protocol, body: RequestBody): boolean {
  return protocol === "responses" && body.mentions('"additional_tools"');
}

/**
 * From what the person said last to the end. Images before it have been answered: were they to count, one screenshot
 * would keep a session on the image route for ever.
 */
function newestTurn(pieces: readonly Piece[]): Piece[] {
  let start = pieces.findLastIndex(({ role }) => role === "user");
  while (start > 0 && (pieces[start - 1]?.role === "user" || pieces[start - 1]?.role === "note")) start--;
  return pieces.slice(Math.max(0, start));
}

function searchOf({ tools, forcesSearch }: Outline): RequestFacts["webSearch"] {
  if (forcesSearch) return "forced";
  return tools.length > 0 && tools.every(({ isSearch }) => isSearch) ? "sole" : undefined;
}

function estimateTokens({ pieces, tools }: Outline): number {
  let bytes = 0;
  let images = 0;
  for (const { text, name, input, image } of pieces) {
    bytes += byteLength(text) + byteLength(name ?? "") + (input === undefined ? 0 : jsonLength(input));
    // Never more than its own bytes stand for, so that a short body is known to be short without being parsed.
    if (image !== undefined) images += Math.min(maxImageTokens, Math.floor(image / bytesPerToken));
  }
  for (const tool of tools) bytes += byteLength(tool.name) + byteLength(tool.description) + jsonLength(tool.parameters);
  return Math.floor(bytes / bytesPerToken) + images;
}

function jsonLength(value: Json): number {
  try {
    return value === null ? 0 : byteLength(JSON.stringify(value));
  } catch {
    // Nested deeper than can be written, though it could be read: nobody's real arguments.
    return 0;
  }
}

function byteLength(text: string): number {
  return Buffer.byteLength(text);
}

function thinkingOf({ enablesThinking, effort, pieces }: Outline, body: RequestBody): string | undefined {
  if (enablesThinking) return "thinking enabled";
  if (effort !== undefined && highEfforts.includes(effort)) return `effort ${effort}`;
  return planHints.some((hint) => body.mentions(hint)) && isPlanning(pieces) ? "plan mode" : undefined;
}

/** Evidence as in agent-calls.ts. An end is looked for first: Qwen's names the beginning too. */
const planMarks = {
  ends: [
    // M, Claude Code
    "## Exited Plan Mode",
    // R, Qwen Code
    "Plan mode is no longer active",
    // R, OpenCode
    "operational mode has changed from plan to build",
    // M, Codex
    "<collaboration_mode># Collaboration Mode: Default",
  ],
  begins: [
    // M, Claude Code and Qwen Code; R, OpenCode
    "Plan mode is active",
    // R, Claude Code
    "Plan mode still active",
    "Re-entering Plan Mode",
    // R, OpenCode
    "# Plan Mode - System Reminder",
    // M, Codex
    "<collaboration_mode># Plan Mode",
  ],
} as const;

/** What every mark holds one of. Most bodies have none, and searching bytes is quicker than searching their texts. */
const planHints = ["lan mode", "lan Mode", "collaboration_mode", "from plan to build"] as const;

/** The tool that ends plan mode, after which some agents say nothing more of it. */
const planExits: readonly string[] = ["ExitPlanMode", "exit_plan_mode"];

/**
 * The newest word on it decides: Claude Code says it once, in the first of many turns, and what it says in the system
 * prompt of every request is about the tool, not the mode. Only what an agent wrote counts: a file may quote these texts.
 */
function isPlanning(pieces: readonly Piece[]): boolean {
  for (let at = pieces.length - 1; at >= 0; at--) {
    const piece = pieces[at];
    if (piece === undefined) continue;
    if (piece.role === "call" && planExits.includes(piece.name ?? "")) return false;
    const text = instructionIn(piece);
    if (text === "") continue;
    if (planMarks.ends.some((mark) => text.includes(mark))) return false;
    if (planMarks.begins.some((mark) => text.includes(mark))) return true;
  }
  return false;
}

function instructionIn({ role, text }: Piece): string {
  if (role === "note") return text;
  if (role !== "user" || !text.includes(reminderTag)) return "";
  return (text.match(/<system-reminder>[\s\S]*?<\/system-reminder>/g) ?? []).join("\n");
}
