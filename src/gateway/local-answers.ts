/**
 * Answers that need no model: the exact small talk of agents with their API. One table; a row names everything that the
 * request may hold, so that a person's own short request is never taken for one.
 */

import type { ChatEvent, ChatResponse, JsonObject, Protocol, Usage } from "../protocols/chat.ts";
import type { ReplyContext } from "../protocols/codec.ts";
import { codecs } from "../protocols/index.ts";
import { isObject } from "../protocols/json.ts";
import type { RequestBody } from "./body.ts";
import { renderAll } from "./lane.ts";

interface LocalAnswer {
  /** As the ledger names it. */
  name: string;
  /** The agent's letter. */
  agent: string;
  protocol: Protocol;
  /** The only user message. */
  asks: string;
  /** Members that must have this value. */
  with: Readonly<Record<string, number>>;
  /** Members that may be there besides `model`, `messages` and those of `with`. */
  may: readonly string[];
}

/**
 * Read in Claude Code 2.1.328, where an answer of any words will do: only its status and its headers are looked at. Its
 * `/model` check ("Hi", measured) is left to the model: a person has asked whether it works.
 */
const localAnswers: readonly LocalAnswer[] = [
  // With a claude.ai login, at start and every half hour: how much of the subscription is left, from the headers.
  {
    name: "quota probe",
    agent: "c",
    protocol: "messages",
    asks: "quota",
    with: { max_tokens: 1 },
    may: ["metadata", "stream", "system"],
  },
  // Whether the name it would start with is served at all; any name without a provider is.
  {
    name: "start-up check",
    agent: "c",
    protocol: "messages",
    asks: ".",
    with: { max_tokens: 1 },
    may: ["metadata", "stream", "system"],
  },
  // Whether a key that was typed in is one; it got this far.
  {
    name: "key check",
    agent: "c",
    protocol: "messages",
    asks: "test",
    with: { max_tokens: 1, temperature: 1 },
    may: ["metadata", "stream", "system"],
  },
];

/** Longer bodies are no chatter, and are not parsed to find out (bytes). */
const maxChatterBytes = 4 * 1024;

/** @returns its name, or undefined for everything that a model must answer */
export function findLocalAnswer(protocol: Protocol, agent: string | undefined, body: RequestBody): string | undefined {
  if (body.size > maxChatterBytes || !localAnswers.some((row) => row.agent === agent && row.protocol === protocol)) {
    return undefined;
  }
  const request = body.object();
  return localAnswers.find((row) => row.agent === agent && row.protocol === protocol && isExactly(row, request))?.name;
}

function isExactly({ asks, with: values, may }: LocalAnswer, request: JsonObject): boolean {
  const known = ["model", "messages", ...Object.keys(values), ...may];
  if (!Object.keys(request).every((key) => known.includes(key))) return false;
  if (!Object.entries(values).every(([key, value]) => request[key] === value)) return false;
  const { messages } = request;
  const [message, ...more] = Array.isArray(messages) ? messages : [];
  return isObject(message) && more.length === 0 && message["role"] === "user" && message["content"] === asks;
}

/** Nothing was asked of a model, so nothing was used. */
const noUsage: Usage = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0, reasoning: 0 };

const word = "ok";

/** The answer in the client's protocol. */
export function encodeLocalAnswer(protocol: Protocol, context: ReplyContext): string | Uint8Array<ArrayBuffer> {
  const codec = codecs[protocol];
  if (!context.request.stream) {
    const answer: ChatResponse = {
      model: context.request.model,
      parts: [{ type: "text", text: word }],
      finish: "length",
      usage: noUsage,
    };
    return JSON.stringify(codec.encodeResponse(answer, context));
  }
  const events: ChatEvent[] = [
    { type: "start", model: context.request.model, usage: noUsage },
    { type: "text-delta", text: word },
    { type: "finish", reason: "length", usage: noUsage },
  ];
  const encoder = codec.streamEncoder(context);
  return renderAll([...events.flatMap((event) => encoder.push(event)), ...encoder.end()]);
}
