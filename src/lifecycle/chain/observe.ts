/** What is known of the chain's members now: what the supervisor wrote down, and what each answers when it is asked. */

import { findBinary } from "../../find-binary.ts";
import { describePortHolder } from "../port-holder.ts";
import { cliProxyProgram, probeCliProxy, readCliProxyKey } from "./cliproxyapi.ts";
import { recallHarm } from "./headroom.ts";
import { askHealth, type Verdict } from "./health.ts";
import type { Member } from "./member.ts";
import { isSameProcess } from "./processes.ts";
import { type ChainPlan, type ChainRecord, type Run, readPlan, readRecord } from "./record.ts";
import { listServices, readChainSettings, type Service } from "./services.ts";
import type { StartPlace } from "./starts.ts";

export interface ChainSight {
  /** In the order of their start. */
  members: Member[];
  /** What is not well beside the members, a line each. */
  notes: string[];
}

/** How long a member may take to answer (ms); all are asked at once. */
const probeLimitMs = 1_000;

/** @throws {ClutchError} `config-invalid` */
export async function observeChain(
  place: StartPlace,
  passive: (service: Service) => Promise<Member>,
): Promise<ChainSight> {
  const services = listServices(readChainSettings(place.config));
  const plan = readPlan(place.stateDir);
  const record = plan === undefined ? undefined : readRecord(place.stateDir);
  const members = await Promise.all(
    services.map((service) =>
      service.type === "cli_wrapper" ? passive(service) : observe(service, plan, record, place),
    ),
  );
  return { members, notes: describeChain(plan, record) };
}

/** Whether somebody watches over the services of the plan. */
export function isSupervised(record: ChainRecord | undefined): boolean {
  return record !== undefined && isSameProcess(record.supervisor.pid, record.supervisor.mark);
}

function describeChain(plan: ChainPlan | undefined, record: ChainRecord | undefined): string[] {
  if (plan === undefined) return [];
  return [
    ...(isSupervised(record) ? [] : ["nobody watches over the services: clutch up puts that right"]),
    ...(record?.logProblem === undefined ? [] : [record.logProblem]),
  ];
}

async function observe(
  service: Service,
  plan: ChainPlan | undefined,
  record: ChainRecord | undefined,
  place: StartPlace,
): Promise<Member> {
  const { id, name, type, port = 0, isFront } = service;
  const run = record?.runs.find((known) => known.id === id);
  const planned = plan?.services.find((known) => known.id === id);
  const base: Member = {
    id,
    name,
    type,
    state: "stopped",
    isFront,
    port,
    version: undefined,
    pid: undefined,
    startedAtMs: undefined,
    restarts: run?.restarts ?? 0,
    detail: "",
    hint: undefined,
  };
  if (!service.enabled && planned === undefined) return { ...base, state: "off", detail: "switched off in the config" };
  const verdict = await look(service, planned?.port ?? port, place);
  const isOurs = run?.pid !== undefined && isSameProcess(run.pid, run.pidMark);
  if (run !== undefined && run.state !== "adopted" && planned !== undefined) {
    return { ...base, ...describeRun(run, verdict, isOurs) };
  }
  return describeStranger(base, verdict, service, place);
}

/** What `/healthz` of CLIProxyAPI does not tell: whether it takes requests at all. */
async function look(service: Service, port: number, { stateDir, gatewayUrl }: StartPlace): Promise<Verdict> {
  const { id, healthPath, command } = service;
  const verdict = await askHealth({ id, port, healthPath }, gatewayUrl, probeLimitMs);
  if (id !== "cliproxyapi" || verdict.state !== "ready" || command.length > 0) return verdict;
  const { isReady, detail, hint } = await probeCliProxy(port, readCliProxyKey(stateDir), probeLimitMs);
  return { ...verdict, state: isReady ? "ready" : "unhealthy", detail, hint };
}

/** Pure. Of a service that the supervisor has in hand. */
export function describeRun(run: Run, verdict: Verdict, isOurs: boolean): Partial<Member> {
  const end = run.lastEnd === undefined ? "" : describeEnd(run.lastEnd);
  if (isOurs) {
    const facts = { pid: run.pid, startedAtMs: run.startedAtMs, version: verdict.version, detail: verdict.detail };
    if (verdict.state === "ready") return { ...facts, state: "ready" };
    if (run.readyAtMs === undefined && verdict.state === "silent") {
      return { ...facts, state: "starting", detail: "does not listen yet" };
    }
    const isNew = run.readyAtMs === undefined;
    return { ...facts, state: isNew ? "starting" : "unhealthy", hint: verdict.hint ?? seeLogs(run.id) };
  }
  if (run.state === "failed") {
    const hint = `${seeLogs(run.id)}; clutch restart ${run.id} tries again`;
    return { state: "failed", detail: `ended ${run.quickEnds} times, last ${end}`, hint };
  }
  if (run.state === "backoff")
    return { state: "restarting", detail: `ended (${end}), is started again`, hint: seeLogs(run.id) };
  if (run.state === "waiting") return { state: "starting", detail: "waits for what it needs", hint: undefined };
  return { state: "stopped", detail: end === "" ? "is being started" : `ended (${end})`, hint: "clutch up starts it" };
}

function seeLogs(id: string): string {
  return `clutch logs ${id} tells why`;
}

export function describeEnd({ code, signal }: { code: number | undefined; signal: string | undefined }): string {
  if (signal !== undefined) return `by SIG${signal}`;
  return code === undefined ? "nobody saw how" : `exit ${code}`;
}

/** Of a service that nobody of ours has started. */
async function describeStranger(base: Member, verdict: Verdict, service: Service, place: StartPlace): Promise<Member> {
  const { version, detail, state } = verdict;
  if (state === "silent") return { ...base, ...describeSilence(service, place) };
  const holder = await describePortHolder(base.port ?? 0);
  if (state === "foreign") {
    return {
      ...base,
      state,
      detail: `${detail}: ${holder} holds port ${base.port}`,
      hint: `end it, or give ${base.id} another port`,
    };
  }
  return {
    ...base,
    state,
    version,
    detail: `${detail}; ${holder}, not started by clutch up`,
    hint: verdict.hint,
  };
}

function describeSilence({ id, command, enabled }: Service, { env, cacheDir }: StartPlace): Partial<Member> {
  if (!enabled) return { state: "off", detail: "switched off in the config" };
  const program = command[0] ?? builtInPrograms[id];
  const file = program === undefined || program.startsWith("/") ? program : findBinary(program, env);
  const isThere = program === undefined || file !== undefined;
  const harm = id === "headroom" && command.length === 0 && file ? recallHarm(file, cacheDir) : undefined;
  if (harm !== undefined) return { state: "stopped", detail: `not started: ${harm.why}`, hint: harm.hint };
  if (isThere) return { state: "stopped", detail: "not running", hint: "clutch up starts it" };
  return command.length === 0
    ? { state: "absent", detail: `${program} is not installed`, hint: undefined }
    : { state: "stopped", detail: `its program ${program} is not there`, hint: "correct its command, or install it" };
}

/** What the members that Clutch knows are called on PATH. */
export const builtInPrograms: Readonly<Record<string, string>> = { headroom: "headroom", cliproxyapi: cliProxyProgram };
