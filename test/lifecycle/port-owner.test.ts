/** Another user who has taken the gateway's port: with a real listener of a real other user where the tests may have one. */

import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readAdmin } from "../../src/lifecycle/gateway-admin.ts";
import { isStrangersPort, listenersOf } from "../../src/lifecycle/port-owner.ts";
import { makeHome } from "../support/gateway.ts";

const uid = process.getuid?.() ?? 0;

test("listenersOf() reads the kernel's table, and of it those that listen", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 10215419 1 0 100 0 0 10 0",
    "   1: 0100007F:1F93 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 10214156 1 0 100 0 0 10 0",
    "  12: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
    "",
  ].join("\n");
  expect(listenersOf(table)).toEqual([
    { address: "0100007F", port: 8082, uid: 1000 },
    { address: "00000000000000000000000001000000", port: 80, uid: 0 },
  ]);
});

test("a port of one's own is no stranger's, nor one that nobody has, nor one of another machine", () => {
  const own = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = own;
  try {
    expect(isStrangersPort(`http://127.0.0.1:${port}`)).toBe(false);
    expect(isStrangersPort(`http://203.0.113.9:${port}`, 4_242)).toBe(false);
    // Root may look at everything anyway.
    const isSeen = process.platform === "linux" && uid !== 0;
    for (const host of ["127.0.0.1", "localhost"]) {
      expect(isStrangersPort(`http://${host}:${port}`, 4_242)).toBe(isSeen);
    }
    expect(isStrangersPort(`http://127.0.0.2:${port}`, 4_242)).toBe(false);
  } finally {
    own.stop(true);
  }
  expect(isStrangersPort(`http://127.0.0.1:${port}`, 4_242)).toBe(false);
  expect(isStrangersPort("nonsense", 4_242)).toBe(false);
});

const canBeOther = uid === 0 && ["/usr/bin/setpriv", "/usr/bin/python3"].every((file) => existsSync(file));
if (!canBeOther) console.log("not tried: a port of another user (that takes root, setpriv and python3)");

/** Answers all that is asked as a gateway would, and tells what it was shown. */
const stranger = `
import http.server, sys, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, self.headers.get("authorization"), flush=True)
        body = json.dumps({"status": "ok", "in_flight": 0, "draining": False, "database": sys.argv[1]}).encode()
        self.send_response(200); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.HTTPServer((sys.argv[2], 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
`;

describe.skipIf(!canBeOther)("another user's program at the gateway's port", () => {
  test.each(["127.0.0.1", "0.0.0.0"])(
    "on %s is shown no key, by no command and no launch",
    async (host) => {
      const home = makeHome();
      const stateDir = join(home, "state");
      const database = join(home, "clutch.db");
      mkdirSync(stateDir, { mode: 0o700 });
      writeFileSync(join(stateDir, "launch.key"), "the-secret-of-launches", { mode: 0o600 });
      const argv = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", stranger];
      const child = Bun.spawn(["/usr/bin/setpriv", ...argv, database, host], {
        cwd: "/",
        stdout: Bun.file(join(home, "shown")),
        stderr: "inherit",
      });
      try {
        const shown = () => readFileSync(join(home, "shown"), "utf8");
        for (let waited = 0; !shown().includes("\n") && waited < 10_000; waited += 20) await Bun.sleep(20);
        const port = Number(shown().split("\n")[0]);
        const url = `http://127.0.0.1:${port}`;
        const answer = await readAdmin({ url, database, stateDir, requireKey: true }, "", 3_000);
        expect(answer).toEqual({
          ok: false,
          reason: `what answers at ${url} is a program of another user, to whom the gateway's key is not shown`,
        });
        writeFileSync(join(home, "config.json"), JSON.stringify({ server: { port, require_key: true } }));
        symlinkSync(join(import.meta.dir, "../support/fake-agent.sh"), join(home, "claude"));
        const env = {
          PATH: `${home}:/usr/bin:/bin`,
          HOME: home,
          CLUTCH_HOME: home,
          IS_SANDBOX: "1",
          FAKE_LOG: join(home, "agent.log"),
          BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0",
        };
        const program = join(import.meta.dir, "../support/run-xx.ts");
        const xx = Bun.spawn([process.execPath, program, "cip"], {
          cwd: home,
          env,
          stderr: "pipe",
          timeout: 20_000,
        });
        const said = await new Response(xx.stderr).text();
        expect([await xx.exited, said]).toEqual([
          1,
          `xx: what answers at ${url} is a program of another user, not your gateway: give the gateway another port: server.port in the config, or CLUTCH_PORT\n`,
        ]);
        expect(shown()).not.toContain("the-secret-of-launches");
        // Where no key is needed, none is shown, and whose it is says the answer.
        expect(await readAdmin({ url, database, stateDir, requireKey: false }, "", 3_000)).toMatchObject({ ok: true });
      } finally {
        child.kill("SIGKILL");
        await child.exited;
        rmSync(home, { recursive: true, force: true });
      }
    },
    40_000,
  );
});
