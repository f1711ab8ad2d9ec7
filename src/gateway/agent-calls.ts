/**
 * The calls that agents make beside the conversation, and how each shows itself on the wire: one table, each row with its
 * evidence. M = measured with the real program on 2026-11-20 (Claude Code 2.1.328, Codex 0.169.0, Qwen Code 0.24.4,
 * OpenCode 1.18.33, Hermes 0.19.0), R = read in the program of that version. Pure.
 */

import type { AgentId } from "../agent-roles.ts";
import type { Outline, Piece } from "./request-outline.ts";

/** What a request must show; all that a row names. */
interface Sign {
  /** A header whose value contains this text; told without looking into the body. */
  header?: { name: string; contains: string };
  /** The agent's first instructions begin so. */
  system?: readonly string[];
  /** Some instructions begin so, or hold it at the start of a line. */
  anyNote?: string;
  /** The first words of the person's side. */
  firstUser?: readonly string[];
  /** The last words of the person's side. */
  lastUser?: readonly string[];
  /** The answer must be an object with this one member. */
  soleAnswerKey?: readonly string[];
  /** Without tools. */
  noTools?: true;
  /** With an image. */
  hasImage?: true;
}

export interface AgentCall {
  agent: AgentId;
  /** As in `agents.<agent>.roles`. */
  role: string;
  /** Small talk of the agent with itself, which the background route is for. */
  isChatter?: true;
  sign: Sign;
}

export const agentCalls: readonly AgentCall[] = [
  // M: `tools: []`, output_config.format with the one property `title`; /rename asks for `name` in the same way.
  { agent: "claude", role: "title", isChatter: true, sign: { soleAnswerKey: ["title", "name"], noTools: true } },
  // M: with tools and 48 KB in the gpt-6.1-sol dialect, without them in others; the header tells in both.
  {
    agent: "codex",
    role: "title",
    isChatter: true,
    sign: { header: { name: "x-codex-turn-metadata", contains: '"thread_source":"thread_title"' } },
  },
  // M
  {
    agent: "opencode",
    role: "title",
    isChatter: true,
    sign: { system: ["You are a title generator"], noTools: true },
  },
  // R: session-title side query.
  { agent: "qwen", role: "title", isChatter: true, sign: { system: ["Generate a concise, sentence-case title"] } },
  // M: 6 tools and the whole conversation; its own instructions in place of the usual ones.
  {
    agent: "qwen",
    role: "memory_extraction",
    isChatter: true,
    sign: { system: ["You are now acting as the managed memory extraction subagent"] },
  },
  // M: agent/title_generator.py
  {
    agent: "hermes",
    role: "title_generation",
    isChatter: true,
    sign: { system: ["Generate a short, descriptive title (3-7 words)"], noTools: true },
  },
  // R: plugins/memory/query_rewrite.py
  {
    agent: "hermes",
    role: "memory_query_rewrite",
    isChatter: true,
    sign: { system: ["You rewrite a user's latest message into one concise English question"] },
  },
  // R: agent/background_review.py; the conversation with its tools, and one of three last words.
  {
    agent: "hermes",
    role: "background_review",
    isChatter: true,
    sign: {
      lastUser: [
        "Review the conversation above and consider saving to memory",
        "Review the conversation above and update the skill library",
        "Review the conversation above and update two things",
      ],
    },
  },
  // R: tools/tts_tool.py, for two vendors.
  {
    agent: "hermes",
    role: "tts_audio_tags",
    isChatter: true,
    sign: {
      system: [
        "You rewrite transcripts for the xAI /v1/tts endpoint",
        "You rewrite transcripts for Gemini 3.1 Flash TTS",
      ],
    },
  },
  // R: hermes_cli/profile_describer.py
  {
    agent: "hermes",
    role: "profile_describer",
    isChatter: true,
    sign: { system: ["You are a profile-describer for the Hermes Agent kanban board"] },
  },
  // R: cron/scripts/classify_items.py
  {
    agent: "hermes",
    role: "monitor",
    isChatter: true,
    sign: { firstUser: ["USER IMPORTANCE CRITERIA:\n"], noTools: true },
  },
  // R: agent/context_compressor.py
  {
    agent: "hermes",
    role: "compression",
    sign: { firstUser: ["You are a summarization agent creating a context checkpoint"], noTools: true },
  },
  // R: tools/browser_tool.py, with and without a task of the user's.
  {
    agent: "hermes",
    role: "web_extract",
    sign: {
      firstUser: [
        "You are a content extractor for a browser automation agent",
        "Summarize this page snapshot, preserving:",
      ],
      noTools: true,
    },
  },
  // R: tools/vision_tools.py, browser_tool.py, browser_camofox.py; videos go without an image part and are not seen.
  {
    agent: "hermes",
    role: "vision",
    sign: {
      firstUser: [
        "Fully describe and explain everything about this image",
        "You are analyzing a screenshot of a web browser",
        "Analyze this browser screenshot and answer:",
      ],
      noTools: true,
      hasImage: true,
    },
  },
  // R: tools/approval.py
  {
    agent: "hermes",
    role: "approval",
    sign: { system: ["You are a security reviewer for an AI coding agent"], noTools: true },
  },
  // R: hermes_cli/goals.py, the judge and the draft of a contract.
  {
    agent: "hermes",
    role: "goal_judge",
    sign: {
      system: [
        "You are a strict judge evaluating whether an autonomous agent",
        "You turn a user's plain-language objective into a structured completion",
      ],
    },
  },
  // R: hermes_cli/kanban_specify.py
  {
    agent: "hermes",
    role: "triage_specifier",
    sign: { system: ["You are the Kanban triage specifier for the Hermes Agent board"] },
  },
  // R: hermes_cli/kanban_decompose.py
  {
    agent: "hermes",
    role: "kanban_decomposer",
    sign: { system: ["You are the Kanban decomposer for the Hermes Agent board"] },
  },
  // R: agent/moa_loop.py
  {
    agent: "hermes",
    role: "moa_reference",
    sign: { system: ["You are a reference advisor in a Mixture of Agents (MoA) process"] },
  },
  // R: agent/curator.py; an agent of its own whose first order it is.
  {
    agent: "hermes",
    role: "curator",
    sign: { firstUser: ["You are running as Hermes' background skill CURATOR"] },
  },
  // R: tools/delegate_tool.py; the child's instructions follow Hermes' usual ones in the same message.
  {
    agent: "hermes",
    role: "delegation",
    sign: { anyNote: "You are a focused subagent working on a specific delegated task" },
  },
];

