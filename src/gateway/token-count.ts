/**
 * Counts the input tokens of a Messages request without an upstream: a real tokenizer, corrected by what each model's
 * usage reports have shown. The tokenizer (o200k) is loaded on first use; nothing here runs on the path of a request.
 */

import type { Json, JsonObject, Usage } from "../protocols/chat.ts";
import { isObject } from "../protocols/json.ts";

/** What an image costs, whatever its size: Anthropic counts about width * height / 750, at most 1600. */
const tokensPerImage = 1600;

/** Text is counted in pieces of this many characters, with other work let in between: a stream must not wait for it. */
const pieceCharacters = 16 * 1024;

/** What Anthropic adds for each message and tool beyond its text, roughly. */
const tokensPerItem = 4;

export interface Countable {
  texts: string[];
  images: number;
  items: number;
}

/** Everything a model is charged for: system, tools and messages, tool results and images included. */
export function collectCountable(body: JsonObject): Countable {
  const found: Countable = { texts: [], images: 0, items: 0 };
  collect(body["system"], found);
  const messages = Array.isArray(body["messages"]) ? body["messages"] : [];
  for (const message of messages) {
    found.items += 1;
    if (isObject(message)) collect(message["content"], found);
  }
  const tools = Array.isArray(body["tools"]) ? body["tools"] : [];
  for (const tool of tools) {
    found.items += 1;
    found.texts.push(JSON.stringify(tool));
  }
  return found;
}

function collect(content: Json | undefined, found: Countable): void {
  if (typeof content === "string") found.texts.push(content);
  else if (Array.isArray(content)) for (const block of content) collectBlock(block, found);
}

function collectBlock(block: Json, found: Countable): void {
  if (!isObject(block)) return;
  switch (block["type"]) {
    case "image":
      found.images += 1;
      return;
    case "document": {
      const source = isObject(block["source"]) ? block["source"] : {};
      if (source["type"] === "text" && typeof source["data"] === "string") found.texts.push(source["data"]);
      else found.images += 1;
      return;
    }
    case "tool_use":
      found.texts.push(JSON.stringify(block["input"] ?? {}));
      return;
    case "tool_result":
      collect(block["content"], found);
      return;
    default:
      for (const field of ["text", "thinking"]) {
        const text = block[field];
        if (typeof text === "string") found.texts.push(text);
      }
  }
}

/** @returns tokens by the plain tokenizer, before any correction */
export async function countTokens(countable: Countable): Promise<number> {
  const { countTokens: count } = await import("gpt-tokenizer/encoding/o200k_base");
  // Text that looks like a control token is text here.
  const asText = { disallowedSpecial: new Set<string>() };
  let total = countable.images * tokensPerImage + countable.items * tokensPerItem;
  for (const text of countable.texts) {
    for (let at = 0; at < text.length; at += pieceCharacters) {
      total += count(text.slice(at, at + pieceCharacters), asText);
      if (text.length > pieceCharacters) await Bun.sleep(0);
    }
  }
  return total;
}

/** Models remembered; the least recently corrected goes first. */
const maxModels = 500;

/** Weight of the newest observation. */
const newestWeight = 0.2;

/** Observations of a model before its correction is believed. */
const enoughObservations = 3;

/**
 * How far a model's own count is from the tokenizer's. Both are set against the bytes of a request, the only figure that
 * is free on the request path: a model's reported tokens per byte over the tokenizer's tokens per byte.
 */
export class Calibration {
  #models = new Map<string, { tokensPerByte: number; observations: number }>();
  /** The one that was corrected last. */
  #newest: string | undefined;
  #tokenizer: number | undefined;

  /** What an upstream charged for a request of this many bytes. */
  observe(model: string, bodyBytes: number, usage: Usage): void {
    const tokens = usage.input + usage.cacheRead + usage.cacheWrite;
    if (usage.estimated === true || tokens === 0 || bodyBytes < 1024) return;
    const known = this.#models.get(model);
    const isNewest = model === this.#newest;
    this.#newest = model;
    // One model after itself stays where it is.
    if (!isNewest) this.#models.delete(model);
    this.#models.set(model, {
      tokensPerByte: blend(known?.tokensPerByte, tokens / bodyBytes),
      observations: (known?.observations ?? 0) + 1,
    });
    if (isNewest) return;
    const [oldest] = this.#models.keys();
    if (this.#models.size > maxModels && oldest !== undefined) this.#models.delete(oldest);
  }

  /** @param counted the tokenizer's figure for a body of `bodyBytes` @returns the model's probable own figure */
  correct(model: string, counted: number, bodyBytes: number): number {
    this.#tokenizer = blend(this.#tokenizer, counted / Math.max(1, bodyBytes));
    const known = this.#models.get(model);
    if (known === undefined || known.observations < enoughObservations) return counted;
    // Beyond this range the observations were of something else, such as a body full of images.
    const factor = Math.min(2, Math.max(0.5, known.tokensPerByte / this.#tokenizer));
    return Math.round(counted * factor);
  }
}

function blend(known: number | undefined, fresh: number): number {
  return known === undefined ? fresh : known * (1 - newestWeight) + fresh * newestWeight;
}
