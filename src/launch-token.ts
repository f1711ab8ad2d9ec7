/**
 * The key that `xx` hands to an agent, `xx-<code>-<launch id>[-<secret>]`: every request that carries it tells the gateway
 * which launch it belongs to. Written by the launcher, read by the gateway.
 */

import { isAgentLetter, isMode, isRoute, isTier, type LaunchCode } from "./launch-code.ts";

/** Where the token travels when the agent keeps a login of its own. */
export const launchHeader = "x-clutch-launch";

export interface LaunchToken extends LaunchCode {
  /** As `renderLaunchCode` writes it, route included. */
  code: string;
  /** Lower-case letters and digits. */
  launchId: string;
  /** Proves that the launcher could read this user's state folder; only there when the gateway requires keys. */
  secret?: string;
}

const tokenPattern = /^xx-([a-z]{3}[a-z0-9]?)-([a-z0-9]+)(?:-([A-Za-z0-9_-]+))?$/;

export function buildLaunchToken(parts: Pick<LaunchToken, "code" | "launchId" | "secret">): string {
  return `xx-${parts.code}-${parts.launchId}${parts.secret === undefined ? "" : `-${parts.secret}`}`;
}

/**
 * Undefined for anything else, such as a provider's key or a code with a letter that means nothing.
 * The secret is not checked here.
 * @param text a header's value, with or without `Bearer `
 */
export function parseLaunchToken(text: string): LaunchToken | undefined {
  // Most requests of agents started by hand carry some provider's key.
  if (!text.includes("xx-")) return undefined;
  const [, code = "", launchId = "", secret] = tokenPattern.exec(text.trim().replace(/^bearer\s+/i, "")) ?? [];
  const [agent = "", mode = "", route = "", tier] = code;
  if (!isAgentLetter(agent) || !isMode(mode) || !isRoute(route)) return undefined;
  if (tier !== undefined && (!isTier(tier) || route === "d")) return undefined;
  return {
    code,
    agent,
    mode,
    route,
    ...(tier === undefined ? {} : { tier }),
    launchId,
    ...(secret === undefined ? {} : { secret }),
  };
}

/** What may be shown of a token: the code, without the launch id and the secret. */
export function maskLaunchToken(token: string): string {
  return token.replace(/^(xx-[a-z0-9]+)-.*$/, "$1-…");
}

/**
 * The file that holds the secret part of launch tokens (mode 0600). The launcher makes it when `server.require_key` is on;
 * a gateway of the same user and home reads it to tell real launches from invented tokens.
 */
export function launchSecretFile(stateDir: string): string {
  return `${stateDir}/launch.key`;
}
