/** Launches one agent on one route against a canary, as `xx` would, and tells what could be seen. All I/O of a check. */

import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalog, type ProviderRow } from "../../providers/catalog.ts";
import { readModelSnapshot } from "../../providers/model-snapshot.ts";
import type { Env } from "../../src/config/paths.ts";
import { ClutchError, renderError } from "../../src/errors.ts";
import type { Installed } from "../../src/installed.ts";
import { type AgentLetter, renderLaunchCode } from "../../src/launch-code.ts";
import { maskLaunchToken } from "../../src/launch-token.ts";
import type { AgentRow } from "../agents.ts";
import { detectOwnLogin, findRivals, newLaunchId, writeLaunchFiles } from "../exec.ts";
import { applyEnvDelta, buildLaunch, type LaunchPlan } from "../plan.ts";
import { readLauncherSettings } from "../settings.ts";
import { describeUnlaunched, judge, type Observation, type RouteCheck } from "./agent-check.ts";
import { startCanary } from "./canary.ts";
import { probeTraits } from "./probe-traits.ts";
import { readTail, runGroup } from "./process-group.ts";
import { startRefusingProxy } from "./refusing-proxy.ts";

export interface Probe {
  letter: AgentLetter;
  row: AgentRow;
  route: "p" | "b";
  /** The agent's program, and what it says of itself. */
  file: string;
  installed: Installed;
  env: Env;
  limitMs: number;
  /** Ends the agent early. */
  signal: AbortSignal;
}

/** What the agent is asked; the answer is another word, so that an echo of this is none. */
const prompt = "Reply with the word ready.";

/** What is kept of an agent's output: its last words. */
const tailBytes = 32 * 1024;

/** Never throws for what the agent does; a route that the agent refuses is a result too. */
export async function probeRoute(probe: Probe): Promise<RouteCheck> {
  const { sessionOptions } = probeTraits[probe.letter];
  const first = await launch(probe, sessionOptions);
  // A version that does not know the option says so before it calls anybody.
  const [option] = sessionOptions;
  const isOptionUnknown = option !== undefined && first.output.includes(option.split("=")[0] ?? option);
  if (first.check.verdict !== "nothing-seen" || !isOptionUnknown || probe.signal.aborted) return first.check;
  return (await launch(probe, [])).check;
}

