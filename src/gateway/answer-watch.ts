/** Judges an answer that came through whole: it may say all that its protocol asks for, and still not do what it should. */

import { unwrapArguments } from "../protocols/arguments.ts";
import type { ChatEvent, ChatResponse } from "../protocols/chat.ts";

/** What an answer was like, beyond having come: each counts half against its model. */
export interface Flaw {
  kind: "empty" | "truncated" | "no-tool-call" | "bad-tool-call";
  message: string;
}

/** Sees every event of an answer once, in order. */
export class AnswerWatch {
  #calls = new Map<number, { name: string; json: string }>();
  #hasContent = false;
  /** A tool that the upstream runs itself has been called. */
  #hasHosted = false;
  #reason: string | undefined;
  /** Of text, reasoning and tool arguments so far. */
  characters = 0;

  see(event: ChatEvent): void {
    switch (event.type) {
      case "text-delta":
      case "refusal-delta":
        this.#hasContent ||= event.text !== "";
        this.characters += event.text.length;
        break;
      case "reasoning-delta":
        this.characters += event.text.length;
        break;
      case "opaque":
        this.#hasContent = true;
        this.#hasHosted = true;
        break;
      case "tool-start":
        this.#hasContent = true;
        this.#calls.set(event.call, { name: event.name, json: "" });
        break;
      case "tool-delta": {
        const call = this.#calls.get(event.call);
        if (call !== undefined) call.json += event.json;
        this.characters += event.json.length;
        break;
      }
      case "finish":
        this.#reason = event.reason;
        break;
    }
  }

  /** The first flaw of an answer that has ended properly. @param forcesTool the client wanted a call and nothing else */
  flaw(forcesTool: boolean): Flaw | undefined {
    if (!this.#hasContent) return { kind: "empty", message: "the answer was empty" };
    // Cut off by the client's own limit, its call cannot be whole.
    if (this.#reason === "length") {
      return this.#calls.size > 0 ? undefined : cutAnswer;
    }
    for (const { name, json } of this.#calls.values()) {
      if (isBroken(json)) return brokenCall(name);
    }
    if (forcesTool && this.#calls.size === 0 && !this.#hasHosted) {
      return missingCall;
    }
    return undefined;
  }
}

/** The same of a whole answer that is not empty. */
export function flawOfWhole(answer: ChatResponse, forcesTool: boolean): Flaw | undefined {
  // A hosted tool's work, or a call of a kind that has no place here: not for us to judge.
  if (answer.hasOpaque === true) return undefined;
  let calls = 0;
  for (const part of answer.parts) {
    if (part.type !== "tool-call") continue;
    calls++;
    if (answer.finish !== "length" && isBroken(part.arguments)) return brokenCall(part.name);
  }
  if (answer.finish === "length") return calls > 0 ? undefined : cutAnswer;
  return calls === 0 && forcesTool ? missingCall : undefined;
}

const cutAnswer: Flaw = { kind: "truncated", message: "the answer was cut at the output limit" };
const missingCall: Flaw = { kind: "no-tool-call", message: "a tool had to be called, and none was" };

function brokenCall(name: string): Flaw {
  return { kind: "bad-tool-call", message: `the arguments of ${name} are broken JSON` };
}

/** A tool of free text takes what it likes, so only what was begun as an object has to be one. */
function isBroken(json: string): boolean {
  const text = unwrapArguments(json);
  if (!/^\s*\{\s*("|$)/.test(text)) return false;
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
}
