import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildHeadroomStart, judgeHeadroom, probeHeadroom } from "../../../src/lifecycle/chain/headroom.ts";

const gateway = "http://127.0.0.1:8082";
const root = mkdtempSync(join(tmpdir(), "clutch-headroom-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** All that 0.42.0 lists and Clutch uses. */
const allFlags = [
  "--host",
  "--port",
  "--mode",
  "--lossless",
  "--no-cache",
  "--no-rate-limit",
  "--retry-max-attempts",
  "--request-timeout-seconds",
  "--no-telemetry",
  "--no-subscription-tracking",
  "--disable-kompress",
  "--anthropic-api-url",
  "--openai-api-url",
];

describe("buildHeadroomStart()", () => {
  const start = (flags: readonly string[], env: Record<string, string> = {}) =>
    buildHeadroomStart({ file: "/opt/headroom", flags: new Set(flags), port: 8787, gatewayUrl: gateway, env });

  test("the whole command line of a version that has every flag", () => {
    expect(start(allFlags).argv.join(" ")).toBe(
      "/opt/headroom proxy --host 127.0.0.1 --port 8787 --mode cache --lossless --no-cache --no-rate-limit " +
        "--retry-max-attempts 1 --request-timeout-seconds 900 --no-telemetry --no-subscription-tracking " +
        `--disable-kompress --anthropic-api-url ${gateway} --openai-api-url ${gateway}`,
    );
  });

  test.each([
    ["an older version", ["--host", "--port", "--no-cache"], "--host 127.0.0.1 --port 8787 --no-cache"],
    ["a help that told nothing", [], ""],
    ["flags that Clutch does not use", ["--budget", "--learn"], ""],
  ])("%s gets only the flags it lists", (_what, flags, expected) => {
    expect(start(flags).argv).toEqual(["/opt/headroom", "proxy", ...expected.split(" ").filter((word) => word !== "")]);
  });

  test("the environment says the same, and holds nothing else of the user's", () => {
    const env = {
      HOME: "/home/somebody",
      PATH: "/usr/bin",
      OPENROUTER_API_KEY: "secret",
      ANTHROPIC_BASE_URL: "http://elsewhere",
      HEADROOM_MODE: "token",
      HEADROOM_TELEMETRY: "on",
      HEADROOM_MEMORY_ENABLED: "1",
      TMUX: "/tmp/socket,1,0",
      HTTPS_PROXY: "http://proxy:3128",
      NO_PROXY: "example.org",
    };
    expect(start([], env).env).toEqual({
      HOME: "/home/somebody",
      PATH: "/usr/bin",
      HTTPS_PROXY: "http://proxy:3128",
      NO_PROXY: "example.org,127.0.0.1,localhost,::1",
      no_proxy: "example.org,127.0.0.1,localhost,::1",
      HEADROOM_HOST: "127.0.0.1",
      HEADROOM_PORT: "8787",
      HEADROOM_MODE: "cache",
      HEADROOM_LOSSLESS: "1",
      HEADROOM_CACHE_ENABLED: "false",
      HEADROOM_RATE_LIMIT_ENABLED: "false",
      HEADROOM_RETRY_MAX_ATTEMPTS: "1",
      HEADROOM_REQUEST_TIMEOUT: "900",
      HEADROOM_TELEMETRY: "off",
      HEADROOM_NO_SUBSCRIPTION_TRACKING: "1",
      HEADROOM_DISABLE_KOMPRESS: "1",
      HEADROOM_TOOL_SEARCH: "0",
      HEADROOM_OFFLINE: "1",
      HEADROOM_TIKTOKEN_LOAD_TIMEOUT_SECONDS: "2",
      ANTHROPIC_TARGET_API_URL: gateway,
      OPENAI_TARGET_API_URL: gateway,
      PYTHONUNBUFFERED: "1",
      NO_COLOR: "1",
    });
  });
});

describe("judgeHeadroom()", () => {
  const ours = { anthropic_api_url: gateway, openai_api_url: gateway, cache: false, rate_limit: false };
  const health = (config: object | undefined, more: object = {}) => ({
    service: "headroom-proxy",
    status: "healthy",
    ready: true,
    version: "0.42.0",
    checks: { startup: { ready: true, status: "healthy", error: null } },
    config,
    ...more,
  });

  test.each<[what: string, health: unknown, state: string, detail: string, hint: string | undefined]>([
    ["it sends to the gateway", health(ours), "ready", "sends to the gateway", undefined],
    [
      "it names this machine otherwise",
      health({ ...ours, anthropic_api_url: "http://localhost:8082/", openai_api_url: `${gateway}/v1` }),
      "ready",
      "sends to the gateway",
      undefined,
    ],
    [
      "one target is not ours",
      health({ ...ours, openai_api_url: "https://api.openai.com/v1" }),
      "foreign",
      "it sends to https://api.openai.com/v1, not to the gateway",
      "stop it, and clutch up starts one that does",
    ],
    [
      "another gateway's",
      health({ ...ours, anthropic_api_url: "http://127.0.0.1:9082" }),
      "foreign",
      "it sends to http://127.0.0.1:9082, not to the gateway",
      "stop it, and clutch up starts one that does",
    ],
    [
      "headroom install's, sending elsewhere",
      health(
        { ...ours, anthropic_api_url: "https://api.anthropic.com" },
        { deployment: { profile: "claude", supervisor: "systemd" } },
      ),
      "foreign",
      "it sends to https://api.anthropic.com, not to the gateway (run by headroom install: claude, systemd, not by Clutch)",
      "headroom install remove ends it",
    ],
    [
      "headroom install's, sending to us",
      health(ours, { deployment: { profile: "claude" } }),
      "ready",
      "sends to the gateway (run by headroom install: claude, not by Clutch)",
      undefined,
    ],
    [
      "its cache and rate limit left on",
      health({ ...ours, cache: true, rate_limit: true }),
      "ready",
      "sends to the gateway, with its answer cache and its own rate limit left on",
      "clutch restart headroom starts it without",
    ],
    [
      "still starting",
      health(ours, { status: "unhealthy", checks: { startup: { ready: false } } }),
      "starting",
      "it is starting",
      undefined,
    ],
    [
      "the gateway does not answer it",
      health(ours, {
        status: "unhealthy",
        checks: { startup: { ready: true }, upstream: { ready: false, error: "connection\nrefused" } },
      }),
      "unhealthy",
      "it is unhealthy (upstream: connection refused)",
      "clutch logs headroom",
    ],
    [
      "it does not say where it sends to",
      health(undefined),
      "unhealthy",
      "it does not say where it sends to",
      "uv tool upgrade headroom-ai (or pipx upgrade headroom-ai), then clutch restart headroom",
    ],
    [
      "a version that answers with nothing",
      health(ours, { version: "0.35.0" }),
      "unhealthy",
      "version 0.35.0 answers streams with nothing in them (headroomlabs-ai/headroom#3266)",
      "uv tool upgrade headroom-ai (or pipx upgrade headroom-ai), then clutch restart headroom",
    ],
    [
      "a version that loses prompt caches",
      health(ours, { version: "0.37.0" }),
      "unhealthy",
      "version 0.37.0 changes earlier turns, so that prompt caches are lost",
      "uv tool upgrade headroom-ai (or pipx upgrade headroom-ai), then clutch restart headroom",
    ],
    ["a version of the future", health(ours, { version: "2.35.0" }), "ready", "sends to the gateway", undefined],
  ])("%s", (_what, answer, state, detail, hint) => {
    const version = (answer as { version: string }).version;
    expect(judgeHeadroom(answer, gateway)).toEqual({ state, version, detail, hint } as never);
  });

  test.each([[{ status: "ok" }], [undefined], [null], ["<html>"], [[]]])("%j is not Headroom", (answer) => {
    expect(judgeHeadroom(answer, gateway)).toEqual({
      state: "foreign",
      version: undefined,
      detail: "what answers is not Headroom",
      hint: "free the port, or give Headroom another in chain.services",
    });
  });
});

describe("probeHeadroom()", () => {
  test("asks a version once, with no key in its environment, and keeps the answer to the user alone", async () => {
    const file = join(root, "headroom");
    const calls = join(root, "calls");
    writeFileSync(
      file,
      `#!/bin/sh\necho "$* offline=$HEADROOM_OFFLINE key=$SOME_API_KEY" >> '${calls}'\n` +
        `case "$1" in --version) echo "headroom, version 0.42.0";; proxy) echo "  --port INTEGER  (default: 8787)"; echo "  --http2 / --no-http2  --lossless";; esac\n`,
    );
    chmodSync(file, 0o755);
    const cache = join(root, "cache");
    const env = { PATH: "/usr/bin:/bin", SOME_API_KEY: "secret" };
    for (let times = 0; times < 2; times++) {
      const { version, flags } = await probeHeadroom(file, cache, env);
      expect(version).toBe("0.42.0");
      expect([...flags].sort()).toEqual(["--http2", "--lossless", "--no-http2", "--port"]);
    }
    const asked = readFileSync(calls, "utf8").trim().split("\n").sort();
    expect(asked).toEqual(["--version offline=1 key=", "proxy --help offline=1 key="]);
    const [kept = ""] = readdirSync(join(cache, "agents"));
    expect(statSync(join(cache, "agents", kept)).mode & 0o777).toBe(0o600);
  });

  test("a program that tells nothing has no flags, and is started without any", async () => {
    const file = join(root, "silent");
    writeFileSync(file, "#!/bin/sh\nexit 3\n");
    chmodSync(file, 0o755);
    expect(await probeHeadroom(file, join(root, "cache2"), {})).toEqual({ version: undefined, flags: new Set() });
    expect(existsSync(join(root, "cache2"))).toBe(true);
  });
});
