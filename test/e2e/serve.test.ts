import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { skipAloud } from "../../agent-tests/skip-aloud.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { at, pieces, requestBody, streamed, whole } from "../support/answers.ts";
import { type FakeUpstream, json, silent, sse, startFakeUpstream } from "../support/fake-upstream.ts";
import {
  ask,
  buildConfig,
  eventually,
  makeHome,
  programs,
  readLedger,
  runServe,
  type ServeOptions,
  type ServeProcess,
  startServe,
  within,
  writeConfig,
} from "../support/gateway.ts";

let upstream: FakeUpstream;
const homes: string[] = [];
const running = new Set<ServeProcess>();

const opening = pieces.messages.opening + pieces.messages.words("Grüße ");
const rest = pieces.messages.words("🎉!") + pieces.messages.ending;

beforeAll(async () => {
  upstream = await startFakeUpstream({
    good: json(whole.chat),
    "good-stream": sse([streamed("messages")]),
    endless: sse([opening], "open"),
    silent,
  });
});

afterAll(async () => {
  await upstream.stop();
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

afterEach(async () => {
  for (const server of running) {
    server.kill("SIGKILL");
    await server.exited;
  }
  running.clear();
}, 30_000);

function newHome(): string {
  const home = makeHome();
  homes.push(home);
  return home;
}

const config = (more: JsonObject = {}, port = upstream.port) =>
  buildConfig(port, { cascade: ["chat:good"], config: { server: {}, ...more } });

const anyPort = ["--port", "0"];

async function serve(options: Partial<ServeOptions> = {}): Promise<ServeProcess> {
  const server = await startServe({ home: newHome(), config: config(), args: anyPort, ...options });
  running.add(server);
  void server.exited.then(() => running.delete(server));
  return server;
}

const ledgerOf = (server: ServeProcess) => readLedger(join(server.home, "clutch.db"));

/** A stream whose end is held back until the test lets it come. */
async function heldStream() {
  const held = Promise.withResolvers<void>();
  const own = await startFakeUpstream({ slow: sse([opening, held.promise, rest]) });
  return { own, release: held.resolve };
}

describe.each(programs.map(({ name, argv }) => [name, argv] as const))("clutch serve, %s", (_name, argv) => {
  test("a stream under way at SIGTERM is completed, and the exit status is 0", async () => {
    const { own, release } = await heldStream();
    const server = await serve({ config: config({}, own.port), argv });
    const response = await ask(server.url, "messages", "messages:slow", true);
    server.kill("SIGTERM");
    await eventually("the drain", async () => (await fetch(`${server.url}/health`)).status === 503);
    const refused = await ask(server.url, "chat", "chat:good", false);
    expect(refused.status).toBe(503);
    expect(at(await refused.json(), "error", "message")).toContain("shutting down");
    release();
    expect(await within(5000, "the rest of the stream", response.text())).toBe(opening + rest);
    expect(await within(5000, "the end", server.exited)).toBe(0);
    const row = await ledgerOf(server).request(response.headers.get("x-clutch-request-id"));
    expect(row).toMatchObject({ status: "completed", output_tokens: 50 });
    expect(server.output()).not.toMatch(/ at .*\.ts/);
    await own.stop();
  });

  test("a request under way at kill -9 is found and closed by the next start", async () => {
    const home = newHome();
    const first = await serve({ home, argv });
    const asked = ask(first.url, "chat", "chat:silent", false).catch(() => undefined);
    const { requests } = ledgerOf(first);
    await eventually("the pending row", () => requests().length === 1);
    expect(requests()).toMatchObject([{ status: "pending", model_requested: "chat:silent" }]);
    first.kill("SIGKILL");
    await first.exited;
    await asked;
    const second = await serve({ home, argv });
    expect(requests()).toMatchObject([{ status: "aborted" }]);
    await eventually("the notice", () => second.output().includes("1 requests were pending"));
    expect((await ask(second.url, "chat", "chat:good", false)).status).toBe(200);
    second.kill("SIGTERM");
    expect(await second.exited).toBe(0);
  });

  // No file may grow from that moment on, which to a program is a full disk.
  const prlimit = Bun.which("prlimit") ?? "";
  if (prlimit === "") skipAloud("a disk that has become full does not hold up the end", "prlimit is not on PATH");
  test.skipIf(prlimit === "")("a disk that has become full does not hold up the end", async () => {
    const deaf = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "sh"];
    const server = await serve({ argv: [...deaf, ...argv] });
    await (await ask(server.url, "chat", "chat:good", false)).text();
    await eventually("its row", () => ledgerOf(server).requests().length === 1);
    expect(Bun.spawnSync([prlimit, "--pid", String(server.pid), "--fsize=0"]).exitCode).toBe(0);
    expect((await ask(server.url, "chat", "chat:good", false)).status).toBe(200);
    server.kill("SIGTERM");
    expect(await within(3000, "the end", server.exited)).toBe(0);
  });
});

describe("signals", () => {
  test.each([
    ["SIGTERM", 143],
    ["SIGINT", 130],
    ["SIGHUP", 129],
  ] as const)("a second %s ends at once", async (signal, status) => {
    const server = await serve();
    const response = await ask(server.url, "messages", "messages:endless", true);
    server.kill(signal);
    await eventually("the drain", async () => (await fetch(`${server.url}/health`)).status === 503);
    expect(server.output()).toContain(`${signal}: no new requests; 1 under way`);
    server.kill(signal);
    expect(await within(5000, "the end", server.exited)).toBe(status);
    await response.text().catch(() => "");
    await within(5000, "closing the upstream's connection", upstream.quiet());
  });

  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("%s ends an idle gateway with status 0", async (signal) => {
    const server = await serve();
    await (await ask(server.url, "chat", "chat:good", false)).text();
    server.kill(signal);
    expect(await within(5000, "the end", server.exited)).toBe(0);
    expect(ledgerOf(server).requests()).toMatchObject([{ status: "completed" }]);
  });

  test("after a hundred dropped streams the process serves as before", async () => {
    const server = await serve();
    const leaving = new AbortController();
    const { signal } = leaving;
    await Promise.all(
      Array.from({ length: 100 }, () => ask(server.url, "messages", "messages:endless", true, { signal })),
    );
    expect(upstream.unfinished()).toBe(100);
    leaving.abort();
    await within(5000, "closing the upstream's connections", upstream.quiet());
    await eventually("the end of the requests", async () => (await livez(server)).in_flight === 0);
    const response = await ask(server.url, "messages", "messages:good-stream", true);
    expect(await response.text()).toBe(streamed("messages"));
    expect(server.output()).not.toMatch(/unexpected|error/i);
  });

  test("a client that breaks off its upload leaves no trace in the log", async () => {
    const server = await serve();
    const port = Number(new URL(server.url).port);
    await new Promise<void>((resolve, reject) => {
      Bun.connect({
        hostname: "127.0.0.1",
        port,
        socket: {
          open(socket) {
            socket.write('POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 90000\r\n\r\n{"model":');
            socket.flush();
            setTimeout(() => socket.terminate(), 20);
          },
          data() {},
          close: () => resolve(),
          error: (_, error) => reject(error),
        },
      }).catch(reject);
    });
    expect((await ask(server.url, "chat", "chat:good", false)).status).toBe(200);
    expect(server.output()).not.toMatch(/ at .*\.ts|Error/);
  });
});

async function livez(server: ServeProcess): Promise<{ in_flight: number }> {
  return (await fetch(`${server.url}/livez`)).json() as Promise<{ in_flight: number }>;
}

describe("a start that cannot be", () => {
  async function expectRefusal(options: ServeOptions, status: number, ...words: (string | RegExp)[]): Promise<void> {
    const { code, stdout, stderr } = await within(5000, "the refusal", runServe(options));
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toStartWith("clutch: ");
    for (const word of words) expect(stderr).toMatch(word);
    expect(stdout).toBe("");
    expect(code).toBe(status);
  }

  test("on a database that another gateway has says which", async () => {
    const server = await serve();
    await expectRefusal(
      { home: server.home },
      1,
      `another clutch serve (pid ${server.pid})`,
      /clutch\.db: stop that one/,
    );
    expect((await ask(server.url, "chat", "chat:good", false)).status).toBe(200);
  });

  test("on a port that another program has says which", async () => {
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
    const port = (holder.address() as { port: number }).port;
    const home = newHome();
    await expectRefusal(
      { home, config: config({ server: { port } }) },
      1,
      `port ${port} is taken by`,
      `(pid ${process.pid})`,
      "--port",
    );
    await expectRefusal({ home, config: config(), args: ["--port", String(port)] }, 1, `port ${port} is taken by`);
    holder.close();
    // The refused starts gave the database back.
    await serve({ home, config: config() });
  });

  test.each(["0.0.0.0", "::", "192.168.1.7"])("on %s without require_key", async (host) => {
    await expectRefusal(
      { home: newHome(), config: config({ server: { host } }) },
      1,
      `server.host is "${host}"`,
      /set server\.require_key to true/,
    );
  });

  test.each([
    ["an unknown key", { model_tier: {} }, /config\.json: unknown key "model_tier": did you mean "model_tiers"\?/],
    ["an unknown key inside", { timeouts: { idlems: 3 } }, /unknown key "timeouts\.idlems": did you mean "idle_ms"\?/],
    ["a wrong type", { server: { port: "8082" } }, /"server\.port" is "8082": .*number/],
    ["a wrong number", { timeouts: { idle_ms: -1 } }, /"timeouts\.idle_ms" is -1/],
    ["an unknown provider", { default_provider: "nowhere" }, /default_provider is "nowhere", which is not configured/],
    ["a provider without a URL", { providers: { mine: {} } }, /providers\.mine has no base_url/],
    [
      "a wrong protocol",
      { providers: { mine: { protocol: "soap", base_url: "http://x" } } },
      /providers\.mine\.protocol/,
    ],
    [
      "a secret in the wrong place",
      { providers: { mine: { api_key: 7 } } },
      /"providers\.mine\.api_key" is \(hidden\)/,
    ],
  ])("with %s in the config", async (_name, content, message) => {
    const home = newHome();
    const { code, stderr, stdout } = await runServe({ home, config: content as JsonObject });
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    expect([1, 2]).toContain(code);
  });

  test("with a config that is no JSON says where", async () => {
    const home = newHome();
    writeConfig(home, '{\n  "server": {\n    "port" 8082\n  }\n}');
    await expectRefusal({ home }, 2, /config\.json:3:\d+ is not valid JSON/);
  });

  test.each(["80a", "-1", "70000", "1.5"])("on port %p", async (port) => {
    await expectRefusal({ home: newHome(), args: [`--port=${port}`] }, 2, `--port is "${port}"`);
  });

  test("on a database that is a folder", async () => {
    const home = newHome();
    mkdirSync(join(home, "clutch.db"));
    await expectRefusal({ home, config: config() }, 1, /clutch\.db/);
  });
});

describe("the config file", () => {
  const models = async (server: ServeProcess) => JSON.stringify(await (await fetch(`${server.url}/v1/models`)).json());
  const health = async (server: ServeProcess) =>
    (await (await fetch(`${server.url}/health`)).json()) as { status: string; problems: string[] };

  test("is followed while the gateway runs, and an invalid edit changes nothing but its health", async () => {
    const server = await serve();
    expect(await models(server)).not.toContain("chat:second");

    writeConfig(server.home, { ...config(), fallbacks: ["chat:second"] });
    await eventually("the new config", async () => (await models(server)).includes("chat:second"));
    expect(server.output()).toContain("config changed: fallbacks");

    writeConfig(server.home, { ...config(), timeouts: { idle_seconds: 3 } });
    await eventually("the complaint", async () => (await health(server)).status === "degraded");
    expect((await health(server)).problems).toEqual([expect.stringContaining('unknown key "timeouts.idle_seconds"')]);
    expect(await models(server)).toContain("chat:second");
    expect((await ask(server.url, "chat", "anything", false)).status).toBe(200);

    writeConfig(server.home, '{ "server": ');
    await eventually("the next complaint", async () => (await health(server)).problems[0]?.includes("JSON") === true);
    expect((await ask(server.url, "chat", "anything", false)).status).toBe(200);

    writeConfig(server.home, config());
    await eventually("the mended config", async () => (await health(server)).status === "ok");
    expect(await models(server)).not.toContain("chat:second");
  }, 10_000);
});

describe("a ledger that cannot be written", () => {
  test("stops no request, is told once, and lets the gateway end", async () => {
    const server = await serve();
    const db = new Database(join(server.home, "clutch.db"));
    // The gateway may be writing at this moment.
    db.run("PRAGMA busy_timeout = 5000");
    db.run("CREATE TRIGGER refuse BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    for (let turn = 0; turn < 3; turn++) {
      const response = await ask(server.url, "messages", "messages:good-stream", true);
      expect(await response.text()).toBe(streamed("messages"));
    }
    await eventually("the complaint", () => server.output().includes("the ledger cannot be written"));
    expect(server.output()).toContain("the disk is full");
    db.run("DROP TRIGGER refuse");
    await eventually("the rows", () => ledgerOf(server).requests().length === 3);
    expect(server.output().match(/cannot be written/g)).toHaveLength(1);

    db.run("CREATE TRIGGER refuse BEFORE INSERT ON requests BEGIN SELECT RAISE(ABORT, 'the disk is full'); END");
    db.close();
    expect((await ask(server.url, "chat", "chat:good", false)).status).toBe(200);
    server.kill("SIGTERM");
    expect(await within(3000, "the end", server.exited)).toBe(0);
    expect(server.output()).toContain("1 ledger rows could not be written");
  });

  test("because another program has locked it holds up no request and no stop", async () => {
    const server = await serve();
    await ask(server.url, "chat", "chat:good", false);
    const db = new Database(join(server.home, "clutch.db"));
    db.run("BEGIN IMMEDIATE");
    try {
      for (let turn = 0; turn < 3; turn++) {
        const response = await within(5000, "a request", ask(server.url, "chat", "chat:good", false));
        expect(response.status).toBe(200);
        // Over the time in which the rows are written.
        await Bun.sleep(40);
      }
      server.kill("SIGTERM");
      expect(await within(3000, "the end", server.exited)).toBe(0);
    } finally {
      db.close();
    }
  }, 15_000);
});

test("any free port may stand in the config", async () => {
  const server = await serve({ config: config({ server: { port: 0 } }), args: [] });
  expect((await ask(server.url, "chat", "chat:good", false)).status).toBe(200);
});

describe("require_key", () => {
  const locked = () => config({ server: { require_key: true } });
  const writeSecret = (home: string, secret: string) => {
    mkdirSync(join(home, "state"), { recursive: true });
    writeFileSync(join(home, "state", "launch.key"), `${secret}\n`, { mode: 0o600 });
  };

  test("lets in launches with the right secret and nobody else", async () => {
    const home = newHome();
    writeSecret(home, "s3cret");
    const server = await serve({ home, config: locked() });
    const status = async (headers: Record<string, string>) => {
      const response = await ask(server.url, "messages", "chat:good", false, { headers });
      const body: unknown = await response.json();
      if (response.status === 401) {
        expect(body).toMatchObject({ type: "error", error: { type: "authentication_error" } });
        expect(JSON.stringify(body)).not.toContain("s3cret");
      }
      return response.status;
    };
    const before = upstream.requests.length;
    expect(await status({})).toBe(401);
    expect(await status({ authorization: "Bearer s3cret" })).toBe(401);
    expect(await status({ authorization: "Bearer xx-cip-launch1" })).toBe(401);
    expect(await status({ authorization: "Bearer xx-cip-launch1-wrong" })).toBe(401);
    expect(await status({ authorization: "Bearer xx-zzz-launch1-s3cret" })).toBe(401);
    expect(upstream.requests.length).toBe(before);
    expect(await status({ authorization: "Bearer xx-cip-launch1-s3cret" })).toBe(200);
    expect(await status({ "x-api-key": "xx-cip-launch1-s3cret" })).toBe(200);
    expect(await status({ authorization: "Bearer own", "x-clutch-launch": "xx-cip-launch1-s3cret" })).toBe(200);
    expect(JSON.stringify(upstream.requests.slice(before))).not.toContain("s3cret");

    writeSecret(home, "another");
    expect(await status({ authorization: "Bearer xx-cip-launch1-another" })).toBe(200);
    expect(await status({ authorization: "Bearer xx-cip-launch1-s3cret" })).toBe(401);
  });

  test("lets nobody in by a secret that it has only just made, and opens other hosts", async () => {
    const server = await serve({ config: config({ server: { host: "0.0.0.0", require_key: true } }) });
    const url = server.url.replace("0.0.0.0", "127.0.0.1");
    for (const key of ["", "xx-cip-launch1", "xx-cip-launch1-", "xx-cip-launch1-undefined"]) {
      const response = await ask(url, "chat", "chat:good", false, { headers: { authorization: `Bearer ${key}` } });
      expect(response.status).toBe(401);
    }
  });
});

test("several gateways with homes of their own live side by side", async () => {
  const [one, two] = await Promise.all([serve(), serve()]);
  await ask(one.url, "chat", "chat:good", false);
  await eventually("the row", () => ledgerOf(one).requests().length === 1);
  expect(ledgerOf(two).requests()).toEqual([]);
  const body = JSON.stringify(requestBody("chat", "chat:good", false));
  expect((await fetch(`${two.url}/v1/chat/completions`, { method: "POST", body })).status).toBe(200);
});
