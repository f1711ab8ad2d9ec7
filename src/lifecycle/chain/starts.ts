/** What each service is started by: its argv and its whole environment. */

import { catalog, findRow } from "../../../providers/catalog.ts";
import type { Env } from "../../config/paths.ts";
import type { Config } from "../../config/schema.ts";
import { findBinary } from "../../find-binary.ts";
import { ownCommand } from "../../own-command.ts";
import type { Json } from "../../protocols/chat.ts";
import { buildCliProxyStart, cliProxyProgram } from "./cliproxyapi.ts";
import { buildHeadroomStart, describeHarm, headroomPort, probeHeadroom } from "./headroom.ts";
import { gatherKeys, listNamedVariables } from "./keys.ts";
import { writePrivately } from "./record.ts";
import type { Service } from "./services.ts";

export interface StartPlace {
  stateDir: string;
  cacheDir: string;
  config: Config;
  /** Of the person who calls. */
  env: Env;
  /** Without a trailing slash. */
  gatewayUrl: string;
}

export type Start =
  | { kind: "ready"; argv: string[]; env: Record<string, string> }
  /** A member that is not installed here, which is nobody's fault. @property hint how to get it */
  | { kind: "absent"; program: string; hint: string }
  /** The installed version is known to do harm. @property why names it */
  | { kind: "harmful"; why: string; hint: string }
  /** The config names a program that is not there. */
  | { kind: "missing"; program: string };

/** What decides how a program runs here, and holds no credential of a provider. */
const plain = [
  /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|NO_COLOR|FORCE_COLOR)$/,
  /^XDG_[A-Z_]+$/,
  /^CLUTCH_(HOME|CONFIG|HOST|PORT|LOG)$/,
  /^(https?|all|no)_proxy$/i,
  /^(NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE)$/,
  // What the commands behind `cmd:` keys need to reach their agents.
  /^(SSH_AUTH_SOCK|GNUPGHOME|GPG_TTY|DBUS_SESSION_BUS_ADDRESS|PASSWORD_STORE_[A-Z_]+|DISPLAY|WAYLAND_DISPLAY)$/,
  /^(CUDA_[A-Z_]+|HIP_[A-Z_]+|LD_LIBRARY_PATH|VIRTUAL_ENV)$/,
];

export function plainEnv(env: Env): Record<string, string> {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && plain.some((pattern) => pattern.test(entry[0])),
  );
  return Object.fromEntries(entries);
}

/** @returns a function from a service to its start; the keys are gathered once */
export function prepareStarts(place: StartPlace): (service: Service) => Promise<Start> {
  const { config, env, stateDir } = place;
  const keys = gatherKeys(keyNames(config), env, stateDir);
  return async (service) => {
    const { id, command } = service;
    const base = { ...plainEnv(env), ...ownEnv(service, env, keys) };
    if (command.length > 0) return startOwn(command, base, env);
    if (id === "gateway")
      return startGateway(service, place, { ...plainEnv(env), ...keysOfToday(env), ...keys, ...base });
    if (id === "headroom") return startHeadroom(service, place, ownEnv(service, env, keys));
    return startCliProxy(service, place, base);
  };
}

function startCliProxy(
  { port = 0 }: Service,
  { env: callers, stateDir }: StartPlace,
  env: Record<string, string>,
): Start {
  const file = findBinary(cliProxyProgram, callers);
  if (file === undefined) {
    return { kind: "absent", program: cliProxyProgram, hint: "see https://github.com/router-for-me/CLIProxyAPI" };
  }
  const start = buildCliProxyStart({ file, stateDir, port });
  for (const { path, content } of start.files) writePrivately(path, content);
  return { kind: "ready", argv: start.argv, env: { ...env, ...start.env } };
}

function startOwn(command: readonly string[], env: Record<string, string>, callers: Env): Start {
  const [program = "", ...args] = command;
  const file = program.startsWith("/") ? program : findBinary(program, callers);
  if (file === undefined || Bun.which(file) === null) return { kind: "missing", program };
  return { kind: "ready", argv: [file, ...args], env };
}

function startGateway({ port }: Service, { config }: StartPlace, env: Record<string, string>): Start {
  const address = ["--host", config.server.host, "--port", String(port)];
  // Lifted here, the limit needs no second start of the program (see src/main.ts).
  const lifted = { BUN_CONFIG_MAX_HTTP_REQUESTS: "4096", ...env };
  return { kind: "ready", argv: [...ownCommand(), "serve", ...address], env: lifted };
}

async function startHeadroom(service: Service, place: StartPlace, env: Record<string, string>): Promise<Start> {
  const file = findBinary("headroom", place.env);
  if (file === undefined) {
    return { kind: "absent", program: "headroom", hint: 'uv tool install --python 3.12 "headroom-ai[proxy]"' };
  }
  const { flags, version } = await probeHeadroom(file, place.cacheDir, place.env);
  const harm = describeHarm(version);
  if (harm !== undefined) return { kind: "harmful", ...harm };
  const { port = headroomPort } = service;
  const { gatewayUrl, cacheDir } = place;
  const tokenizerDir = `${cacheDir}/tiktoken`;
  await (await import("./tokenizer-tables.ts")).writeTokenizerTables(tokenizerDir);
  const start = buildHeadroomStart({ file, flags, port, gatewayUrl, env: place.env, tokenizerDir });
  return { kind: "ready", argv: start.argv, env: { ...start.env, ...env } };
}

function ownEnv({ env }: Service, callers: Env, keys: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(env).flatMap(([name, value]): [string, string][] => {
    if (!value.startsWith("env:")) return [[name, value]];
    const named = callers[value.slice(4)] ?? keys[value.slice(4)];
    return named === undefined ? [] : [[name, named]];
  });
  return Object.fromEntries(entries);
}

/** What is kept for a start without a shell's environment: what the config names, and its providers' usual variables. */
export function keyNames(config: Config): string[] {
  const named = listNamedVariables(config as unknown as Json);
  const used = [config.default_provider, ...Object.keys(config.providers)];
  const usual = used.flatMap((id) => findRow(id)?.keyEnv ?? []);
  return [...new Set([...named, ...usual])].sort();
}

/** The usual variables of every provider that the caller has set: the gateway would see them if it were started by hand. */
function keysOfToday(env: Env): Record<string, string> {
  const names = Object.keys(catalog).flatMap((id) => findRow(id)?.keyEnv ?? []);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}