/** The rows of an agent that a header alone can tell, or all of them. */
export function findAgentCall(
  agent: AgentId,
  header: (name: string) => string | null,
  outline: (() => Outline) | undefined,
): AgentCall | undefined {
  return agentCalls.find(({ agent: of, sign }) => {
    if (of !== agent) return false;
    if (sign.header !== undefined) return header(sign.header.name)?.includes(sign.header.contains) === true;
    return outline !== undefined && shows(sign, outline());
  });
}

function shows(sign: Sign, outline: Outline): boolean {
  const { pieces, tools, answerKeys } = outline;
  if (sign.noTools === true && tools.length > 0) return false;
  if (sign.hasImage === true && !pieces.some(({ image }) => image !== undefined)) return false;
  if (sign.soleAnswerKey !== undefined) {
    const [key = ""] = answerKeys;
    if (answerKeys.length !== 1 || !sign.soleAnswerKey.includes(key)) return false;
  }
  if (sign.system !== undefined && !begins(pieces.find(isRole("note")), sign.system)) return false;
  if (sign.firstUser !== undefined && !begins(pieces.find(isSpoken), sign.firstUser)) return false;
  if (sign.lastUser !== undefined && !begins(pieces.findLast(isSpoken), sign.lastUser)) return false;
  const { anyNote } = sign;
  if (anyNote === undefined) return true;
  return pieces.some(
    ({ role, text }) => role === "note" && (text.startsWith(anyNote) || text.includes(`\n${anyNote}`)),
  );
}

function isRole(role: Piece["role"]): (piece: Piece) => boolean {
  return (piece) => piece.role === role;
}

function isSpoken({ role, image }: Piece): boolean {
  return role === "user" && image === undefined;
}

function begins(piece: Piece | undefined, starts: readonly string[]): boolean {
  return piece !== undefined && starts.some((start) => piece.text.startsWith(start));
}
