/**
 * What Clutch knows of Headroom: how it is started so that it only compresses, what its health says of it, and what an
 * installed version can be told. Measured with 0.42.0; other versions are asked for their flags, not guessed.
 */

import type { Env } from "../../config/paths.ts";
import { askInstalled, flagsOf, isAnswered, recallInstalled } from "../../installed.ts";
import { exemptLoopback } from "../../loopback-direct.ts";
import type { MemberState } from "./member.ts";

/** Where Headroom listens unless `chain.services` says otherwise. */
export const headroomPort = 8787;

export interface HeadroomProgram {
  /** As it prints it, such as `0.42.0`; undefined when it did not say. */
  version: string | undefined;
  /** The flags of `headroom proxy`; empty when its help told nothing. */
  flags: ReadonlySet<string>;
}

/**
 * Starts it for `--version` and `proxy --help` once per version (about 2 s); the answer is kept in the cache folder under
 * the program's path, time and size.
 * @param file the program's absolute path
 */
export async function probeHeadroom(file: string, cacheDir: string, env: Env): Promise<HeadroomProgram> {
  const inquiry = { subcommands: [["proxy"]] };
  const known = recallInstalled(file, cacheDir);
  const installed = isAnswered(known, inquiry)
    ? known
    : await askInstalled(file, inquiry, cacheDir, { ...cleanEnv(env), HEADROOM_OFFLINE: "1" });
  return { version: installed.version, flags: flagsOf(installed, inquiry.subcommands) ?? new Set() };
}

export interface HeadroomStartInput {
  /** The program's absolute path. */
  file: string;
  /** Of `probeHeadroom`: an unknown flag ends it at once. */
  flags: ReadonlySet<string>;
  port: number;
  /** Without a trailing slash and without `/v1`. */
  gatewayUrl: string;
  env: Env;
  /** Where its tokenizer's tables are kept, so that they are fetched once and not after each boot; its own choice when left out. */
  tokenizerDir?: string;
}

/** How long it waits for an answer (s): a thinking model may take minutes. */
const requestTimeoutSeconds = 900;

/**
 * Everything is said twice where both ways exist: an unknown flag ends Headroom, an unknown variable is ignored, and some
 * versions ignore variables they document.
 */
export function buildHeadroomStart(input: HeadroomStartInput): { argv: string[]; env: Record<string, string> } {
  const { file, flags, port, gatewayUrl, tokenizerDir } = input;
  const wanted: readonly (readonly string[])[] = [
    ["--host", "127.0.0.1"],
    ["--port", String(port)],
    // Earlier turns stay as they are, byte for byte, so that the provider's prompt cache goes on hitting.
    ["--mode", "cache"],
    // Without it tools are injected that make it buffer streams (headroomlabs-ai/headroom#3266), and text is lost.
    ["--lossless"],
    ["--no-cache"],
    // Its own is 60 requests a minute for all agents together.
    ["--no-rate-limit"],
    // The cascade behind it is the one place where things are tried again.
    ["--retry-max-attempts", "1"],
    ["--request-timeout-seconds", String(requestTimeoutSeconds)],
    ["--no-telemetry"],
    // A poller that sends the client's credential to Anthropic.
    ["--no-subscription-tracking"],
    // A model of its own from Hugging Face.
    ["--disable-kompress"],
    ["--anthropic-api-url", gatewayUrl],
    ["--openai-api-url", gatewayUrl],
  ];
  return {
    argv: [file, "proxy", ...wanted.filter(([flag = ""]) => flags.has(flag)).flat()],
    env: {
      ...cleanEnv(input.env),
      HEADROOM_HOST: "127.0.0.1",
      HEADROOM_PORT: String(port),
      HEADROOM_MODE: "cache",
      HEADROOM_LOSSLESS: "1",
      HEADROOM_CACHE_ENABLED: "false",
      HEADROOM_RATE_LIMIT_ENABLED: "false",
      HEADROOM_RETRY_MAX_ATTEMPTS: "1",
      HEADROOM_REQUEST_TIMEOUT: String(requestTimeoutSeconds),
      HEADROOM_TELEMETRY: "off",
      HEADROOM_NO_SUBSCRIPTION_TRACKING: "1",
      HEADROOM_DISABLE_KOMPRESS: "1",
      // Hosted tools that other providers than the vendor refuse.
      HEADROOM_TOOL_SEARCH: "0",
      // No beacon, no update check, no downloads of models; what is compressed without loss needs none.
      HEADROOM_OFFLINE: "1",
      // The first request waits for its tokenizer's table, 10 s by default; the gateway waits for 3.
      HEADROOM_TIKTOKEN_LOAD_TIMEOUT_SECONDS: "2",
      ...(tokenizerDir === undefined ? {} : { TIKTOKEN_CACHE_DIR: tokenizerDir }),
      ANTHROPIC_TARGET_API_URL: gatewayUrl,
      OPENAI_TARGET_API_URL: gatewayUrl,
      PYTHONUNBUFFERED: "1",
      NO_COLOR: "1",
    },
  };
}

