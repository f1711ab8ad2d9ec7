/** Reads a launch code as a person types it: agent, mode, then route and tier, either of which may be left out. Pure. */

import { ClutchError } from "../src/errors.ts";
import {
  agentNames,
  isAgentLetter,
  isMode,
  isRoute,
  isTier,
  type LaunchCode,
  modeNames,
  namedTiers,
} from "../src/launch-code.ts";

const agentList = `agents are ${listLetters(agentNames)}`;
const modeList = `modes are ${listLetters(modeNames)}`;
const routeList = "routes are p, b, d";
const tierList = `tiers are ${Object.keys(namedTiers).join(", ")}, 0-9`;

/**
 * At position three `p`, `b` and `d` are the route and every other letter is the tier of route `p`.
 * @throws {ClutchError} `usage`: names the letter, its position and the right ones
 */
export function parseLaunchCode(code: string): LaunchCode {
  const [agent = "", mode = "", third = "", fourth = "", ...rest] = code;
  if (!isAgentLetter(agent)) throw wrongLetter(code, 1, agent, "is no agent", agentList);
  if (!isMode(mode)) throw wrongLetter(code, 2, mode, "is no mode", modeList);
  if (third === "") return { agent, mode, route: "p" };
  if (!isRoute(third)) {
    if (!isTier(third)) throw wrongLetter(code, 3, third, "is neither route nor tier", `${routeList}; ${tierList}`);
    if (fourth !== "") throw wrongLetter(code, 4, fourth, `follows the tier "${third}"`, "the tier comes last");
    return { agent, mode, route: "p", tier: third };
  }
  if (fourth === "") return { agent, mode, route: third };
  if (!isTier(fourth)) throw wrongLetter(code, 4, fourth, "is no tier", tierList);
  if (rest.length > 0) throw wrongLetter(code, 5, rest.join(""), "is too much", "a code has at most four letters");
  if (third === "d") {
    throw wrongLetter(
      code,
      4,
      fourth,
      `is a tier, but route d has no gateway to choose a model`,
      `leave it out (${code.slice(0, 3)}), or take route p (${agent}${mode}p${fourth})`,
    );
  }
  return { agent, mode, route: third, tier: fourth };
}

/** Whether the typed code says its route, or leaves it to a profile or to `p`. */
export function namesRoute(code: string): boolean {
  return isRoute(code[2] ?? "");
}

function wrongLetter(code: string, position: number, letter: string, what: string, right: string): ClutchError {
  const message =
    letter === ""
      ? `"${code}" is too short, position ${position} is missing`
      : `"${letter}" at position ${position} of "${code}" ${what}`;
  return new ClutchError("usage", message, { hint: right });
}

function listLetters(names: Readonly<Record<string, string>>): string {
  return Object.entries(names)
    .map(([letter, name]) => `${letter} ${name}`)
    .join(", ");
}
