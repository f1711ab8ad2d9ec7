/** `clutch chain ...`: shows the services of the chain, checks them, and edits them in the config file. */

import { type ConfigEdit, editConfig } from "../src/config/edit.ts";
import { readConfigFile } from "../src/config/file.ts";
import { type Env, resolveHomes } from "../src/config/paths.ts";
import { parseConfig } from "../src/config/schema.ts";
import { ClutchError } from "../src/errors.ts";
import { findBinary } from "../src/find-binary.ts";
import {
  type ChainPlan,
  type ChainRequest,
  checkChain,
  planChainChange,
  type Target,
} from "../src/lifecycle/chain/change.ts";
import { describeRow, listChain, renderChain } from "../src/lifecycle/chain/list.ts";
import type { ServiceConfig } from "../src/lifecycle/chain/services.ts";
import {
  checkCommand,
  parseSetting,
  readNeeds,
  readOrder,
  readPath,
  readPort,
  readSeconds,
} from "../src/lifecycle/chain/setting.ts";
import { lookAtPort, validateChain } from "../src/lifecycle/chain/validate.ts";
import { paint } from "./paint.ts";
import { renderDiff } from "./render-diff.ts";

export interface EditFlags {
  dryRun?: boolean;
  json?: boolean;
}

/** @returns the exit status */
export async function listServicesOf(flags: { json?: boolean }, env: Env): Promise<number> {
  const { config, path } = await read(env);
  const rows = listChain(config, isFoundIn(env));
  if (flags.json) console.log(JSON.stringify({ path: path ?? null, services: rows.map(describeRow) }));
  else console.log(renderChain(rows, paint));
  return 0;
}

/** @returns 0 when the chain can be started here, 3 when something is in the way */
export async function validateServices(flags: { json?: boolean }, env: Env): Promise<number> {
  const { config, path } = await read(env);
  const isRoot = process.getuid?.() === 0;
  const findings = await validateChain(config, { env, isFound: isFoundIn(env), lookAtPort, isRoot });
  const isValid = findings.every(({ kind }) => kind === "note");
  if (flags.json) {
    const shown = findings.map(({ id, hint, ...rest }) => ({ ...rest, service: id, hint: hint ?? null }));
    console.log(JSON.stringify({ valid: isValid, path: path ?? null, findings: shown }));
  } else {
    for (const { kind, id, text, hint } of findings) {
      const word = kind === "problem" ? paint.bad("problem") : paint.dim("note   ");
      console.log(`${word}  ${id}: ${text}${hint === undefined ? "" : paint.dim(` (${hint})`)}`);
    }
    console.log(isValid ? paint.good("the chain can be started") : "the chain cannot be started as a whole");
  }
  return isValid ? 0 : 3;
}

/** @returns the exit status */
export function switchService(id: string, isOn: boolean, flags: EditFlags, env: Env): Promise<number> {
  return edit({ kind: isOn ? "enable" : "disable", id }, flags, env);
}

export interface MoveFlags extends EditFlags {
  before?: string;
  after?: string;
}

/** @returns the exit status */
export async function moveService(
  id: string,
  position: string | undefined,
  flags: MoveFlags,
  env: Env,
): Promise<number> {
  const { before, after } = flags;
  const targets: Target[] = [];
  if (before !== undefined) targets.push({ before });
  if (after !== undefined) targets.push({ after });
  if (position !== undefined) targets.push({ position: Number(position) });
  const [to] = targets;
  if (to === undefined || targets.length > 1) {
    throw new ClutchError("usage", targets.length === 0 ? `where is ${id} to go` : `${id} can go to one place`, {
      hint: "give one of --before <service>, --after <service>, or a position from 1 on",
    });
  }
  return edit({ kind: "move", id, to }, flags, env);
}

export interface SetFlags extends EditFlags {
  unset?: string[];
}

/** @returns the exit status */
export function setService(id: string, assignments: readonly string[], flags: SetFlags, env: Env): Promise<number> {
  return edit({ kind: "set", id, assignments, unset: flags.unset ?? [] }, flags, env);
}