async function launch(probe: Probe, options: readonly string[]): Promise<{ check: RouteCheck; output: string }> {
  const { row, route, letter } = probe;
  const root = realpathSync(mkdtempSync(join(tmpdir(), "clutch-doctor-")));
  const launchId = newLaunchId();
  const answer = `ready-${launchId}`;
  let token = "";
  const canary = startCanary({ token: () => token, prompt, answer });
  const proxy = startRefusingProxy();
  try {
    const cwd = join(root, "empty");
    mkdirSync(cwd);
    const env = { ...probe.env, PWD: cwd };
    const code = { agent: letter, mode: "n", route } as const;
    let plan: LaunchPlan;
    try {
      plan = buildLaunch(
        // The canary asks for no tool, and what answers in its place should not get one unasked.
        { code, namesRoute: true, prompt, isSafe: true, rest: options },
        { ...readLauncherSettings({}, "", {}), gatewayUrl: canary.url },
        {
          env,
          cwd,
          file: probe.file,
          launchId,
          launchDir: join(root, "launch"),
          isRoot: process.getuid?.() === 0,
          hasTerminal: false,
          hasOwnLogin: row.login !== undefined && detectOwnLogin(row.login, probe.env, process.platform),
          rivals: [],
          newSession: crypto.randomUUID(),
          catalogue: readModelSnapshot(),
          ...(typeof probe.installed.learnt === "string" && { learnt: probe.installed.learnt }),
        },
      );
    } catch (error) {
      if (!(error instanceof ClutchError) || error.code !== "not-supported") throw error;
      return { check: describeUnlaunched(route, "refused", renderError(error)), output: "" };
    }
    token = plan.token ?? "";
    writeLaunchFiles(plan.files, new Date());
    const startedAtMs = performance.now();
    const stdout = join(root, "stdout");
    const stderr = join(root, "stderr");
    const ending = await runGroup({
      argv: [plan.file, ...plan.argv],
      cwd,
      env: { ...applyEnvDelta(env, plan.env), ...proxyVariables(proxy.url, canary.host) },
      stdout,
      stderr,
      limitMs: probe.limitMs,
      signal: probe.signal,
    });
    const durationMs = performance.now() - startedAtMs;
    const [said, complained] = [readTail(stdout, tailBytes), readTail(stderr, tailBytes)];
    const observation: Observation = {
      agent: row.name,
      code: renderLaunchCode(code),
      route,
      askedModel: findAskedModel(plan, row),
      calls: canary.calls,
      contacts: proxy.contacts,
      ending,
      hasAnswered: said.includes(answer),
      lastLine: findLastLine(complained, token) ?? findLastLine(said, token),
      durationMs,
      rivals: findShownRivals(row, letter, probe.env, cwd),
      modelHosts,
      traits: probeTraits[letter],
    };
    return { check: judge(observation), output: said + complained };
  } finally {
    proxy.stop();
    await canary.stop();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Only the canary goes past the proxy: exceptions of the user's would hide where their agent talks to. */
function proxyVariables(url: string, exempt: string): Record<string, string> {
  const values = { HTTP_PROXY: url, HTTPS_PROXY: url, ALL_PROXY: url, NO_PROXY: exempt };
  const entries = Object.entries(values);
  return Object.fromEntries([...entries, ...entries.map(([name, value]) => [name.toLowerCase(), value])]);
}

/** The model behind the agent's flag, without the provider that Pi and OpenCode put in front of it. */
function findAskedModel(plan: LaunchPlan, row: AgentRow): string | undefined {
  const at = plan.argv.indexOf(row.modelFlag);
  return at === -1 ? undefined : plan.argv[at + 1]?.replace(/^clutch\//, "");
}

/** What the launcher warns of, and what explains a finding. */
function findShownRivals(row: AgentRow, letter: AgentLetter, env: Env, cwd: string): Observation["rivals"] {
  const home = env["HOME"] ?? "";
  const files = [row.rivals, probeTraits[letter].suspects].flatMap((rivals) =>
    rivals === undefined ? [] : findRivals(rivals, env, cwd),
  );
  return files.map(({ path, names }) => ({
    path: home !== "" && path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path,
    names,
  }));
}

const providers: readonly ProviderRow[] = Object.values(catalog);

/** Of other machines; chatgpt.com is where Codex goes with a login of ChatGPT's. */
const modelHosts: ReadonlySet<string> = new Set([
  ...providers.flatMap(({ bases }) =>
    Object.values(bases).flatMap((base) => (URL.canParse(base) ? new URL(base).hostname : [])),
  ),
  "chatgpt.com",
]).difference(new Set(["127.0.0.1", "localhost"]));

const maxLineCharacters = 200;

/** The last line that tells of trouble, else the last one; without colours, and with keys masked. */
export function findLastLine(output: string, token: string): string | undefined {
  const lines = Bun.stripANSI(output)
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^at .+[:)]\d*\)?$/.test(line));
  const line = lines.findLast((text) => /error|fail|denied|refus|cannot|unable|not found|invalid/i.test(text));
  const shown = line ?? lines.at(-1);
  if (shown === undefined) return undefined;
  const masked = (token === "" ? shown : shown.replaceAll(token, maskLaunchToken(token))).replace(
    /\b((?:sk|pk|key|gsk|AIza|eyJ)[A-Za-z0-9_-]{0,4})[A-Za-z0-9._-]{8,}/g,
    "$1…",
  );
  return masked.length > maxLineCharacters ? `${masked.slice(0, maxLineCharacters - 3)}...` : masked;
}
