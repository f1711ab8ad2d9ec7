/** What starts at login, and how systemd and launchd are told so. Pure. */

import type { Env } from "../../config/paths.ts";
import { ClutchError } from "../../errors.ts";

/** The whole chain by `clutch up`, or the gateway alone, which the manager then keeps running itself. */
export type LoginKind = "chain" | "gateway";

export interface LoginService {
  kind: LoginKind;
  /** Of the unit or the label, without a suffix. */
  name: string;
  /** This program, by its absolute path. */
  command: readonly string[];
  env: Readonly<Record<string, string>>;
  /** The chain without tmux, which is not here. */
  isDetached: boolean;
  /** Where launchd, which has no journal, puts what it prints. */
  logFile: string;
}

const descriptions = {
  chain: "Clutch: the gateway and the services around it",
  gateway: "Clutch: the gateway",
} as const;

/** What says where Clutch keeps its things and where it listens. Keys are no part of it: a unit is there to be read. */
const carried = [
  "CLUTCH_HOME",
  "CLUTCH_CONFIG",
  "CLUTCH_HOST",
  "CLUTCH_PORT",
  "CLUTCH_LOG",
  "XDG_CONFIG_HOME",
  "XDG_STATE_HOME",
  "XDG_DATA_HOME",
  "XDG_CACHE_HOME",
];
const paths = /^(CLUTCH_HOME|CLUTCH_CONFIG)$/;

/**
 * The environment that is written down: where things are, and a PATH by which the members of the chain are found, for a login
 * service has read no `.zshrc`. Folders of it that are not absolute, or hold what is gone tomorrow, are left out.
 * @param cwd for a CLUTCH_HOME that is not absolute
 */
export function carryEnv(env: Env, cwd: string, isFolder: (path: string) => boolean): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of carried) {
    const value = env[name];
    if (value === undefined || value === "" || /[\r\n]/.test(value)) continue;
    if (name.startsWith("XDG_") && !value.startsWith("/")) continue;
    kept[name] = paths.test(name) && !value.startsWith("/") ? `${cwd}/${value}` : value;
  }
  const folders = (env["PATH"] ?? "").split(":").filter((folder) => {
    return folder.startsWith("/") && !isTemporary(folder) && !folder.endsWith("/node_modules/.bin") && isFolder(folder);
  });
  if (folders.length > 0) kept["PATH"] = [...new Set(folders)].join(":");
  return kept;
}

/** Cleaned up at a restart, if not before. */
export function isTemporary(path: string): boolean {
  return /^(\/private)?(\/var)?\/tmp\/|^\/(private\/)?var\/folders\/|^\/dev\/shm\/|^\/run\//.test(`${path}/`);
}

/** A home of its own gets a service of its own. */
export function nameService(kind: LoginKind, manager: "systemd" | "launchd", env: Env): string {
  const home = env["CLUTCH_HOME"] ?? "";
  const own = home === "" ? "" : `-${new Bun.CryptoHasher("sha256").update(home).digest("hex").slice(0, 8)}`;
  if (manager === "launchd") return `clutch.${kind}${own}`;
  return `${kind === "chain" ? "clutch" : "clutch-gateway"}${own}`;
}

function startWords({ kind, isDetached }: LoginService): string[] {
  if (kind === "gateway") return ["serve"];
  return ["up", ...(isDetached ? ["--detach"] : [])];
}

/** @throws {ClutchError} `failed` for a path that no unit can hold */
export function renderUnit(service: LoginService): string {
  const { kind, command, env } = service;
  // systemd (252) takes no program whose path has a quote or a backslash in it; env starts it all the same.
  const program = /['"\\]/.test(command[0] ?? "") ? ["/usr/bin/env", ...command] : command;
  const start = (last: readonly string[]) => [...program, ...last].map(quoteWord).join(" ");
  const settings =
    kind === "chain"
      ? [
          "Type=oneshot",
          "RemainAfterExit=yes",
          `ExecStart=${start(startWords(service))}`,
          `ExecStop=${start(["down"])}`,
          // It ends with 1 when one service is not well. A unit whose start has failed, or takes too long, is ended with
          // all that it has started, and the gateway must not go because a service beside it did not come.
          "SuccessExitStatus=1",
          "TimeoutStartSec=infinity",
          "TimeoutStopSec=90",
        ]
      : [
          "Type=exec",
          `ExecStart=${start(startWords(service))}`,
          "Restart=on-failure",
          "RestartSec=2",
          // A mistake in the config is not mended by trying again.
          "RestartPreventExitStatus=2",
          "KillSignal=SIGTERM",
          "KillMode=mixed",
          // It ends its streams first, for up to half a minute.
          "TimeoutStopSec=45",
        ];
  return [
    "# Written by clutch service install; clutch service uninstall takes it away again.",
    "[Unit]",
    `Description=${descriptions[kind]}`,
    "StartLimitIntervalSec=300",
    "StartLimitBurst=5",
    "",
    "[Service]",
    ...settings,
    "UMask=0077",
    ...Object.entries(env).map(([name, value]) => `Environment=${quote(`${name}=${value}`)}`),
    "",
    "[Install]",
    "WantedBy=default.target",
    "",
  ].join("\n");
}

/** A word of a command line: variables are not to be taken out of it, but for the program, in which there are none. */
function quoteWord(word: string, index: number): string {
  const literal = index === 0 ? word : word.replaceAll("$", "$$$$");
  return /^[\w@+=:,./-]+$/.test(literal) ? literal : quote(literal);
}

function quote(text: string): string {
  if (/[\r\n]/.test(text)) {
    throw new ClutchError("failed", `${JSON.stringify(text)} cannot stand in a unit`, {
      hint: "move it to another folder",
    });
  }
  return `"${text.replaceAll("%", "%%").replace(/["\\]/g, "\\$&")}"`;
}

/** As `plutil -lint` wants it. */
export function renderPlist(service: LoginService): string {
  const { kind, name, command, env, logFile } = service;
  const argv = [...command, ...startWords(service)];
  const life: PlistValue =
    kind === "chain"
      ? // What it started goes on when `clutch up` is done.
        { AbandonProcessGroup: true }
      : { KeepAlive: { SuccessfulExit: false }, ThrottleInterval: 5, ExitTimeOut: 45 };
  const value: PlistValue = {
    Label: name,
    ProgramArguments: argv,
    RunAtLoad: true,
    ...(life as Record<string, PlistValue>),
    ...(Object.keys(env).length > 0 && { EnvironmentVariables: { ...env } }),
    Umask: 0o077,
    StandardOutPath: logFile,
    StandardErrorPath: logFile,
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    "<!-- Written by clutch service install; clutch service uninstall takes it away again. -->",
    '<plist version="1.0">',
    renderPlistValue(value, ""),
    "</plist>",
    "",
  ].join("\n");
}

type PlistValue = string | number | boolean | readonly string[] | { [key: string]: PlistValue };

function renderPlistValue(value: PlistValue, indent: string): string {
  const inner = `${indent}  `;
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  if (typeof value === "number") return `${indent}<integer>${value}</integer>`;
  if (typeof value === "string") return `${indent}<string>${escapeXml(value)}</string>`;
  if (Array.isArray(value)) {
    return [`${indent}<array>`, ...value.map((item) => renderPlistValue(item, inner)), `${indent}</array>`].join("\n");
  }
  const members = Object.entries(value).flatMap(([key, member]) => [
    `${inner}<key>${escapeXml(key)}</key>`,
    renderPlistValue(member, inner),
  ]);
  return [`${indent}<dict>`, ...members, `${indent}</dict>`].join("\n");
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
