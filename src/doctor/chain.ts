/** The chain's members, the ports, tmux and RTK: what is known of them, as findings. Pure. */

import { isTroubled, type Member } from "../lifecycle/chain/member.ts";
import type { RtkObservation } from "../lifecycle/chain/rtk.ts";
import { isNewEnough } from "../lifecycle/guard.ts";
import { maxSocketBytes } from "../lifecycle/tmux.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

export interface ChainState {
  members: readonly Member[];
  notes: readonly string[];
  /** `clutch up` was called since the machine's start. */
  isUp: boolean;
}

/** The gateway's own row is told by `judgeGateway`, RTK's by `judgeRtk`. */
export function judgeChain({ members, notes, isUp }: ChainState): Finding[] {
  const services = members.filter(({ id, type }) => id !== "gateway" && type === "http");
  const troubled = services.filter((member) => isTroubled(member));
  const findings = [
    ...notes.map((note) => warn("chain", note, "clutch up")),
    ...troubled.flatMap((member): Finding[] => {
      const { id, state, detail, hint, port } = member;
      if (state === "foreign") return [fail("ports", `port ${port} is not ${id}'s: ${detail}`, hint)];
      // Where nothing is up, nothing has to run.
      if (state === "stopped" && !isUp) return [];
      const words = `${id} is ${state}${detail === "" ? "" : `: ${detail}`}`;
      return [id === "headroom" ? warn("headroom", words, hint) : fail("chain", words, hint)];
    }),
  ];
  if (findings.some(({ area }) => area === "chain")) return findings;
  const ready = services.filter(({ state }) => state === "ready").map(({ id }) => id);
  const words = isUp ? `is up: ${["gateway", ...ready].join(", ")}` : "is not up: clutch up starts it";
  return [...findings, ok("chain", words)];
}

export type GatewaySight =
  | { kind: "ours"; version: string; problems: readonly string[] }
  | { kind: "other-home"; reason: string }
  /** It answers, and refuses what is asked of it. */
  | { kind: "closed"; reason: string }
  | { kind: "foreign"; answer: string; holder: string }
  /** Something listens and says nothing. */
  | { kind: "mute"; holder: string }
  | { kind: "none" };

export function judgeGateway(sight: GatewaySight, url: string, version: string, isUp: boolean): Finding[] {
  const port = new URL(url).port;
  const elsewhere = `end it, or give this home another port (server.port)`;
  switch (sight.kind) {
    case "ours":
      return [
        ...(sight.version === version
          ? [ok("gateway", `version ${version} serves on ${url}`)]
          : [
              warn(
                "gateway",
                `version ${sight.version} serves on ${url}, and this is ${version}`,
                "clutch restart gateway",
              ),
            ]),
        ...sight.problems.map((line) => warn("gateway", line, "clutch logs gateway tells more")),
      ];
    case "other-home":
      return [fail("ports", sight.reason, elsewhere)];
    case "closed":
      return [warn("gateway", sight.reason, "clutch restart gateway")];
    case "foreign":
      return [
        fail("ports", `${sight.holder} holds port ${port} and is no gateway (it answers ${sight.answer})`, elsewhere),
      ];
    case "mute":
      return [fail("ports", `${sight.holder} holds port ${port} and does not answer`, elsewhere)];
    case "none":
      return isUp
        ? [fail("gateway", `does not answer on ${url}`, "clutch logs gateway tells why; clutch up starts it")]
        : [ok("gateway", `does not run: clutch up, or the first xx, starts it on ${url}`)];
    default:
      return sight satisfies never;
  }
}

export function judgeRtk({ state, detail, hint, path, version }: RtkObservation): Finding[] {
  if (state === "impostor") return [fail("rtk", detail, hint)];
  if (state === "missing") return [ok("rtk", detail)];
  const words = `${version ?? "unknown version"} (${path}): ${detail}`;
  return [ok("rtk", `${words}; clutch doctor --rtk tries how it ends commands`)];
}

export interface TmuxSight {
  path: string | undefined;
  /** As it prints it, such as `3.3a`; undefined when it did not answer. */
  version: string | undefined;
  /** The longest of its sockets' paths. */
  socket: string;
  /** How it is installed here. */
  install: string;
}

export function judgeTmux({ path, version, socket, install }: TmuxSight): Finding[] {
  if (path === undefined) {
    return [
      warn("tmux", "is not on PATH: agents end with their terminal, and services run in the background", install),
    ];
  }
  if (version === undefined) return [fail("tmux", `${path} does not tell its version`, install)];
  if (!isNewEnough(version)) {
    return [warn("tmux", `${version} (${path}) is older than 3.2: agents end with their terminal`, install)];
  }
  if (Buffer.byteLength(socket) > maxSocketBytes) {
    return [fail("tmux", `${socket} is too long for a socket`, "choose a shorter CLUTCH_HOME or XDG_STATE_HOME")];
  }
  return [ok("tmux", `${version} (${path})`)];
}
