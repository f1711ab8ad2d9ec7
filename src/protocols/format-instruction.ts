/** Structured output by words, for targets that have no field for it. */

import type { OutputFormat } from "./chat.ts";

/** Agents parse the answer (Claude Code's and Codex' titles), so it must hold JSON and nothing else. */
export function formatInstruction(format: OutputFormat): string {
  if (format.type === "json-object") return "Respond with one JSON object only.";
  return `Respond with one JSON object only, without any other text. It must match this JSON Schema:\n${JSON.stringify(format.schema)}`;
}
