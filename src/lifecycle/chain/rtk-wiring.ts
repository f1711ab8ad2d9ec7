/** Which agents RTK is wired into, read from their own files: `rtk init --show` prints prose, and `rtk init` writes. */

import { existsSync, readFileSync } from "node:fs";
import type { Env } from "../../config/paths.ts";
import type { AgentLetter } from "../../launch-code.ts";
import type { Json } from "../../protocols/chat.ts";
import { isObject } from "../../protocols/json.ts";

export interface WiredAgent {
  agent: AgentLetter;
  /** `text` only asks the model to call rtk; the others rewrite its commands. */
  by: "hook" | "plugin" | "text";
  /** Where that stands. */
  file: string;
}

interface AgentFolder {
  variable: string;
  fallback: string;
}

const folders = {
  claude: { variable: "CLAUDE_CONFIG_DIR", fallback: ".claude" },
  codex: { variable: "CODEX_HOME", fallback: ".codex" },
  pi: { variable: "PI_CODING_AGENT_DIR", fallback: ".pi/agent" },
  hermes: { variable: "HERMES_HOME", fallback: ".hermes" },
} as const satisfies Record<string, AgentFolder>;

/**
 * In the order of the launch codes. Antigravity has rules by project alone, Qwen Code and Ante nothing of the kind, so none
 * of them is looked for.
 */
export function findWiredAgents(env: Env, home: string): WiredAgent[] {
  const at = ({ variable, fallback }: AgentFolder) => env[variable] || `${home}/${fallback}`;
  const wired: WiredAgent[] = [];
  const settings = `${at(folders.claude)}/settings.json`;
  // `rtk-rewrite.sh` is what older versions put there.
  if (hasHook(settings, /rtk hook claude|rtk-rewrite\.sh/)) wired.push({ agent: "c", by: "hook", file: settings });
  const plugin = `${at(folders.hermes)}/plugins/rtk-rewrite`;
  if (existsSync(plugin) && enablesPlugin(`${at(folders.hermes)}/config.yaml`, "rtk-rewrite")) {
    wired.push({ agent: "h", by: "plugin", file: plugin });
  }
  const hooks = `${at(folders.codex)}/hooks.json`;
  const rules = `${at(folders.codex)}/AGENTS.md`;
  if (hasHook(hooks, /rtk hook codex/)) wired.push({ agent: "x", by: "hook", file: hooks });
  else if (/^\s*@\S*RTK\.md\s*$/m.test(read(rules))) wired.push({ agent: "x", by: "text", file: rules });
  const files = [
    ["p", `${at(folders.pi)}/extensions/rtk.ts`],
    ["o", `${env["XDG_CONFIG_HOME"] || `${home}/.config`}/opencode/plugins/rtk.ts`],
  ] as const;
  for (const [agent, file] of files) if (existsSync(file)) wired.push({ agent, by: "plugin", file });
  return wired;
}

/** `hooks.PreToolUse[].hooks[].command`, which Claude Code and Codex have in common: a permission that names rtk is no hook. */
function hasHook(path: string, command: RegExp): boolean {
  const hooks = field(parse(path, JSON.parse), "hooks");
  return list(field(hooks, "PreToolUse"))
    .flatMap((matcher) => list(field(matcher, "hooks")))
    .some((hook) => {
      const line = field(hook, "command");
      return typeof line === "string" && command.test(line);
    });
}

function enablesPlugin(path: string, name: string): boolean {
  const plugins = field(parse(path, Bun.YAML.parse), "plugins");
  return list(field(plugins, "enabled")).includes(name);
}

function field(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) ? value[name] : undefined;
}

function list(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : [];
}

/** A file that the agent could not read either wires nothing. */
function parse(path: string, parser: (text: string) => unknown): Json | undefined {
  try {
    return parser(read(path)) as Json;
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
