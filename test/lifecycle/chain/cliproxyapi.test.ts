/** CLIProxyAPI cannot be had from a registry: a server here answers as docs/chain.md, part 3, says that it does. */

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../../src/config/schema.ts";
import {
  buildCliProxyStart,
  type CliProxyAnswer,
  judgeCliProxy,
  probeCliProxy,
  readCliProxyKey,
  withCliProxyKey,
} from "../../../src/lifecycle/chain/cliproxyapi.ts";
import type { Json } from "../../../src/protocols/chat.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-cliproxy-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("buildCliProxyStart()", () => {
  test("starts it on this machine alone, without retries, with a key that is kept from others and stays", () => {
    const stateDir = join(folder, "start");
    const start = buildCliProxyStart({ file: "/opt/bin/cli-proxy-api", stateDir, port: 9317 });
    const path = `${stateDir}/chain/cliproxyapi.yaml`;
    expect(start.argv).toEqual(["/opt/bin/cli-proxy-api", "--config", path]);
    expect(start.env).toEqual({});
    const [file] = start.files;
    expect({ path: file?.path, mode: file?.mode }).toEqual({ path, mode: 0o600 });
    const key = readCliProxyKey(stateDir);
    expect(key).toMatch(/^sk-clutch-local-[\w-]{32}$/);
    expect(Bun.YAML.parse(file?.content ?? "")).toEqual({
      host: "127.0.0.1",
      port: 9317,
      "auth-dir": "~/.cli-proxy-api",
      "api-keys": [key],
      "remote-management": { "allow-remote": false, "secret-key": "" },
      "usage-statistics-enabled": false,
      "request-retry": 0,
      "max-retry-interval": 0,
      streaming: { "keepalive-seconds": 15, "bootstrap-retries": 0 },
      "passthrough-headers": true,
    });
    expect(start.argv.join(" ")).not.toContain(key);
    expect(buildCliProxyStart({ file: "/opt/bin/cli-proxy-api", stateDir, port: 9317 })).toEqual(start);
    expect(statSync(`${stateDir}/chain/cliproxyapi.key`).mode & 0o777).toBe(0o600);
    expect(statSync(`${stateDir}/chain`).mode & 0o777).toBe(0o700);
  });

  test("takes an empty key file for none, and says where a key cannot be kept", () => {
    const stateDir = join(folder, "empty");
    mkdirSync(`${stateDir}/chain`, { recursive: true });
    writeFileSync(`${stateDir}/chain/cliproxyapi.key`, "");
    const key = readCliProxyKey(stateDir);
    expect(key).toMatch(/^sk-clutch-local-/);
    expect(readCliProxyKey(stateDir)).toBe(key);
    writeFileSync(join(folder, "file"), "");
    expect(() => readCliProxyKey(join(folder, "file"))).toThrow(/cliproxyapi.key cannot be kept \(ENOTDIR\)/);
  });
});

describe("withCliProxyKey()", () => {
  const keyOf = () => "sk-ours";
  const providerOf = (raw: Json) => withCliProxyKey(parseConfig(raw, "c"), keyOf).providers["cliproxy"];
  const enabled = { chain: { services: [{ id: "cliproxyapi", enabled: true, port: 9317 }] } };

  test("gives the provider the service's key and port once the service is on", () => {
    const unmoved = { chain: { services: [{ id: "cliproxyapi", enabled: true }] } };
    expect(providerOf(unmoved)).toEqual({ headers: {}, api_key: "sk-ours" });
    expect(providerOf(enabled)).toEqual({ headers: {}, api_key: "sk-ours", base_url: "http://127.0.0.1:9317/v1" });
  });

  const kept: [name: string, raw: Json][] = [
    ["the service is off", {}],
    ["the user has a key", { ...enabled, providers: { cliproxy: { api_key: "env:MINE" } } }],
    ["the user says where it is", { ...enabled, providers: { cliproxy: { base_url: "http://10.0.0.2:8317/v1" } } }],
    ["the user starts it", { chain: { services: [{ id: "cliproxyapi", enabled: true, command: ["/opt/own"] }] } }],
    ["the chain cannot be read", { chain: { services: [{ id: "x" }] } }],
  ];
  test.each(kept)("leaves everything as it is where %s", (_name, raw) => {
    const config = parseConfig(raw, "c");
    const never = () => {
      throw new Error("nobody needs the key");
    };
    expect(withCliProxyKey(config, never)).toBe(config);
  });
});

