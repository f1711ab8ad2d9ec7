/** What `xx` says about itself: the cheat sheet and the usage. Pure. */

import {
  isMode,
  isNamedTier,
  isRoute,
  modeNames,
  namedTiers,
  profileDigits,
  routeNames,
  type Tier,
} from "../src/launch-code.ts";
import { type AgentRow, agents, findAgentRow } from "./agents.ts";
import type { LauncherSettings, Profile } from "./settings.ts";

/** Every letter with its meaning; tiers with the model that each stands for now. */
export function renderCheatSheet(settings: LauncherSettings): string {
  const tiers = [
    ...Object.keys(namedTiers).filter(isNamedTier),
    ...profileDigits.filter((digit) => settings.profiles[digit]),
  ].map((tier): Row => [tier, `${tierName(tier, settings).padEnd(24)}${tierModel(tier, settings)}`]);
  return [
    "xx <agent><mode>[<route>][<tier>]",
    "",
    section("agent", Object.entries(agents).map(agentLine)),
    section("mode", Object.entries(modeNames)),
    section("route", Object.entries(routeNames)),
    section("tier", [...tiers, ["0-9", "profiles of the config (launcher.profiles)"]]),
    section("such as", examples),
    `Gateway: ${settings.gatewayUrl}. Options: xx --help`,
  ].join("\n");
}

export const usage = `Usage: xx <agent><mode>[<route>][<tier>] [prompt] [options] [-- arguments for the agent]

Starts a coding agent with exactly the right flags and becomes it. xx alone explains the letters.

  -p, --prompt TEXT   the prompt of mode n (or words, or stdin); elsewhere the first message
  -s, --session ID    resume this session, in any mode
  -m, --model REF     use this model, such as moonshotai/kimi-k2.6:free or openai:gpt-5
  -n, --dry-run       show what would be run; start and write nothing
      --json          the dry run as JSON
      --safe          leave the agent's approvals on
      --no-front      go straight to the gateway, without Headroom
  -h, --help          this text
      --version       the version of Clutch

Examples:
  xx cip                            a new Claude Code session through the gateway
  xx ccf                            continue the last one on a free model
  xx xnp "fix the failing test"     one task with Codex, without a terminal
  git diff | xx cnp -p "review it"  the agent reads stdin beside the prompt
  xx xsp -s <id>                    one session by its id
  xx cid --safe                     plain Claude Code, approvals on, no gateway
  xx cip -n                         look before it runs
  xx cip -- --add-dir ../other      what follows -- is the agent's own
  xx agents                         what is installed, in which version`;

type Row = [key: string, text: string];

const examples: Row[] = [
  ["xx cip", "new Claude Code session"],
  ["xx ccf", "continue it on a free model"],
  ["xx xnpk", "one Codex task on Kimi: xx xnpk -p '...'"],
  ["xx crd", "pick an old session, no gateway"],
];

function section(title: string, rows: Row[]): string {
  const width = Math.max(...rows.map(([key]) => key.length)) + 2;
  return `${rows.map(([key, text], index) => `${(index === 0 ? title : "").padEnd(9)}${key.padEnd(width)}${text}`).join("\n")}\n`;
}

function agentLine([letter, { name, modes, routes }]: [string, AgentRow]): Row {
  const gaps = [
    ...Object.keys(modeNames).filter((mode) => isMode(mode) && "cannot" in modes[mode]),
    ...Object.keys(routeNames).filter((route) => isRoute(route) && "cannot" in routes[route]),
  ];
  return [letter, gaps.length === 0 ? name : `${name} (not ${gaps.join(", ")})`];
}

function tierName(tier: Tier, settings: LauncherSettings): string {
  if (isNamedTier(tier)) return namedTiers[tier];
  return settings.profiles[tier]?.name ?? `profile ${tier}`;
}

function tierModel(tier: Tier, settings: LauncherSettings): string {
  if (!isNamedTier(tier)) return describeProfile(settings.profiles[tier]);
  const { model, reason } = settings.tiers[tier];
  return reason === undefined ? model : `${model} (${reason})`;
}

function describeProfile(profile: Profile | undefined): string {
  if (profile === undefined) return "";
  const { agent, model, route, args, env } = profile;
  const parts = [
    model ?? "no model of its own",
    ...(route === undefined ? [] : [`route ${route}`]),
    ...(agent === undefined ? [] : [`only ${findAgentRow(agent).name}`]),
    ...args,
    ...Object.keys(env).map((name) => `${name}=...`),
  ];
  return parts.join(", ");
}
