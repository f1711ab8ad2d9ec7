/** `clutch status --line`, which prompts wait for: one question to the gateway, and nothing loaded that it can do without. */

import { readLauncherSettings } from "../launcher/settings.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { type LineInput, renderLine } from "../src/explain/status-line.ts";
import type { LineStatus } from "../src/gateway/status-report.ts";
import { parseLaunchToken } from "../src/launch-token.ts";
import { readAdminSecret } from "../src/lifecycle/admin-secret.ts";
import { isSameFile } from "../src/lifecycle/gateway-admin.ts";
import { fetchDirectly } from "../src/loopback-direct.ts";

/**
 * A gateway that is there answers in two milliseconds, and in some twenty while it reads a huge body; one that hangs must not
 * hold a prompt up.
 */
const limitMs = 50;

/** @returns 0 whatever the line says: prompts and status lines show nothing of a command that fails */
export async function statusLine(env: Env): Promise<number> {
  console.log(renderLine(await askLine(env), paintFor(env)));
  return 0;
}

async function askLine(env: Env): Promise<LineInput> {
  const homes = resolveHomes(env);
  const raw = await readConfigFile(homes);
  const { gatewayUrl: url, requireKey } = readLauncherSettings(raw.value, raw.path ?? homes.configFile, env);
  const secret = requireKey ? readAdminSecret(homes.stateDir) : undefined;
  const signal = AbortSignal.timeout(limitMs);
  try {
    const response = await fetchDirectly(`${url}/admin/line${describeLaunch(env)}`, {
      headers: secret === undefined ? {} : { authorization: `Bearer ${secret}` },
      signal,
      redirect: "manual",
    });
    const line = (await response.json().catch(() => undefined)) as LineStatus | undefined;
    const isOurs = response.status === 200 && line !== undefined && isSameFile(line.database ?? "", homes.database);
    return isOurs ? { kind: "up", line } : { kind: "foreign", url };
  } catch {
    return { kind: signal.aborted ? "slow" : "down" };
  }
}

/** Called by an agent that `xx` has started, this process has the agent's launch token in its environment. */
function describeLaunch(env: Env): string {
  for (const value of Object.values(env)) {
    const token = value?.includes("xx-") ? /\bxx-[a-z0-9]{3,4}-[a-z0-9]+/.exec(value)?.[0] : undefined;
    const launch = token === undefined ? undefined : parseLaunchToken(token);
    if (launch === undefined) continue;
    // On route b the agent's own model is asked for, and no tier has a say.
    const tier = launch.route === "p" ? (launch.tier ?? "BIG") : "none";
    return `?launch=${launch.launchId}&tier=${tier}`;
  }
  return "";
}

/** Claude Code shows colours and is no terminal, so colours are what it is given unless the person wants none. */
function paintFor(env: Env) {
  const isWanted = (env["NO_COLOR"] ?? "") === "" && (process.stdout.isTTY === true || describeLaunch(env) !== "");
  const sgr = (code: number) => (text: string) => (isWanted ? `\x1b[${code}m${text}\x1b[0m` : text);
  return { bold: sgr(1), dim: sgr(2), good: sgr(32), bad: sgr(31), warn: sgr(33) };
}
