/** Where Clutch keeps things (XDG, or all in one folder with CLUTCH_HOME). Pure: nothing is created here. */

import { ClutchError } from "../errors.ts";

export interface Homes {
  configFile: string;
  /** By CLUTCH_CONFIG: then it has to be there. */
  isConfigNamed: boolean;
  /** The predecessor's file, read when ours is absent; none under CLUTCH_HOME. */
  legacyConfigFile: string | undefined;
  /** Logs, sockets, locks, generated agent settings. */
  stateDir: string;
  database: string;
  cacheDir: string;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** @throws {ClutchError} `usage` without HOME, unless CLUTCH_HOME or every XDG variable is set */
export function resolveHomes(env: Env): Homes {
  const configFile = absolute(env["CLUTCH_CONFIG"]);
  const isConfigNamed = configFile !== undefined;
  const own = absolute(env["CLUTCH_HOME"]);
  if (own !== undefined) {
    return {
      configFile: configFile ?? `${own}/config.json`,
      isConfigNamed,
      legacyConfigFile: undefined,
      stateDir: `${own}/state`,
      database: `${own}/clutch.db`,
      cacheDir: `${own}/cache`,
    };
  }
  const home = env["HOME"] || undefined;
  const xdg = (name: string, fallback: string) => {
    const value = env[name];
    if (value?.startsWith("/")) return trimSlash(value);
    if (home !== undefined) return `${home}/${fallback}`;
    throw new ClutchError("usage", `neither HOME nor ${name} is set, so there is no place for Clutch's files`, {
      hint: "set HOME, or CLUTCH_HOME to a folder for all of them",
    });
  };
  return {
    configFile: configFile ?? `${xdg("XDG_CONFIG_HOME", ".config")}/clutch/config.json`,
    isConfigNamed,
    legacyConfigFile: configFile === undefined && home !== undefined ? `${home}/.xx/config.json` : undefined,
    stateDir: `${xdg("XDG_STATE_HOME", ".local/state")}/clutch`,
    database: `${xdg("XDG_DATA_HOME", ".local/share")}/clutch/clutch.db`,
    cacheDir: `${xdg("XDG_CACHE_HOME", ".cache")}/clutch`,
  };
}

/** Relative CLUTCH_* paths are taken from the current folder (relative XDG ones are ignored, as their specification says). */
function absolute(path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  return path.startsWith("/") ? trimSlash(path) : trimSlash(`${process.cwd()}/${path}`);
}

function trimSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