describe("judgeCliProxy()", () => {
  const answer = (status: number, body: string, isSafeMode = false): CliProxyAnswer => ({ status, body, isSafeMode });
  const well = answer(200, '{"status":"ok"}');
  const cases: [string, CliProxyAnswer | undefined, CliProxyAnswer | undefined, boolean, RegExp, RegExp | undefined][] =
    [
      ["nothing answers", undefined, undefined, false, /does not answer/, undefined],
      ["another program", answer(200, "<html>"), undefined, false, /\/healthz answers 200/, /clutch logs/],
      ["a broken one", answer(500, ""), undefined, false, /\/healthz answers 500/, /clutch logs/],
      ["models hang", well, undefined, false, /\/v1\/models does not answer/, /clutch logs/],
      ["a template key", well, answer(403, '{"error":"unsafe_example_api_key"}'), false, /safe mode/, /your-api-key/],
      ["safe mode by header", well, answer(403, "", true), false, /safe mode/, /your-api-key/],
      ["another key", well, answer(401, '{"error":"Invalid API key"}'), false, /our key/, /providers.cliproxy.api_key/],
      ["an error", well, answer(502, ""), false, /answers 502/, /clutch logs/],
      ["nobody logged in", well, answer(200, '{"data":[]}'), true, /no model yet/, /-claude-login/],
      ["all well", well, answer(200, '{"data":[{"id":"a"},{"id":"b"}]}'), true, /^2 models$/, undefined],
      ["a list of another shape", well, answer(200, "[]"), true, /^ok$/, undefined],
    ];
  test.each(cases)("%s", (_name, health, models, isReady, detail, hint) => {
    const judged = judgeCliProxy(health, models);
    expect(judged.isReady).toBe(isReady);
    expect(judged.detail).toMatch(detail);
    if (hint === undefined) expect(judged.hint).toBeUndefined();
    else expect(judged.hint ?? "").toMatch(hint);
  });
});

describe("probeCliProxy()", () => {
  test("asks with the key, and is done in time where nothing answers", async () => {
    const seen: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        const { pathname } = new URL(request.url);
        seen.push(`${pathname} ${request.headers.get("authorization") ?? "-"}`);
        if (pathname === "/healthz") return Response.json({ status: "ok" });
        return request.headers.get("authorization") === "Bearer sk-ours"
          ? Response.json({ data: [{ id: "m" }] })
          : Response.json({ error: "Invalid API key" }, { status: 401 });
      },
    });
    const port = server.port as number;
    try {
      expect(await probeCliProxy(port, "sk-ours", 2000)).toMatchObject({ isReady: true, detail: "1 model" });
      expect(await probeCliProxy(port, "sk-other", 2000)).toMatchObject({ isReady: false });
      expect(seen.sort()).toEqual([
        "/healthz -",
        "/healthz -",
        "/v1/models Bearer sk-other",
        "/v1/models Bearer sk-ours",
      ]);
    } finally {
      await server.stop(true);
    }
    expect(await probeCliProxy(port, undefined, 500)).toMatchObject({
      isReady: false,
      detail: "does not answer /healthz",
    });
    expect(existsSync(join(folder, "chain"))).toBe(false);
  });

  test("does not wait for one that never answers", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Promise<Response>(() => {}) });
    try {
      const startedAt = performance.now();
      expect(await probeCliProxy(server.port as number, undefined, 150)).toMatchObject({ isReady: false });
      expect(performance.now() - startedAt).toBeLessThan(1500);
    } finally {
      await server.stop(true);
    }
  });
});
