/**
 * THE table of what the doctor knows of each agent beyond its launches, measured with the versions that
 * launcher/agents.ts names: by proxies that refuse, and by the files that a check leaves in a fresh home.
 */

import type { AgentLetter } from "../../src/launch-code.ts";
import type { RivalProbe } from "../agents.ts";
import type { ProbeTraits } from "./agent-check.ts";

export interface ProbeRow extends ProbeTraits {
  /** Keeps the check out of the agent's list of sessions; empty where the agent has no such option. */
  sessionOptions: readonly string[];
  /** Files that a launch beats or does not touch, but that explain a finding. */
  suspects?: RivalProbe;
}

const leadsTwoVendors = (name: string) =>
  `route b leads only Anthropic's and OpenAI's models of ${name} to the gateway: name one with -m, or use route p`;

export const probeTraits: Readonly<Record<AgentLetter, ProbeRow>> = {
  // Leaves no session.
  c: { sessionOptions: ["--no-session-persistence"], shows: "anywhere", housekeeping: ["api.anthropic.com"] },
  // Leaves a session of source `tool`, which its own lists leave out.
  h: {
    sessionOptions: ["--source", "tool"],
    shows: "anywhere",
    housekeeping: ["openrouter.ai", "models.dev", "pypi.org", "github.com"],
  },
  // Leaves no session.
  x: {
    sessionOptions: ["--ephemeral"],
    shows: "anywhere",
    housekeeping: ["github.com", "api.github.com", "chatgpt.com", "ab.chatgpt.com"],
    suspects: {
      routes: ["p", "b"],
      homeFiles: [{ homeVariable: "CODEX_HOME", defaultFolder: ".codex", name: "config.toml" }],
      projectFiles: [],
      settings: /^[ \t]*(model_provider|openai_base_url)[ \t]*=/gm,
    },
  },
  // Leaves a folder of the project with an empty memory, and no chat.
  q: {
    sessionOptions: ["--chat-recording=false"],
    shows: "other machines",
    housekeeping: ["gb4w8c3ygj-default-sea.rum.aliyuncs.com"],
    suspects: {
      routes: ["p", "b"],
      homeFiles: [{ homeVariable: "QWEN_HOME", defaultFolder: ".qwen", name: "settings.json" }],
      projectFiles: [],
      settings: /"(baseUrl|OPENAI_BASE_URL)"\s*:/g,
    },
  },
  // Leaves no session.
  p: {
    sessionOptions: ["--no-session"],
    shows: "other machines",
    housekeeping: [],
    ownModelLimit: leadsTwoVendors("Pi"),
  },
  // Leaves one session a check: it has no option against that.
  o: {
    sessionOptions: [],
    shows: "anywhere",
    housekeeping: ["models.opencode.ai", "models.dev", "registry.npmjs.org"],
    ownModelLimit: leadsTwoVendors("OpenCode"),
  },
  // Not at hand: nothing measured.
  a: { sessionOptions: [], shows: undefined, housekeeping: [] },
  g: { sessionOptions: [], shows: undefined, housekeeping: [] },
};
