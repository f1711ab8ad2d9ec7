/** `clutch logs` and `clutch attach`: what the services said, and a look at them. */

import { existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import pc from "picocolors";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { ClutchError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import { lastLines, readLogs, tidy } from "../src/lifecycle/chain/logs.ts";
import { logFile, readPlan } from "../src/lifecycle/chain/record.ts";
import { listServices, readChainSettings } from "../src/lifecycle/chain/services.ts";
import { buildAttachCommands, chainSocket } from "../src/lifecycle/chain/tmux-stage.ts";
import { buildTmuxEnv, hasTrueColour } from "../src/lifecycle/launch-env.ts";
import { chooseOuterTerm, isDescribed } from "../src/lifecycle/terminal.ts";
import { buildTmuxArgv } from "../src/lifecycle/tmux.ts";
import { renderLogText } from "../src/log.ts";
import { nearest } from "../src/nearest.ts";
import { findChain } from "./chain-place.ts";

export interface LogFlags {
  follow?: boolean;
  lines?: string;
  since?: string;
  color?: boolean;
}

const pollMs = 100;

export async function logs(service: string | undefined, flags: LogFlags, env: Env): Promise<number> {
  const { stateDir } = resolveHomes(env);
  const ids = await chooseLogs(service, stateDir, env);
  const keepsColour = flags.color !== false && process.stdout.isTTY === true && (env["NO_COLOR"] ?? "") === "";
  const count = parseCount(flags.lines);
  const sinceMs = flags.since === undefined ? undefined : Date.now() - parseSpan(flags.since);
  const prefix = (id: string) => (ids.length > 1 ? `${id.padEnd(12)} | ` : "");
  for (const id of ids) {
    const most = count ?? (sinceMs === undefined ? 50 : Number.POSITIVE_INFINITY);
    for (const line of lastLines(readLogs(stateDir, id, sinceMs), most, keepsColour)) {
      console.log(forPeople(line).replace(/^/gm, prefix(id)));
    }
  }
  if (flags.follow === true) await Promise.all(ids.map((id) => follow(logFile(stateDir, id), prefix(id), keepsColour)));
  return 0;
}

/** All that have a log, where none is named. */
async function chooseLogs(service: string | undefined, stateDir: string, env: Env): Promise<string[]> {
  const { config } = await findChain(env);
  const known = [...listServices(readChainSettings(config)).map(({ id }) => id), "supervisor"];
  const written = known.filter((id) => existsSync(logFile(stateDir, id)));
  if (service === undefined) {
    if (written.length > 0) return written.filter((id) => id !== "supervisor");
    throw new ClutchError("failed", `there are no logs in ${stateDir}/logs`, { hint: "clutch up starts the services" });
  }
  if (written.includes(service)) return [service];
  if (known.includes(service)) {
    throw new ClutchError("failed", `${service} has no log: it was not started here`, {
      hint: "clutch status tells how it is",
    });
  }
  const near = nearest(service, known);
  throw new ClutchError("usage", `there is no service "${service}"`, {
    hint: near === undefined ? `known are ${known.join(", ")}` : `did you mean ${near}?`,
  });
}

function parseCount(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d+$/.test(text)) return Number(text);
  throw new ClutchError("usage", `-n is "${text}", which is no number of lines`, { hint: "as in -n 200" });
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `10m`, `2h`, `1d`. */
function parseSpan(text: string): number {
  const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count === undefined) {
    throw new ClutchError("usage", `--since is "${text}", which is no span of time`, {
      hint: "as in 90s, 10m, 2h or 1d",
    });
  }
  return Number(count) * (unitMs[unit] ?? 0);
}

/** The gateway writes JSON where it has no terminal; whoever looks has one, and programs get what was written. */
function forPeople(text: string): string {
  return process.stdout.isTTY === true ? renderLogText(text, pc) : text;
}

/** Until Ctrl-C. A log that was cut is read from its beginning. */
async function follow(path: string, prefix: string, keepsColour: boolean): Promise<never> {
  let offset = existsSync(path) ? statSync(path).size : 0;
  let rest = "";
  const decoder = new TextDecoder();
  for (;;) {
    await Bun.sleep(pollMs);
    const size = existsSync(path) ? statSync(path).size : 0;
    if (size < offset) offset = 0;
    if (size === offset) continue;
    const file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - offset), 0, size - offset, offset);
    await file.close();
    offset += bytesRead;
    const text = rest + decoder.decode(buffer.subarray(0, bytesRead), { stream: true });
    const end = text.lastIndexOf("\n") + 1;
    rest = text.slice(end);
    if (end > 0) process.stdout.write(forPeople(tidy(text.slice(0, end), keepsColour)).replace(/^(?=.)/gm, prefix));
  }
}

/** Becomes tmux at this terminal. */
export async function attach(service: string | undefined, env: Env): Promise<number> {
  const { stateDir } = resolveHomes(env);
  const plan = readPlan(stateDir);
  if (plan === undefined) throw new ClutchError("failed", "nothing is up", { hint: "clutch up starts the services" });
  if (plan.stage === "detached") {
    throw new ClutchError("failed", "the services run without tmux, so there is nothing to attach to", {
      hint: "clutch logs -f shows what they say",
    });
  }
  const id = service ?? plan.services.find(({ isAdopted }) => !isAdopted)?.id;
  if (id !== undefined && id !== "supervisor" && !plan.services.some((known) => known.id === id)) {
    const ids = plan.services.map((known) => known.id);
    const near = nearest(id, ids);
    throw new ClutchError("usage", `"${id}" is not up`, {
      hint: near === undefined ? `up are ${ids.join(", ")}` : `did you mean ${near}?`,
    });
  }
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw new ClutchError("failed", "attach needs a terminal", { hint: "clutch logs shows what the services said" });
  }
  const file = findBinary("tmux", env);
  if (file === undefined)
    throw new ClutchError("failed", "tmux is not on PATH", { hint: "clutch logs works without it" });
  const term = chooseOuterTerm(env, (name) => isDescribed(name, env));
  const features = hasTrueColour(env) ? ["RGB"] : [];
  const argv = buildTmuxArgv({ file, socket: chainSocket(stateDir) }, buildAttachCommands(id), features);
  const child = Bun.spawn(argv, { env: buildTmuxEnv(env, term), stdio: ["inherit", "inherit", "inherit"] });
  return child.exited;
}
