/** Who sent a request: the launch token that `xx` handed to the agent, or what the agent says of itself. Pure. */

import { looksLikeAccessKey } from "../access-key.ts";
import { type LaunchToken, parseLaunchToken } from "../launch-token.ts";
import type { Key } from "./keyring.ts";
import type { Purse } from "./screen.ts";

export interface Caller {
  launch: LaunchToken | undefined;
  /** The token came in a header of its own, beside the agent's own login. */
  keepsOwnLogin: boolean;
  /** The key as the client sent it, without `Bearer `. */
  key: string | undefined;
  /** The agent's letter, or undefined when nothing tells. */
  agent: string | undefined;
  /** The agent's own session id. */
  session: string | undefined;
  /** Which of the gateway's own keys it came with; known once it has been let in. */
  grant?: Key | undefined;
  /** Why no paid model is asked for it; known once its budgets have been looked at. */
  spent?: Purse["spent"];
}

/** User agents as measured; the letter is the one of the launch code. */
const userAgents: readonly (readonly [prefix: string, agent: string])[] = [
  ["claude-cli/", "c"],
  ["codex", "x"],
  ["QwenCode/", "q"],
  ["opencode/", "o"],
  ["pi ", "p"],
];

/** Claude Code, Codex, OpenCode, Pi. */
const sessionHeaders = ["x-claude-code-session-id", "session-id", "x-session-id", "session_id"] as const;

export function recognise(headers: Headers): Caller {
  const bearer = headers.get("authorization")?.replace(/^bearer(?:\s+|$)/i, "");
  const key = bearer || headers.get("x-api-key") || undefined;
  const own = headers.get("x-clutch-launch");
  const launch = parseLaunchToken(own ?? key ?? "");
  return {
    launch,
    // Pi sends the token both ways where it has no login of its own for that vendor; and a key of ours is for no vendor.
    keepsOwnLogin:
      own !== null && launch !== undefined && parseLaunchToken(key ?? "") === undefined && !looksLikeAccessKey(key),
    key,
    agent: launch?.agent ?? agentOf(headers.get("user-agent")),
    session: firstHeader(headers, sessionHeaders),
  };
}

function agentOf(userAgent: string | null): string | undefined {
  return userAgent === null ? undefined : userAgents.find(([prefix]) => userAgent.startsWith(prefix))?.[1];
}

function firstHeader(headers: Headers, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) return value.slice(0, 128);
  }
  return undefined;
}