/** What a Python program needs of the user's environment. No keys, and none of Headroom's own switches. */
const kept = [
  "HOME",
  "USER",
  "LOGNAME",
  "PATH",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "REQUESTS_CA_BUNDLE",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
  // Where it keeps its own history.
  "HEADROOM_WORKSPACE_DIR",
  "HEADROOM_CONFIG_DIR",
] as const;

/** The gateway is on this machine: a proxy of the user's must not come between. */
function cleanEnv(env: Env): Record<string, string> {
  const own = kept.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
  return { ...(Object.fromEntries(own) as Record<string, string>), ...exemptLoopback(env) };
}

export interface HeadroomVerdict {
  state: Extract<MemberState, "ready" | "starting" | "unhealthy" | "foreign">;
  version: string | undefined;
  /** One line. */
  detail: string;
  hint: string | undefined;
}

const upgrade = "uv tool upgrade headroom-ai (or pipx upgrade headroom-ai), then clutch restart headroom";

/** Versions that harm, by what they do. */
const badVersions: Readonly<Record<string, string>> = {
  "0.35.0": "answers streams with nothing in them (headroomlabs-ai/headroom#3266)",
  "0.37.0": "changes earlier turns, so that prompt caches are lost",
};

/** What a version is known to do wrong, and the next step; undefined for one that may be started. */
export function describeHarm(version: string | undefined): { why: string; hint: string } | undefined {
  const harm = version === undefined ? undefined : badVersions[version];
  return harm === undefined ? undefined : { why: `version ${version} ${harm}`, hint: upgrade };
}

/** The same of an installed one, as far as it has been asked before. @param file the program's absolute path */
export function recallHarm(file: string, cacheDir: string): { why: string; hint: string } | undefined {
  return describeHarm(recallInstalled(file, cacheDir)?.version);
}

/**
 * By what `/health` says of itself; it answers 200 whatever its state.
 * @param health the parsed body; undefined for an answer that is no JSON
 */
export function judgeHeadroom(health: unknown, gatewayUrl: string): HeadroomVerdict {
  const body = asObject(health);
  if (body["service"] !== "headroom-proxy") {
    return {
      state: "foreign",
      version: undefined,
      detail: "what answers is not Headroom",
      hint: "free the port, or give Headroom another in chain.services",
    };
  }
  const version = asText(body["version"]);
  const verdict = (state: HeadroomVerdict["state"], detail: string, hint?: string): HeadroomVerdict => ({
    state,
    version,
    detail,
    hint,
  });
  const config = asObject(body["config"]);
  const deployment = describeDeployment(body["deployment"]);
  const targets = [config["anthropic_api_url"], config["openai_api_url"]];
  const elsewhere = targets.find((target) => typeof target === "string" && !isSame(target, gatewayUrl));
  if (elsewhere !== undefined) {
    return verdict(
      "foreign",
      `it sends to ${elsewhere}, not to the gateway${deployment}`,
      deployment === "" ? "stop it, and clutch up starts one that does" : "headroom install remove ends it",
    );
  }
  const checks = asObject(body["checks"]);
  if (asObject(checks["startup"])["ready"] === false) return verdict("starting", "it is starting");
  if (body["status"] !== "healthy")
    return verdict("unhealthy", `it is ${describeTrouble(body, checks)}`, "clutch logs headroom");
  if (!targets.every((target) => typeof target === "string")) {
    return verdict("unhealthy", `it does not say where it sends to${deployment}`, upgrade);
  }
  const harm = describeHarm(version);
  if (harm !== undefined) return verdict("unhealthy", harm.why, harm.hint);
  const left = [
    config["cache"] === true ? "its answer cache" : "",
    config["rate_limit"] === true ? "its own rate limit" : "",
  ].filter((name) => name !== "");
  const on = left.length === 0 ? "" : `, with ${left.join(" and ")} left on`;
  return verdict(
    "ready",
    `sends to the gateway${on}${deployment}`,
    on === "" ? undefined : "clutch restart headroom starts it without",
  );
}

/** `headroom install` manages it; then it is the user's, and `clutch down` leaves it alone. */
function describeDeployment(deployment: unknown): string {
  if (typeof deployment !== "object" || deployment === null) return "";
  const { profile, supervisor } = deployment as Record<string, unknown>;
  const told = [profile, supervisor].filter((word) => typeof word === "string" && word !== "");
  return ` (run by headroom install${told.length === 0 ? "" : `: ${told.join(", ")}`}, not by Clutch)`;
}

/** Such as `unhealthy (upstream: connection refused)`: what is switched off is not unwell. */
function describeTrouble(body: Record<string, unknown>, checks: Record<string, unknown>): string {
  const status = asText(body["status"]) ?? "unhealthy";
  const bad = Object.entries(checks).find(([, check]) => asObject(check)["ready"] === false);
  if (bad === undefined) return status;
  const [name, check] = bad;
  const { error, status: state } = asObject(check);
  return `${status} (${name}: ${asText(error) ?? asText(state) ?? "not ready"})`;
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** Only what may be shown in one line. */
function asText(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  return value.replace(/\s+/g, " ").slice(0, 200);
}

/** `localhost` and a trailing `/v1` make no difference. */
function isSame(one: string, other: string): boolean {
  const plain = (url: string) => url.replace(/(\/v1)?\/*$/, "").replace("://localhost", "://127.0.0.1");
  return plain(one) === plain(other);
}
