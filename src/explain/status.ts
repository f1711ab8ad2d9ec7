/** What goes on in this home, as one report. Pure; who asks chain, gateway and ledgers is `commands/status.ts`. */

import type { DayTotals } from "../gateway/day-totals.ts";
import type { GatewayStatus } from "../gateway/status-report.ts";
import type { TierReport } from "../gateway/tier-status.ts";
import { agentNames, isAgentLetter } from "../launch-code.ts";
import { isTroubled, type Member, type MemberState } from "../lifecycle/chain/member.ts";
import type { ServiceType } from "../lifecycle/chain/services.ts";
import type { LaunchRecord } from "../lifecycle/launches.ts";
import type { BreakerReport } from "./breakers.ts";
import { asIso } from "./clock.ts";

/** `clutch status --json`; times are ISO 8601 in UTC. */
export interface StatusReport {
  /** Every enabled member is as it should be; what is absent, passive or switched off has no say in it. */
  healthy: boolean;
  services: ServiceReport[];
  /** What is not well beside the services themselves. */
  notes: string[];
  gateway: {
    url: string;
    /** Whether this home's gateway answers; if not, what it alone knows is null. */
    answers: boolean;
    reason: string | null;
    version: string | null;
    pid: number | null;
    started_at: string | null;
    draining: boolean | null;
    in_flight: number | null;
    problems: string[];
  };
  /** Null without a gateway. */
  tiers: TierReport[] | null;
  /** Models that are out of order or have begun to fail. */
  breakers: BreakerReport[];
  /** Providers, accounts, keys and pools. */
  domains: BreakerReport[];
  launches: LaunchReport[];
  /** Null where there is no ledger yet. */
  today: DayTotals | null;
  /** Where breakers, domains and today come from. */
  source: "gateway" | "ledger" | "nowhere";
}

export interface ServiceReport {
  id: string;
  name: string;
  type: ServiceType;
  state: MemberState;
  front: boolean;
  port: number | null;
  version: string | null;
  pid: number | null;
  started_at: string | null;
  uptime_seconds: number | null;
  restarts: number;
  detail: string;
  hint: string | null;
}

/** An agent that runs in the crash guard. */
export interface LaunchReport {
  id: string;
  /** The agent's letter in launch codes; null for another program. */
  agent: string | null;
  agent_name: string | null;
  code: string | null;
  command: string[];
  folder: string;
  pid: number | null;
  started_at: string;
  /** Whether a terminal shows it. */
  attached: boolean;
  /** By which the gateway's ledger knows it. */
  launch_id: string | null;
  session: string | null;
}

export interface RunningLaunch {
  record: LaunchRecord;
  isAttached: boolean;
}

/** What is known without a gateway. */
export interface LedgerView {
  breakers: BreakerReport[];
  domains: BreakerReport[];
  today: DayTotals;
}

export interface StatusInput {
  members: readonly Member[];
  /** Of the chain. */
  notes: readonly string[];
  gatewayUrl: string;
  gateway:
    | { ok: true; status: GatewayStatus }
    | { ok: false; reason: string; isForeign?: boolean; ledger: LedgerView | undefined };
  launches: readonly RunningLaunch[];
  /** Milliseconds since 1970. */
  now: number;
}

export function buildStatus(input: StatusInput): StatusReport {
  const { notes, gatewayUrl, gateway, launches, now } = input;
  const members = input.members.map((member) => (member.id === "gateway" ? judgeGateway(member, gateway) : member));
  const known = gateway.ok ? gateway.status : undefined;
  const view = gateway.ok ? gateway.status : gateway.ledger;
  return {
    healthy: !members.some(isTroubled),
    services: members.map((member) => reportMember(member, now)),
    notes: [...notes],
    gateway: {
      url: gatewayUrl,
      answers: gateway.ok,
      reason: gateway.ok ? null : gateway.reason,
      version: known?.version ?? null,
      pid: known?.pid ?? null,
      started_at: known?.started_at ?? null,
      draining: known?.draining ?? null,
      in_flight: known?.in_flight ?? null,
      problems: known?.problems ?? [],
    },
    tiers: known?.tiers ?? null,
    breakers: view?.breakers ?? [],
    domains: view?.domains ?? [],
    launches: launches.map(reportLaunch),
    today: view?.today ?? null,
    source: gateway.ok ? "gateway" : view === undefined ? "nowhere" : "ledger",
  };
}

/** It tells by itself what nobody has written down of one that `clutch up` has not started; and whose it is. */
function judgeGateway(member: Member, gateway: StatusInput["gateway"]): Member {
  if (gateway.ok) {
    const { version, pid, started_at } = gateway.status;
    const startedAtMs = member.startedAtMs ?? Date.parse(started_at);
    return { ...member, version: member.version ?? version, pid: member.pid ?? pid, startedAtMs };
  }
  if (gateway.isForeign !== true || member.state !== "ready") return member;
  return { ...member, state: "foreign", detail: gateway.reason, hint: "give this home another server.port" };
}

function reportMember(member: Member, now: number): ServiceReport {
  const { id, name, type, state, isFront, port, version, pid, startedAtMs, restarts, detail, hint } = member;
  return {
    id,
    name,
    type,
    state,
    front: isFront,
    port: port ?? null,
    version: version ?? null,
    pid: pid ?? null,
    started_at: asIso(startedAtMs),
    uptime_seconds: startedAtMs === undefined ? null : Math.max(0, Math.round((now - startedAtMs) / 1000)),
    restarts,
    detail,
    hint: hint ?? null,
  };
}

function reportLaunch({ record, isAttached }: RunningLaunch): LaunchReport {
  const { id, agent, code, command, cwd, pid, startedAtMs, launchId, session } = record;
  return {
    id,
    agent: agent ?? null,
    agent_name: agent !== undefined && isAgentLetter(agent) ? agentNames[agent] : null,
    code: code ?? null,
    command: [...command],
    folder: cwd,
    pid: pid ?? null,
    started_at: new Date(startedAtMs).toISOString(),
    attached: isAttached,
    launch_id: launchId ?? null,
    session: session ?? null,
  };
}
