/** The effective config: flag > environment > file > default. */

import { statSync } from "node:fs";
import { ClutchError } from "../errors.ts";
import { readConfigFile } from "./file.ts";
import type { Env, Homes } from "./paths.ts";
import { type Config, keysWithoutEffect, parseConfig } from "./schema.ts";

export interface LoadedConfig {
  config: Config;
  /** Undefined when there is no file. */
  path: string | undefined;
  /** One line each, for the person who starts the gateway. */
  notices: string[];
}

export interface ServerFlags {
  host?: string;
  port?: string;
}

/** @throws {ClutchError} `config-unreadable`, `config-invalid`, or `usage` for a flag or variable that is no port */
export async function loadConfig(homes: Homes, env: Env, flags: ServerFlags = {}): Promise<LoadedConfig> {
  const raw = await readConfigFile(homes);
  const config = parseConfig(raw.value, raw.path ?? homes.configFile, raw.legacy);
  const notices: string[] = [];
  const idle = keysWithoutEffect(raw.value);
  if (idle.length > 0) notices.push(`${raw.path}: accepted but not in force in this version: ${idle.join(", ")}`);
  const mode = raw.path === undefined ? 0 : modeOf(raw.path);
  if (holdsLiteralKey(config) && (mode & 0o077) !== 0) {
    notices.push(`${raw.path} holds a key and others can read it: chmod 600 ${raw.path}`);
  }
  // The group is often the user's alone.
  if ((mode & 0o002) !== 0) {
    notices.push(`${raw.path} can be changed by everybody, who could name commands in it: chmod o-w ${raw.path}`);
  }
  const host = flags.host ?? nonEmpty(env["CLUTCH_HOST"]);
  const port = flags.port ?? nonEmpty(env["CLUTCH_PORT"]);
  if (host !== undefined) config.server.host = host;
  if (port !== undefined) config.server.port = parsePort(port, flags.port === undefined ? "CLUTCH_PORT" : "--port");
  return { config, path: raw.path, notices };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function parsePort(text: string, source: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65535) return port;
  throw new ClutchError("usage", `${source} is "${text}", which is no port`, {
    hint: "give a number from 0 (any free one) to 65535",
  });
}

/** Rather than where a key is to be found. */
export function holdsLiteralKey(config: Config): boolean {
  return Object.values(config.providers).some(({ api_key = "", api_keys = [], headers, query = {}, base_url = "" }) => {
    const named = Object.entries({ ...headers, ...query }).flatMap(([name, value]) =>
      /key|token|secret|passw|credential|auth|cookie/i.test(name) ? value : [],
    );
    const isLiteral = (key: string) => key !== "" && !/^(env|cmd):/.test(key);
    return [api_key, ...api_keys, ...named].some(isLiteral) || /^https?:\/\/[^/?#]+@/i.test(base_url);
  });
}

function modeOf(path: string): number {
  try {
    return statSync(path).mode & 0o777;
  } catch {
    return 0;
  }
}
