/** Whether the chain could be started here: programs, ports, variables. Looks, and starts nothing. */

import type { Env } from "../../config/paths.ts";
import type { Config } from "../../config/schema.ts";
import { fetchDirectly } from "../../loopback-direct.ts";
import { describePortHolder, isListening } from "../port-holder.ts";
import { type ChainRow, listChain, programOf } from "./list.ts";
import type { Service } from "./services.ts";

export interface Finding {
  /** A problem keeps `clutch up` from starting the service; a note does not. */
  kind: "problem" | "note";
  /** The service. */
  id: string;
  text: string;
  hint: string | undefined;
}

export interface ValidateWorld {
  env: Env;
  isFound(program: string): boolean;
  /** Who listens there, and what it answers on the path: `none` where nothing listens. */
  lookAtPort(port: number, healthPath: string): Promise<PortLook>;
  isRoot: boolean;
}

export type PortLook = { kind: "none" } | { kind: "well" } | { kind: "held"; by: string; answer: string };

/** @throws {ClutchError} `config-invalid` for a chain that cannot be started whatever the machine */
export async function validateChain(config: Config, world: ValidateWorld): Promise<Finding[]> {
  const rows = listChain(config, world.isFound);
  const started = rows.filter(({ place }) => place !== undefined);
  const ports = await Promise.all(started.map(({ service }) => checkPort(service, world)));
  return started.flatMap((row, index) => [...checkRow(row, rows, world), ...(ports[index] ?? [])]);
}

function checkRow({ service, isBuiltIn }: ChainRow, rows: readonly ChainRow[], world: ValidateWorld): Finding[] {
  const { id } = service;
  const found: Finding[] = [];
  const program = programOf(service);
  if (program !== undefined && !world.isFound(program)) {
    found.push({
      // What is absent of Clutch's own members fails nothing: the chain goes on without it.
      kind: isBuiltIn && service.command.length === 0 ? "note" : "problem",
      id,
      text: `${program} is not ${program.startsWith("/") ? "there, or cannot be run" : "on PATH"}`,
      hint: isBuiltIn ? undefined : `install it, or clutch chain set ${id} command=/its/path`,
    });
  }
  for (const [name, value] of Object.entries(service.env)) {
    if (!value.startsWith("env:") || (world.env[value.slice(4)] ?? "") !== "") continue;
    const hint = `export ${value.slice(4)} before clutch up`;
    found.push({ kind: "note", id, text: `${name} is ${value}, which is not set here`, hint });
  }
  for (const need of service.needs) {
    const isStarted = rows.some((row) => row.service.id === need && row.place !== undefined);
    if (!isStarted) {
      found.push({ kind: "note", id, text: `it needs ${need}, which is off: it starts without it`, hint: undefined });
    }
  }
  return found;
}

async function checkPort({ id, port, healthPath }: Service, world: ValidateWorld): Promise<Finding[]> {
  if (port === undefined || port === 0) return [];
  const found: Finding[] = [];
  if (port < 1024 && !world.isRoot) {
    const hint = "give it one above 1023";
    found.push({ kind: "problem", id, text: `port ${port} is only for the administrator`, hint });
  }
  const look = await world.lookAtPort(port, healthPath);
  if (look.kind === "held") {
    const hint = `stop it, or clutch chain set ${id} port=...`;
    found.push({ kind: "problem", id, text: `port ${port} is taken by ${look.by}, which ${look.answer}`, hint });
  }
  return found;
}

const lookLimitMs = 500;

/** On this machine. */
export async function lookAtPort(port: number, healthPath: string): Promise<PortLook> {
  if (!(await isListening(port))) return { kind: "none" };
  let answer = `does not answer ${healthPath}`;
  try {
    const url = `http://127.0.0.1:${port}${healthPath}`;
    const response = await fetchDirectly(url, { signal: AbortSignal.timeout(lookLimitMs), redirect: "manual" });
    await response.body?.cancel();
    if (response.ok) return { kind: "well" };
    answer = `answers ${response.status} on ${healthPath}`;
  } catch {
    // It speaks something else, or nothing.
  }
  return { kind: "held", by: await describePortHolder(port), answer };
}
