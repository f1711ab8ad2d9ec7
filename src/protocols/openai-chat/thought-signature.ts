/**
 * Gemini's thought signatures, which its OpenAI-compatible endpoint hides in `extra_content` and wants back with the
 * calls of the turn (400 "Function call is missing a thought_signature" otherwise). No client's protocol has a place for
 * them, so they wait in the gateway's memory under the call's id.
 */

import type { Json, JsonObject } from "../chat.ts";
import type { CallSignatures } from "../codec.ts";
import { isObject } from "../json.ts";
import { filled } from "./wire.ts";

/** What Google documents for calls of another model's making: https://ai.google.dev/gemini-api/docs/thought-signatures */
const foreignHistory = "skip_thought_signature_validator";

/** @param holder a tool call or a delta */
export function readSignature(holder: JsonObject): string | undefined {
  const extra = holder["extra_content"];
  const google = isObject(extra) ? extra["google"] : undefined;
  return isObject(google) ? filled(google["thought_signature"]) : undefined;
}

/**
 * The `extra_content` of one call in history. Of parallel calls Gemini signs only the first, so only that one needs the
 * stand-in when nothing is remembered.
 */
export function signedContent(
  callId: string,
  isFirst: boolean,
  signatures: CallSignatures | undefined,
): Json | undefined {
  const signature = signatures?.find(callId) ?? (isFirst ? foreignHistory : undefined);
  return signature === undefined ? undefined : { google: { thought_signature: signature } };
}
