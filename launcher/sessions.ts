/**
 * The agents' own sessions of one folder, each read from the agent's own store, which is never written to. THE table of
 * stores: shapes and places were measured with Claude Code 2.1.328, Codex 0.169.0, Qwen Code 0.24.4, Pi 0.87.1, OpenCode
 * 1.18.33 and Hermes 0.19.0 on Linux; what another version keeps elsewhere is not found, and the list is then empty.
 */

import { realpathSync } from "node:fs";
import type { Env } from "../src/config/paths.ts";
import type { AgentLetter } from "../src/launch-code.ts";
import type { Json } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import {
  findByFolder,
  findByFolderStart,
  findByMonth,
  listTranscripts,
  type TranscriptStore,
} from "./session-transcripts.ts";

export interface AgentSession {
  /** What the agent takes behind its flag for a session. */
  id: string;
  updatedAtMs: number;
  /** One line, as long as the agent keeps it: the name that the person or the agent gave it, else how it began. */
  title?: string;
}

/** More than anyone looks through in a list. */
const maxSessions = 20;

/**
 * At most 20, newest first. Asks no agent and never throws: a store that is missing, damaged or in use has no sessions.
 * @param cwd agents record the folder's real path, so a symbolic link is followed
 */
export async function listSessions(agent: AgentLetter, cwd: string, env: Env): Promise<AgentSession[]> {
  const store = stores[agent];
  if (store === undefined) return [];
  try {
    const sessions = await store(realFolder(cwd), env);
    return sessions
      .sort((one, other) => other.updatedAtMs - one.updatedAtMs)
      .slice(0, maxSessions)
      .map(({ title, ...session }) => withTitle(session, title));
  } catch {
    return [];
  }
}

type Store = (cwd: string, env: Env) => AgentSession[] | Promise<AgentSession[]>;

/** Each character that is not a letter or digit becomes a dash, in Claude Code and Qwen Code alike. */
const slug = (cwd: string) => cwd.replace(/[^a-zA-Z0-9]/g, "-");

/** Beyond this Claude Code cuts the slug and adds a hash of its own. */
const maxClaudeSlug = 200;

const claude: TranscriptStore = {
  find(cwd, env) {
    const root = `${agentHome(env, "CLAUDE_CONFIG_DIR", ".claude")}/projects`;
    const name = slug(cwd);
    if (name.length <= maxClaudeSlug) return findByFolder(`${root}/${name}`);
    return findByFolderStart(root, `${name.slice(0, maxClaudeSlug)}-`);
  },
  fileName: /^([0-9a-f-]{36})\.jsonl$/,
  // A renamed session tells so anew towards its end.
  tailBytes: 64 * 1024,
  tell(record) {
    if (record["type"] === "custom-title") return { name: record["customTitle"] };
    if (record["type"] === "ai-title") return { guessedName: record["aiTitle"] };
    if (record["type"] === "last-prompt") return { lastPrompt: record["lastPrompt"] };
    if (record["type"] !== "user" || record["isMeta"] === true) return {};
    return { firstPrompt: textOf(field(record["message"], "content")) };
  },
};

const codex: TranscriptStore = {
  find: (_cwd, env) => findByMonth(`${agentHome(env, "CODEX_HOME", ".codex")}/sessions`),
  isShared: true,
  fileName: /^rollout-.*-([0-9a-f]{8}-[0-9a-f-]{27})\.jsonl$/,
  tell(record) {
    const payload = record["payload"];
    if (record["type"] === "session_meta") {
      // "user" in every session that was started by hand; sub-agents have rollouts too.
      const source = field(payload, "thread_source");
      return { isHidden: typeof source === "string" && source !== "user" };
    }
    const item = field(payload, "item");
    return field(item, "type") === "UserMessage" ? { firstPrompt: textOf(field(item, "content")) } : {};
  },
};

const qwen: TranscriptStore = {
  find(cwd, env) {
    const root = env["QWEN_RUNTIME_DIR"] || agentHome(env, "QWEN_HOME", ".qwen");
    return findByFolder(`${root}/projects/${slug(cwd)}/chats`);
  },
  fileName: /^([0-9a-f-]{36})\.jsonl$/,
  tailBytes: 64 * 1024,
  tell(record) {
    if (record["subtype"] === "custom_title") return { name: field(record["systemPayload"], "customTitle") };
    return record["type"] === "user" ? { firstPrompt: textOf(field(record["message"], "parts")) } : {};
  },
};

const pi: TranscriptStore = {
  find(cwd, env) {
    const chosen = env["PI_CODING_AGENT_SESSION_DIR"];
    if (chosen) return findByFolder(chosen);
    const name = `--${cwd.replace(/^\//, "").replace(/[/\\:]/g, "-")}--`;
    return findByFolder(`${agentHome(env, "PI_CODING_AGENT_DIR", ".pi/agent")}/sessions/${name}`);
  },
  // By PI_CODING_AGENT_SESSION_DIR.
  isShared: true,
  fileName: /^[^_]+_(.+)\.jsonl$/,
  tailBytes: 64 * 1024,
  tell(record) {
    if (record["type"] === "session_info") return { name: record["name"] };
    const message = record["message"];
    return field(message, "role") === "user" ? { firstPrompt: textOf(field(message, "content")) } : {};
  },
};

const stores: Readonly<Record<AgentLetter, Store | undefined>> = {
  c: (cwd, env) => listTranscripts(claude, cwd, env, maxSessions),
  h: async (cwd, env) => {
    const { hermesSessions, queryReadOnly } = await import("./session-databases.ts");
    const file = `${agentHome(env, "HERMES_HOME", ".hermes")}/state.db`;
    return queryReadOnly(file, hermesSessions, cwd, maxSessions);
  },
  x: (cwd, env) => listTranscripts(codex, cwd, env, maxSessions),
  q: (cwd, env) => listTranscripts(qwen, cwd, env, maxSessions),
  p: (cwd, env) => listTranscripts(pi, cwd, env, maxSessions),
  o: async (cwd, env) => {
    const { opencodeSessions, queryReadOnly } = await import("./session-databases.ts");
    const data = `${env["XDG_DATA_HOME"] || `${env["HOME"] ?? ""}/.local/share`}/opencode`;
    const chosen = env["OPENCODE_DB"] || "opencode.db";
    const file = chosen.startsWith("/") ? chosen : `${data}/${chosen}`;
    return queryReadOnly(file, opencodeSessions, cwd, maxSessions);
  },
  // Neither program was at hand, so it is unknown where they keep sessions and in what form.
  a: undefined,
  g: undefined,
};

function agentHome(env: Env, variable: string, defaultFolder: string): string {
  return env[variable] || `${env["HOME"] ?? ""}/${defaultFolder}`;
}

function realFolder(cwd: string): string {
  try {
    return realpathSync(cwd);
  } catch {
    return cwd;
  }
}

function field(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

/** A message's text: a string, or the `text` of its parts. */
function textOf(content: Json | undefined): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .map((part) => field(part, "text"))
    .filter((text) => typeof text === "string")
    .join(" ");
}

/** A title is for one line of a terminal: no line ends, and nothing that a terminal would obey. */
function withTitle(session: AgentSession, title: string | undefined): AgentSession {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to go
  const line = title?.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return line === undefined || line === "" ? session : { ...session, title: line };
}
