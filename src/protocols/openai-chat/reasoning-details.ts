/**
 * `reasoning_details`, OpenRouter's array beside the readable reasoning: what a model needs back, in the form of the
 * vendor that `format` names. Clutch gives Anthropic's signatures to Chat clients in the same form.
 *
 * @see https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
 */

import type { Json, JsonObject, ReasoningPart, Replay } from "../chat.ts";
import { isObject } from "../json.ts";
import { filled } from "./wire.ts";

const anthropicFormat = "anthropic-claude-v1";

/** The fields that streams deliver in pieces; encrypted data comes whole. */
const readableFields = ["text", "summary"] as const;

/** What a reader may see of them. */
export function detailsText(details: readonly Json[]): string {
  let text = "";
  for (const detail of details) {
    if (!isObject(detail)) continue;
    text += filled(detail["text"]) ?? filled(detail["summary"]) ?? "";
  }
  return text;
}

/**
 * Adds the details of one chunk to those collected. A piece that continues the last detail (same type, same index) is
 * joined to it, so that the model gets back the blocks it wrote and not hundreds of fragments.
 */
export function collectDetails(collected: JsonObject[], chunk: readonly Json[]): void {
  for (const piece of chunk) {
    if (!isObject(piece)) continue;
    const last = collected.at(-1);
    if (last === undefined || !continues(last, piece)) {
      collected.push({ ...piece });
      continue;
    }
    for (const [key, value] of Object.entries(piece)) {
      if (value === null || value === undefined) continue;
      const known = last[key];
      const isReadable = readableFields.some((field) => field === key);
      last[key] = isReadable && typeof known === "string" && typeof value === "string" ? known + value : value;
    }
  }
}

function continues(last: JsonObject, piece: JsonObject): boolean {
  const isReadable = piece["type"] === "reasoning.text" || piece["type"] === "reasoning.summary";
  return isReadable && last["type"] === piece["type"] && last["index"] === piece["index"];
}

/** The details that say `replay` to a Chat client; none where it has no form here. */
export function encodeDetails(text: string, replay: Replay, index: number): Json[] {
  switch (replay.kind) {
    case "anthropic":
      return [{ type: "reasoning.text", text, signature: replay.signature, format: anthropicFormat, index }];
    case "redacted":
      return [{ type: "reasoning.encrypted", data: replay.data, format: anthropicFormat, index }];
    case "details":
      return replay.details;
    case "field":
    case "openai":
      return [];
    default:
      return replay satisfies never;
  }
}

/**
 * The reasoning that a Chat client echoes in `reasoning_details`. Details that are Anthropic's throughout become its
 * blocks again, one each; all others stay together, for whoever wrote them.
 */
export function decodeDetails(details: Json[], readable: string | undefined): ReasoningPart[] {
  const blocks = details.map(anthropicBlock).filter((block) => block !== undefined);
  if (blocks.length === details.length) return blocks;
  return [{ type: "reasoning", text: readable ?? detailsText(details), replay: { kind: "details", details } }];
}

/** An envelope of ours, which this protocol never carries, is nobody's signature. */
function native(value: Json | undefined): string | undefined {
  const text = filled(value);
  return text?.startsWith("clutch1.") ? undefined : text;
}

function anthropicBlock(detail: Json): ReasoningPart | undefined {
  if (!isObject(detail) || detail["format"] !== anthropicFormat) return undefined;
  const signature = native(detail["signature"]);
  if (signature !== undefined) {
    return { type: "reasoning", text: filled(detail["text"]) ?? "", replay: { kind: "anthropic", signature } };
  }
  const data = native(detail["data"]);
  return data === undefined ? undefined : { type: "reasoning", text: "", replay: { kind: "redacted", data } };
}

/** Details win over the field: they hold its text too. Reasoning out of tags goes back to nobody. */
export function replayOf(
  details: JsonObject[],
  field: "reasoning_content" | "reasoning" | undefined,
): Replay | undefined {
  if (details.length > 0) return { kind: "details", details };
  return field === undefined ? undefined : { kind: "field", field };
}