export interface AddFlags extends EditFlags {
  port?: string;
  name?: string;
  needs?: string;
  env?: string[];
  healthPath?: string;
  readySeconds?: string;
  order?: string;
  front?: boolean;
  disabled?: boolean;
}

/** @returns the exit status */
export async function addService(id: string, command: readonly string[], flags: AddFlags, env: Env): Promise<number> {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(id)) {
    throw new ClutchError("usage", `"${id}" is no id`, {
      hint: "use lower-case letters, digits and hyphens, up to 32",
    });
  }
  const example = `clutch chain add ${id} --port 9000 -- my-server --port 9000`;
  if (command.length === 0) throw new ClutchError("usage", `${id} has no command`, { hint: example });
  if (flags.port === undefined) throw new ClutchError("usage", `${id} has no port`, { hint: example });
  const entry: ServiceConfig = {
    id,
    ...(flags.name !== undefined && { name: flags.name }),
    ...(flags.disabled && { enabled: false }),
    port: readPort(flags.port),
    command: checkCommand([...command]),
    ...(flags.needs !== undefined && { needs: readNeeds(flags.needs) }),
    ...(flags.env !== undefined && { env: readEnv(flags.env) }),
    ...(flags.front && { front: true }),
    ...(flags.order !== undefined && { order: readOrder(flags.order) }),
    ...(flags.healthPath !== undefined && { health_path: readPath(flags.healthPath) }),
    ...(flags.readySeconds !== undefined && { ready_seconds: readSeconds(flags.readySeconds) }),
  };
  const [program = ""] = command;
  const notes = isFoundIn(env)(program) ? [] : [`${program} is not on PATH here`];
  return edit({ kind: "add", entry }, flags, env, notes);
}

function readEnv(assignments: readonly string[]): Record<string, string> {
  const settings = assignments.map((text) => parseSetting(`env.${text}`, { id: "" }));
  return Object.fromEntries(settings.map(({ key, value }) => [key.slice(4), String(value)]));
}

/** @returns the exit status */
export function removeService(id: string, flags: EditFlags, env: Env): Promise<number> {
  return edit({ kind: "remove", id }, flags, env);
}

async function edit(request: ChainRequest, flags: EditFlags, env: Env, notes: readonly string[] = []): Promise<number> {
  let plan: ChainPlan = { changes: [], summary: "", notes: [] };
  const done = await editConfig({
    homes: resolveHomes(env),
    plan: ({ value, path, isLegacy }) => {
      plan = planChainChange(parseConfig(value, path, isLegacy), request);
      return plan.changes;
    },
    check: checkChain,
    isDryRun: flags.dryRun === true,
  });
  const id = request.kind === "add" ? request.entry.id : request.id;
  const told = [...(done.isChanged ? [...plan.notes, ...notes] : [])];
  if (done.isChanged && done.isLegacy) told.push(`${done.path} is the predecessor's file, which is in force here`);
  // Removing a default that is not there makes no difference either.
  const summary = done.isChanged || plan.changes.length === 0 ? plan.summary : `${id} has this already`;
  if (flags.json) {
    const { path, isChanged, isNew, diff } = done;
    console.log(
      JSON.stringify({
        action: request.kind,
        service: id,
        changed: isChanged,
        dry_run: flags.dryRun === true,
        created: isChanged && isNew,
        path,
        summary,
        notes: told,
        diff,
      }),
    );
    return 0;
  }
  report(done, flags.dryRun && done.isChanged ? `would be done: ${summary}` : summary, told, flags);
  return 0;
}

function report(done: ConfigEdit, summary: string, notes: readonly string[], flags: EditFlags): void {
  if (done.isChanged) console.log(renderDiff(done.diff));
  console.log(done.isChanged ? paint.bold(summary) : `${summary}: nothing to do`);
  for (const note of notes) console.error(`clutch: ${note}`);
  if (done.isChanged && !flags.dryRun) console.log(paint.dim("in force from the next clutch up"));
}

async function read(env: Env) {
  const homes = resolveHomes(env);
  const { path, legacy, value } = await readConfigFile(homes);
  return { path, config: parseConfig(value, path ?? homes.configFile, legacy) };
}

function isFoundIn(env: Env): (program: string) => boolean {
  return (program) => findBinary(program, env) !== undefined;
}
