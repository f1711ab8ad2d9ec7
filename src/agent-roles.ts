/**
 * The config's names for agents and for the kinds of calls that can be told apart: `agents.<agent>.roles.<role>`. How a
 * call is recognised stands with its evidence in `gateway/agent-calls.ts`. Pure.
 */

import type { AgentLetter } from "./launch-code.ts";

export const agentIds = {
  claude: "c",
  hermes: "h",
  codex: "x",
  qwen: "q",
  pi: "p",
  opencode: "o",
  ante: "a",
  antigravity: "g",
} as const satisfies Record<string, AgentLetter>;

export type AgentId = keyof typeof agentIds;

/** Roles that a request shows. Hermes' are named as in its own `auxiliary` settings; `primary` is whatever is no other. */
export const agentRoles = {
  claude: ["title"],
  hermes: [
    "primary",
    "delegation",
    "compression",
    "vision",
    "web_extract",
    "approval",
    "title_generation",
    "memory_query_rewrite",
    "tts_audio_tags",
    "triage_specifier",
    "kanban_decomposer",
    "profile_describer",
    "goal_judge",
    "curator",
    "monitor",
    "background_review",
    "moa_reference",
  ],
  codex: ["title"],
  qwen: ["title", "memory_extraction"],
  pi: [],
  opencode: ["title"],
  ante: [],
  antigravity: [],
} as const satisfies Record<AgentId, readonly string[]>;

/** Other names of Hermes' roles, as the predecessor's profiles have them. */
export const roleAliases: Readonly<Record<string, string>> = {
  triage: "triage_specifier",
  kanban: "kanban_decomposer",
  profile_description: "profile_describer",
};

/** Hermes' roles that no rule can reach: accepted, and named at start as having no effect. */
export const unseenHermesRoles = {
  mcp: "a server of the user's writes the whole request",
  moa_aggregator: "it is the acting model, and its requests are like any other",
  skills_hub: "Hermes 0.19 makes no such call",
  session_search: "Hermes 0.19 makes no such call",
  flush_memories: "Hermes 0.19 makes no such call",
} as const;

export function agentIdOf(letter: string | undefined): AgentId | undefined {
  return (Object.keys(agentIds) as AgentId[]).find((id) => agentIds[id] === letter);
}
