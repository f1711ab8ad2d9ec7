/** Puts the fragments of streamed tool calls together: servers disagree about ids, indexes and repeated names. */

import type { ChatEvent, Json, JsonObject } from "../chat.ts";
import type { CallSignatures, DecodeContext } from "../codec.ts";
import { isObject } from "../json.ts";
import { readSignature } from "./thought-signature.ts";
import { filled, inventCallId } from "./wire.ts";

interface Call {
  id: string;
  /** Its number in our events, once it has been started. */
  number: number | undefined;
  /** Arguments that came before the name. */
  waiting: string;
  hasArguments: boolean;
}

/** The place of the legacy `function_call`, which has no index; no server counts below zero. */
const legacyIndex = -1;

/**
 * Emits `tool-start` as soon as a call's name is known, its arguments as they come, and `tool-end` for all at the end,
 * because only the end of the answer tells that no fragment follows. A call that never gets a name is left out.
 */
export class CallAssembly {
  readonly #toolNames: ReadonlyMap<string, string>;
  readonly #byId = new Map<string, Call>();
  /** A map and not an array: an index is the server's word, and a huge one must cost nothing. */
  readonly #byIndex = new Map<number, Call>();
  #last: Call | undefined;
  #started = 0;

  readonly #signatures: CallSignatures | undefined;

  constructor({ toolNames, signatures }: Pick<DecodeContext, "toolNames" | "signatures">) {
    this.#toolNames = toolNames;
    this.#signatures = signatures;
  }

  get hasCalls(): boolean {
    return this.#started > 0;
  }

  /** One entry of `delta.tool_calls`. */
  push(entry: Json, events: ChatEvent[]): void {
    if (!isObject(entry)) return;
    const detail = isObject(entry["function"]) ? entry["function"] : {};
    const index = typeof entry["index"] === "number" ? entry["index"] : undefined;
    this.#take(filled(entry["id"]), index, filled(detail["name"]), detail["arguments"], events);
    this.keepSignature(entry);
  }

  /** A signature stands in the call's own entry, or beside the calls in the delta: it is the last call's. */
  keepSignature(holder: JsonObject): void {
    const signature = readSignature(holder);
    if (signature !== undefined && this.#last !== undefined) this.#signatures?.keep(this.#last.id, signature);
  }

  /** The `delta.function_call` of the time before parallel calls. */
  pushLegacy(entry: Json | undefined, events: ChatEvent[]): void {
    if (!isObject(entry)) return;
    this.#take(undefined, legacyIndex, filled(entry["name"]), entry["arguments"], events);
  }

  end(events: ChatEvent[]): void {
    for (let call = 0; call < this.#started; call++) events.push({ type: "tool-end", call });
  }

  #take(
    id: string | undefined,
    index: number | undefined,
    name: string | undefined,
    argumentsValue: Json | undefined,
    events: ChatEvent[],
  ): void {
    const call = this.#find(id, index, name) ?? this.#open(id, index);
    this.#last = call;
    if (call.number === undefined && name !== undefined) {
      call.number = this.#started++;
      if (call.id === "") call.id = inventCallId();
      events.push({ type: "tool-start", call: call.number, id: call.id, name: this.#toolNames.get(name) ?? name });
    }
    const text = argumentsText(argumentsValue);
    if (call.number === undefined) call.waiting += text;
    else this.#emit(call, call.number, call.waiting + text, events);
  }

  /** The call that a fragment belongs to, the surest sign first; undefined when it begins a new one. */
  #find(id: string | undefined, index: number | undefined, name: string | undefined): Call | undefined {
    const byId = id === undefined ? undefined : this.#byId.get(id);
    if (byId !== undefined) return byId;
    const byIndex = index === undefined ? undefined : this.#byIndex.get(index);
    // A new id with a name is a new call even where the index is taken: Ollama numbers every call 0.
    if (id !== undefined && (name !== undefined || (index !== undefined && byIndex === undefined))) return undefined;
    // A new id without a name is none: some servers make up another id for every fragment.
    if (byIndex !== undefined) return byIndex;
    return name === undefined ? this.#last : undefined;
  }

  #open(id: string | undefined, index: number | undefined): Call {
    const call: Call = { id: id ?? "", number: undefined, waiting: "", hasArguments: false };
    if (id !== undefined) this.#byId.set(id, call);
    if (index !== undefined) this.#byIndex.set(index, call);
    return call;
  }

  #emit(call: Call, number: number, json: string, events: ChatEvent[]): void {
    call.waiting = "";
    // White space before the first argument could be all there is, and that means no arguments.
    if (json === "" || (!call.hasArguments && json.trim() === "")) return;
    call.hasArguments = true;
    events.push({ type: "tool-delta", call: number, json });
  }
}

/**
 * True for a call of a custom tool, which only a client of this protocol can have offered: it is passed on as it came and
 * is no empty answer.
 */
export function holdsCustomCall(holder: JsonObject): boolean {
  const calls = holder["tool_calls"];
  return Array.isArray(calls) && calls.some((call) => isObject(call) && isObject(call["custom"]));
}

/** Some servers send the arguments as an object instead of its text. */
export function argumentsText(value: Json | undefined): string {
  if (typeof value === "string") return value;
  return isObject(value) ? JSON.stringify(value) : "";
}
