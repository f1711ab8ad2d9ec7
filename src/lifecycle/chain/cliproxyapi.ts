/**
 * CLIProxyAPI: how Clutch starts it and what its answers mean. It stands behind the gateway, as provider `cliproxy`; its
 * flags, its config's keys and its answers are those of v7.2.140 (docs/chain.md, part 3).
 */

import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Config } from "../../config/schema.ts";
import { ClutchError } from "../../errors.ts";
import { fetchDirectly } from "../../loopback-direct.ts";
import { builtInServices, listServices, readChainSettings, type Service } from "./services.ts";

export const cliProxyProgram = "cli-proxy-api";
const serviceId = "cliproxyapi";
/** Its row in the catalogue of providers. */
const providerId = "cliproxy";

export interface CliProxyPlace {
  /** The program's absolute path. */
  file: string;
  stateDir: string;
  port: number;
}

export interface CliProxyStart {
  /** With the program. */
  argv: string[];
  env: Record<string, string>;
  /** To be written before the start, whole or not at all. */
  files: { path: string; mode: 0o600; content: string }[];
}

/**
 * Only for the built-in start: a `command` of the user's own brings its own config file along.
 * @throws {ClutchError} `failed` when the key can neither be read nor made
 */
export function buildCliProxyStart({ file, stateDir, port }: CliProxyPlace): CliProxyStart {
  const path = `${stateDir}/chain/cliproxyapi.yaml`;
  const content = renderCliProxyConfig(port, readCliProxyKey(stateDir));
  return { argv: [file, "--config", path], env: {}, files: [{ path, mode: 0o600, content }] };
}

/** Pure. Its logins stay where its own `-claude-login` and the like have put them. */
export function renderCliProxyConfig(port: number, key: string): string {
  return `# Written by Clutch at each start. For a file of your own give chain.services a command:
#   clutch chain set cliproxyapi command="${cliProxyProgram} --config /path/of/yours.yaml"
host: "127.0.0.1"
port: ${port}
auth-dir: "~/.cli-proxy-api"
api-keys:
  - ${JSON.stringify(key)}
remote-management:
  allow-remote: false
  secret-key: ""
usage-statistics-enabled: false
# Clutch's own cascade decides what is tried again.
request-retry: 0
max-retry-interval: 0
streaming:
  keepalive-seconds: 15
  bootstrap-retries: 0
# The gateway reads the upstream's rate-limit headers.
passthrough-headers: true
`;
}

/** The key that the gateway and CLIProxyAPI share, made on first use and then kept. @throws {ClutchError} `failed` */
export function readCliProxyKey(stateDir: string): string {
  const folder = `${stateDir}/chain`;
  const path = `${folder}/cliproxyapi.key`;
  const draft = `${path}.${process.pid}`;
  try {
    const known = readKey(path);
    if (known !== undefined) return known;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const random = crypto.getRandomValues(new Uint8Array(24)).toBase64({ alphabet: "base64url" });
    writeFileSync(draft, `sk-clutch-local-${random}\n`, { mode: 0o600 });
    chmodSync(draft, 0o600);
    try {
      // Unlike a rename, a link never replaces the key of whoever was faster.
      linkSync(draft, path);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
      // One that holds nothing is what a full disk left behind.
      if (readKey(path) === undefined) writeFileSync(path, readFileSync(draft), { mode: 0o600 });
    } finally {
      rmSync(draft, { force: true });
    }
    return readKey(path) as string;
  } catch (cause) {
    throw new ClutchError("failed", `${path} cannot be kept (${(cause as NodeJS.ErrnoException).code})`, {
      hint: "check the owner and the space of that folder",
      cause,
    });
  }
}

function readKey(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim() || undefined;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw cause;
  }
}

/**
 * Gives provider `cliproxy` the key and the port of the service, so that the gateway reaches what the chain started. What the
 * config itself says of the provider stands, and so does everything where the service is off or has a command of its own.
 * @param keyOf called only where the key is wanted
 */
