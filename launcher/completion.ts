/**
 * What can follow on a command line of `xx`: launch codes position by position, options, sessions, models. Pure but for
 * what the world hands in.
 */

import {
  type AgentLetter,
  agentNames,
  isAgentLetter,
  isMode,
  isNamedTier,
  isRoute,
  modeNames,
  namedTiers,
  profileDigits,
  routeNames,
} from "../src/launch-code.ts";
import type { Json, JsonObject } from "../src/protocols/chat.ts";
import { isObject } from "../src/protocols/json.ts";
import { findAgentRow } from "./agents.ts";
import { parseLaunchCode } from "./code.ts";
import { usage } from "./help.ts";
import type { AgentSession } from "./sessions.ts";
import type { LauncherSettings } from "./settings.ts";

export interface Candidate {
  /** Stands for the whole word. */
  value: string;
  description: string;
  /** More letters may follow, so the shell adds no space. */
  isOpen?: boolean;
}

export interface CompletionWorld {
  settings: LauncherSettings;
  nowMs: number;
  sessions(agent: AgentLetter): Promise<AgentSession[]>;
  /** References and names that a model can be asked for by. */
  models(): string[];
  /** Ids of the chain's services. */
  services?(): string[];
  /** What an argument of that name can be: settings of the config, modes. */
  named?(argument: string): Promise<string[]>;
  /** Fish puts a space behind whatever is picked from its list, so it is given codes that can stand alone. */
  closesEveryWord?: boolean;
}

/**
 * @param before the words before the one under the cursor, without `xx`
 * @param word as far as it is typed; candidates that do not begin so are left out
 */
export async function completeXx(
  before: readonly string[],
  word: string,
  world: CompletionWorld,
): Promise<Candidate[]> {
  const candidates = await candidatesFor(before, word, world);
  return candidates.filter(({ value }) => value.startsWith(word));
}

async function candidatesFor(before: readonly string[], word: string, world: CompletionWorld): Promise<Candidate[]> {
  // The agent's own arguments.
  if (before.includes("--")) return [];
  const awaited = optionOf(before.at(-1) ?? "");
  if (awaited?.value !== undefined) return completeValue(awaited, before, world);
  const [, flag] = /^(--[^=]+)=/.exec(word) ?? [];
  const joined = flag === undefined ? undefined : optionOf(flag);
  if (joined !== undefined) {
    const values = await completeValue(joined, before, world);
    return values.map((candidate) => ({ ...candidate, value: `${flag}=${candidate.value}` }));
  }
  if (word.startsWith("-")) return optionCandidates(word);
  const code = findCode(before);
  if (code === undefined) return completeCode(word, world.settings, world.closesEveryWord === true);
  // The words behind a code of mode n are a prompt.
  return word === "" && code[1] !== "n" ? optionCandidates("--") : [];
}

// ---- codes

/** The codes that are one letter longer; with `standsAlone`, the next ones that can be launched. */
function completeCode(typed: string, settings: LauncherSettings, standsAlone: boolean): Candidate[] {
  if (typed.length > 0 && !isPossible(typed)) return [];
  const letters = lettersAfter(typed, settings);
  if (letters.length === 0) return [{ value: typed, description: "" }];
  const longer = letters
    .map(([letter, description]) => ({ value: `${typed}${letter}`, description }))
    .filter(({ value }) => isPossible(value))
    .map((candidate) =>
      lettersAfter(candidate.value, settings).length === 0 ? candidate : { ...candidate, isOpen: true },
    );
  if (!standsAlone) return longer;
  return longer.flatMap((candidate) =>
    isLaunchable(candidate.value)
      ? [candidate]
      : completeCode(candidate.value, settings, true).map((further) => ({
          ...further,
          description: `${candidate.description}, ${further.description}`,
        })),
  );
}

type Letter = readonly [letter: string, description: string];

/** What the grammar has at the next position. */
function lettersAfter(typed: string, settings: LauncherSettings): Letter[] {
  switch (typed.length) {
    case 0:
      return Object.entries(agentNames);
    case 1:
      return Object.entries(modeNames);
    case 2:
      // There `p`, `b` and `d` are routes, so DeepSeek's letter has to wait for the fourth position.
      return [
        ...Object.entries(routeNames).map(
          ([letter, name]): Letter => [letter, letter === "p" ? `${name} (as without a letter)` : name],
        ),
        ...tierLetters(settings).filter(([letter]) => !isRoute(letter)),
      ];
    case 3:
      return typed.endsWith("p") || typed.endsWith("b") ? tierLetters(settings) : [];
    default:
      return [];
  }
}

