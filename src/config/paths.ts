/** Where Clutch keeps things (XDG, or all in one folder with CLUTCH_HOME). Pure: nothing is created here. */

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

/** @param env HOME must be set unless CLUTCH_HOME or every XDG variable is */
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
  const home = env["HOME"] ?? "/";
  const xdg = (name: string, fallback: string) => {
    const value = env[name];
    return value?.startsWith("/") ? trimSlash(value) : `${home}/${fallback}`;
  };
  return {
    configFile: configFile ?? `${xdg("XDG_CONFIG_HOME", ".config")}/clutch/config.json`,
    isConfigNamed,
    legacyConfigFile: configFile === undefined ? `${home}/.xx/config.json` : undefined,
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