export function withCliProxyKey(config: Config, keyOf: () => string): Config {
  const service = findService(config);
  const own = config.providers[providerId];
  const isBuiltIn = service?.enabled === true && service.command.length === 0;
  const isAnswered = own?.api_key !== undefined || own?.api_keys !== undefined || own?.base_url !== undefined;
  if (!isBuiltIn || isAnswered) return config;
  const isMoved = service.port !== builtInServices.find(({ id }) => id === serviceId)?.port;
  const place = isMoved ? { base_url: `http://127.0.0.1:${service.port}/v1` } : {};
  const provider = { headers: {}, ...own, ...place, api_key: keyOf() };
  return { ...config, providers: { ...config.providers, [providerId]: provider } };
}

/** A chain that cannot be read is told by the commands that need it, not by every request. */
function findService(config: Config): Service | undefined {
  try {
    return listServices(readChainSettings(config)).find(({ id }) => id === serviceId);
  } catch {
    return undefined;
  }
}

export interface CliProxyHealth {
  isReady: boolean;
  detail: string;
  hint: string | undefined;
}

/** What one request to it brought; undefined where nothing answered. */
export interface CliProxyAnswer {
  status: number;
  body: string;
  isSafeMode: boolean;
}

/**
 * Pure. `/healthz` is well even where every other path answers 403, so that both have to be looked at.
 * @param health of `/healthz`
 * @param models of `/v1/models`, asked with our key; undefined where it was not asked
 */
export function judgeCliProxy(health: CliProxyAnswer | undefined, models: CliProxyAnswer | undefined): CliProxyHealth {
  if (health === undefined) return unwell("does not answer /healthz", undefined);
  if (health.status !== 200 || !/"status"\s*:\s*"ok"/.test(health.body)) {
    return unwell(`/healthz answers ${health.status}`, "clutch logs cliproxyapi");
  }
  if (models === undefined) return unwell("/healthz is well, /v1/models does not answer", "clutch logs cliproxyapi");
  if (models.isSafeMode || (models.status === 403 && models.body.includes("unsafe_example_api_key"))) {
    return unwell(
      "safe mode: its config still holds a template key, so it refuses every request",
      'replace "your-api-key-…" under api-keys in the config file that its command names, then: clutch restart cliproxyapi',
    );
  }
  if (models.status === 401) {
    return unwell("does not accept our key", `put one of its own api-keys into providers.${providerId}.api_key`);
  }
  if (models.status !== 200) return unwell(`/v1/models answers ${models.status}`, "clutch logs cliproxyapi");
  const count = countModels(models.body);
  if (count !== 0)
    return {
      isReady: true,
      detail: count === undefined ? "ok" : `${count} model${count === 1 ? "" : "s"}`,
      hint: undefined,
    };
  return {
    isReady: true,
    detail: "no model yet",
    hint: `log in: ${cliProxyProgram} -claude-login (or another -…-login)`,
  };
}

function unwell(detail: string, hint: string | undefined): CliProxyHealth {
  return { isReady: false, detail, hint };
}

function countModels(body: string): number | undefined {
  try {
    const { data } = JSON.parse(body) as { data?: unknown };
    return Array.isArray(data) ? data.length : undefined;
  } catch {
    return undefined;
  }
}

/** Asks and judges. @param limitMs for both requests together */
export async function probeCliProxy(
  port: number,
  key: string | undefined,
  limitMs: number,
  fetch: (url: string, init: RequestInit) => Promise<Response> = fetchDirectly,
): Promise<CliProxyHealth> {
  const signal = AbortSignal.timeout(limitMs);
  const ask = async (path: string, headers: Record<string, string>): Promise<CliProxyAnswer | undefined> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers, signal, redirect: "manual" });
      const isSafeMode = answer.headers.has("x-cpa-safe-mode");
      return { status: answer.status, body: await answer.text(), isSafeMode };
    } catch {
      return undefined;
    }
  };
  const [health, models] = await Promise.all([
    ask("/healthz", {}),
    ask("/v1/models", key === undefined ? {} : { authorization: `Bearer ${key}` }),
  ]);
  return judgeCliProxy(health, models);
}