function tierLetters(settings: LauncherSettings): Letter[] {
  const named = Object.keys(namedTiers).filter(isNamedTier);
  const digits = profileDigits.filter((digit) => settings.profiles[digit] !== undefined);
  return [
    ...named.map((tier): Letter => [tier, `${namedTiers[tier]}: ${settings.tiers[tier].model}`]),
    ...digits.map(
      (tier): Letter => [tier, `profile ${tier}: ${settings.profiles[tier]?.model ?? "no model of its own"}`],
    ),
  ];
}

/** It is the beginning of something that can be launched. */
function isPossible(typed: string): boolean {
  const [agent = "", mode = "", third] = typed;
  if (!isAgentLetter(agent)) return false;
  if (mode === "") return true;
  // Every agent has some route.
  return third === undefined ? isMode(mode) && !isRefused(findAgentRow(agent).modes[mode]) : isLaunchable(typed);
}

function isLaunchable(typed: string): boolean {
  try {
    const { agent, mode, route } = parseLaunchCode(typed);
    const row = findAgentRow(agent);
    return !isRefused(row.modes[mode]) && !isRefused(row.routes[route]);
  } catch {
    return false;
  }
}

function isRefused(cell: object): boolean {
  return Object.hasOwn(cell, "cannot");
}

/** The first word that is neither an option nor an option's value. */
function findCode(words: readonly string[]): string | undefined {
  return words.find((word, index) => !word.startsWith("-") && !optionOf(words[index - 1] ?? "")?.value);
}

// ---- options and their values

interface OptionRow {
  /** `-s` and `--session`. */
  flags: readonly string[];
  /** What the usage calls its value; undefined for a switch. */
  value: string | undefined;
  description: string;
}

/** Read from the usage, so that what is explained there is what is offered here. */
const options: readonly OptionRow[] = [...usage.matchAll(/^ {2,6}((?:-\w, )?--[\w-]+)(?: ([A-Z]+))? {2,}(.+)$/gm)].map(
  ([, flags = "", value, description = ""]) => ({ flags: flags.split(", "), value, description }),
);

function optionOf(flag: string): OptionRow | undefined {
  return options.find(({ flags }) => flags.includes(flag));
}

/** The short ones only to whoever has typed one dash. */
function optionCandidates(word: string): Candidate[] {
  return options.flatMap(({ flags, description }) =>
    flags
      .filter((flag) => flag.startsWith("--") || (!word.startsWith("--") && word.startsWith("-")))
      .map((value) => ({ value, description })),
  );
}

async function completeValue(
  option: OptionRow,
  before: readonly string[],
  world: CompletionWorld,
): Promise<Candidate[]> {
  if (option.flags.includes("--model")) {
    return world.models().map((value) => ({ value, description: describeModel(value, world.settings) }));
  }
  const agent = findCode(before)?.[0] ?? "";
  if (!option.flags.includes("--session") || !isAgentLetter(agent)) return [];
  const sessions = await world.sessions(agent);
  return sessions.map(({ id, title, updatedAtMs }) => ({
    value: id,
    description: [renderAge(world.nowMs - updatedAtMs), ...(title === undefined ? [] : [shorten(title)])].join(": "),
  }));
}

function describeModel(model: string, settings: LauncherSettings): string {
  const tiers = Object.keys(namedTiers).filter(isNamedTier);
  const letters = tiers.filter((tier) => settings.tiers[tier].model === model);
  return letters.length === 0 ? "" : `tier ${letters.join(", ")}`;
}

/**
 * Every name in the config that a model can be asked for by, without duplicates: of the tier letters and profiles, of the
 * tiers with their cascades, of the fall-backs, and the incoming names that are mapped.
 */
export function listModels(settings: LauncherSettings, config: Json): string[] {
  const tiers = asObject(asObject(config)["model_tiers"]);
  return [
    ...new Set([
      ...Object.values(settings.tiers).map(({ model }) => model),
      ...Object.values(settings.profiles).flatMap(({ model }) => model ?? []),
      ...Object.values(tiers).flatMap((tier) => [
        ...texts(asObject(tier)["default"]),
        ...texts(asObject(tier)["cascade"]),
      ]),
      ...texts(asObject(config)["toolcall_models"]),
      ...texts(asObject(config)["fallbacks"]),
      ...Object.keys(asObject(asObject(config)["mappings"])),
      ...gatewayModels,
    ]),
  ];
}

/** The gateway's own names for its tiers. */
const gatewayModels = ["clutch-big", "clutch-middle", "clutch-small"];

function asObject(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function texts(value: Json | undefined): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.filter((item) => typeof item === "string" && item !== "") as string[];
}

function renderAge(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`;
}

function shorten(title: string): string {
  const letters = [...title];
  return letters.length <= 60 ? title : `${letters.slice(0, 57).join("")}...`;
}
