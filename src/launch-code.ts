/**
 * The alphabet of launch codes (`cip`, `xcf`, ...): what each letter means at its position. The launcher reads what
 * people type with it, the gateway reads the same letters back from a launch token.
 */

export const agentNames = {
  c: "Claude Code",
  h: "Hermes",
  x: "Codex",
  q: "Qwen Code",
  p: "Pi",
  o: "OpenCode",
  a: "Ante",
  g: "Antigravity",
} as const;

export const modeNames = {
  i: "new session",
  c: "continue the last",
  n: "non-interactive",
  s: "session by id",
  r: "resume picker",
} as const;

export const routeNames = {
  p: "through the gateway, with routing and fail-over",
  b: "through the gateway, the agent's own model kept",
  d: "direct to the provider, no gateway",
} as const;

/** Tiers with a letter. `0` to `9` besides them are the profiles of the config. */
export const namedTiers = {
  d: "DeepSeek V4 Flash",
  n: "Nemotron 3 Super 120B",
  k: "Kimi K2.6",
  q: "Qwen3 Next 80B",
  m: "best by model-scan",
  f: "best free",
} as const;

export const profileDigits = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] as const;

export type AgentLetter = keyof typeof agentNames;
export type Mode = keyof typeof modeNames;
export type Route = keyof typeof routeNames;
export type NamedTier = keyof typeof namedTiers;
export type ProfileDigit = (typeof profileDigits)[number];
export type Tier = NamedTier | ProfileDigit;

export interface LaunchCode {
  agent: AgentLetter;
  mode: Mode;
  route: Route;
  /** Never together with route `d`. */
  tier?: Tier;
}

export function isAgentLetter(letter: string): letter is AgentLetter {
  return Object.hasOwn(agentNames, letter);
}

export function isMode(letter: string): letter is Mode {
  return Object.hasOwn(modeNames, letter);
}

export function isRoute(letter: string): letter is Route {
  return Object.hasOwn(routeNames, letter);
}

export function isNamedTier(letter: string): letter is NamedTier {
  return Object.hasOwn(namedTiers, letter);
}

function isProfileDigit(letter: string): letter is ProfileDigit {
  return /^[0-9]$/.test(letter);
}

export function isTier(letter: string): letter is Tier {
  return isNamedTier(letter) || isProfileDigit(letter);
}

/** The full spelling, route always written out: `ccf` was typed, `ccpf` is rendered. */
export function renderLaunchCode(code: LaunchCode): string {
  return `${code.agent}${code.mode}${code.route}${code.tier ?? ""}`;
}
