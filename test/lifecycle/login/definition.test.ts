import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipAloud } from "../../../agent-tests/skip-aloud.ts";
import { parseConfig } from "../../../src/config/schema.ts";
import {
  carryEnv,
  isTemporary,
  type LoginService,
  nameService,
  renderPlist,
  renderUnit,
} from "../../../src/lifecycle/login/definition.ts";
import { namedVariables } from "../../../src/lifecycle/login/variables.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-login-"));
afterAll(() => rmSync(root, { recursive: true }));

const chain: LoginService = {
  kind: "chain",
  name: "clutch",
  command: ["/opt/bin/clutch"],
  env: { CLUTCH_HOME: "/srv/clutch", PATH: "/usr/bin:/bin" },
  isDetached: false,
  logFile: "/srv/clutch/state/logs/login-chain.log",
};
const gateway: LoginService = { ...chain, kind: "gateway", name: "clutch-gateway", env: {} };

/** What a unit or a property list has to quote. */
const odd = 'it\'s 50% "off" & <so> on $5 \\ é';

describe("renderUnit()", () => {
  test("has the chain brought up at login and down at logout", () => {
    expect(renderUnit(chain)).toMatchInlineSnapshot(`
      "# Written by clutch service install; clutch service uninstall takes it away again.
      [Unit]
      Description=Clutch: the gateway and the services around it
      StartLimitIntervalSec=300
      StartLimitBurst=5

      [Service]
      Type=oneshot
      RemainAfterExit=yes
      ExecStart=/opt/bin/clutch up
      ExecStop=/opt/bin/clutch down
      SuccessExitStatus=1
      TimeoutStartSec=infinity
      TimeoutStopSec=90
      UMask=0077
      Environment="CLUTCH_HOME=/srv/clutch"
      Environment="PATH=/usr/bin:/bin"

      [Install]
      WantedBy=default.target
      "
    `);
  });

  test("does without tmux where that is not", () => {
    expect(renderUnit({ ...chain, isDetached: true })).toContain("\nExecStart=/opt/bin/clutch up --detach\n");
    expect(renderPlist({ ...chain, isDetached: true })).toContain("<string>--detach</string>");
  });

  test("has the gateway alone kept running", () => {
    expect(renderUnit(gateway)).toMatchInlineSnapshot(`
      "# Written by clutch service install; clutch service uninstall takes it away again.
      [Unit]
      Description=Clutch: the gateway
      StartLimitIntervalSec=300
      StartLimitBurst=5

      [Service]
      Type=exec
      ExecStart=/opt/bin/clutch serve
      Restart=on-failure
      RestartSec=2
      RestartPreventExitStatus=2
      KillSignal=SIGTERM
      KillMode=mixed
      TimeoutStopSec=45
      UMask=0077

      [Install]
      WantedBy=default.target
      "
    `);
  });

  test("quotes what systemd would take for something else", () => {
    const unit = renderUnit({ ...gateway, command: ["/my bin/bun", "/s$rc/main.ts"], env: { CLUTCH_HOME: odd } });
    expect(unit).toContain('\nExecStart="/my bin/bun" "/s$$rc/main.ts" serve\n');
    expect(unit).toContain('Environment="CLUTCH_HOME=it\'s 50%% \\"off\\" & <so> on $5 \\\\ é"\n');
    expect(() => renderUnit({ ...gateway, command: ["/a\nb"] })).toThrow(/cannot stand in a unit/);
  });

  const analyze = Bun.which("systemd-analyze");
  if (analyze === null) skipAloud("systemd accepts both units", "systemd-analyze is not on PATH");
  else {
    test.each(["clutch", "a folder/50% of $5/clutch", "it's/clutch"])(
      "systemd accepts both units, with the program %s",
      (name) => {
        const program = join(root, name);
        mkdirSync(join(program, ".."), { recursive: true });
        writeFileSync(program, "#!/bin/sh\n");
        chmodSync(program, 0o755);
        for (const service of [chain, gateway]) {
          const file = join(root, `${service.name}.service`);
          const verify = (unit: string) => {
            writeFileSync(file, unit);
            const env = { PATH: process.env["PATH"] ?? "", HOME: root, XDG_RUNTIME_DIR: root };
            const run = Bun.spawnSync([analyze, "--user", "verify", file], { env, timeout: 30_000 });
            // Units of the machine's own are read along.
            const said = run.stderr
              .toString()
              .split("\n")
              .filter((line) => line.includes(service.name));
            return { code: run.exitCode, said };
          };
          const unit = renderUnit({ ...service, command: [program], env: { CLUTCH_HOME: odd } });
          expect(verify(unit)).toEqual({ code: 0, said: [] });
          // It would have said so otherwise.
          expect(verify(unit.replace("Type=", "Tpye=")).said.join()).toContain("Tpye");
          expect(verify(unit.replace("ExecStart=", "ExecStart=/nowhere/clutch\n#")).said.join()).toContain(
            "/nowhere/clutch",
          );
        }
      },
    );
  }
});

describe("renderPlist()", () => {
  const python = Bun.which("python3");
  if (python === null) skipAloud("a plist parser reads back what was meant", "python3 is not on PATH");
  else {
    const parse = (text: string) => {
      const script = "import json,plistlib,sys; print(json.dumps(plistlib.loads(sys.stdin.buffer.read())))";
      const run = Bun.spawnSync([python, "-c", script], { stdin: Buffer.from(text), timeout: 30_000 });
      if (run.exitCode !== 0) throw new Error(run.stderr.toString());
      return JSON.parse(run.stdout.toString());
    };

    test("a plist parser reads back what was meant", () => {
      expect(parse(renderPlist({ ...chain, name: "clutch.chain" }))).toEqual({
        Label: "clutch.chain",
        ProgramArguments: ["/opt/bin/clutch", "up"],
        RunAtLoad: true,
        AbandonProcessGroup: true,
        EnvironmentVariables: { CLUTCH_HOME: "/srv/clutch", PATH: "/usr/bin:/bin" },
        Umask: 63,
        StandardOutPath: "/srv/clutch/state/logs/login-chain.log",
        StandardErrorPath: "/srv/clutch/state/logs/login-chain.log",
      });
      expect(parse(renderPlist({ ...gateway, name: "clutch.gateway" }))).toEqual({
        Label: "clutch.gateway",
        ProgramArguments: ["/opt/bin/clutch", "serve"],
        RunAtLoad: true,
        KeepAlive: { SuccessfulExit: false },
        ThrottleInterval: 5,
        ExitTimeOut: 45,
        Umask: 63,
        StandardOutPath: "/srv/clutch/state/logs/login-chain.log",
        StandardErrorPath: "/srv/clutch/state/logs/login-chain.log",
      });
    });

    test("what XML would take for something else comes back as it was", () => {
      const { ProgramArguments, EnvironmentVariables } = parse(
        renderPlist({ ...chain, command: [odd], env: { A: odd } }),
      );
      expect([ProgramArguments[0], EnvironmentVariables.A]).toEqual([odd, odd]);
    });
  }
});

describe("carryEnv()", () => {
  test("takes along where things are and where programs are, and no key", () => {
    const env = {
      CLUTCH_HOME: "own",
      CLUTCH_PORT: "9000",
      CLUTCH_LOG: "",
      XDG_STATE_HOME: "relative",
      XDG_CONFIG_HOME: "/cfg",
      OPENROUTER_API_KEY: "sk-x",
      PATH: "/usr/bin:bin:/tmp/x/bin:/p/node_modules/.bin:/gone:/usr/bin:/home/me/.local/bin:",
    };
    expect(carryEnv(env, "/here", (path) => path !== "/gone")).toEqual({
      CLUTCH_HOME: "/here/own",
      CLUTCH_PORT: "9000",
      XDG_CONFIG_HOME: "/cfg",
      PATH: "/usr/bin:/home/me/.local/bin",
    });
  });
});

describe("nameService()", () => {
  test("a home of its own has a service of its own", () => {
    expect(nameService("chain", "systemd", {})).toBe("clutch");
    expect(nameService("gateway", "systemd", {})).toBe("clutch-gateway");
    expect(nameService("chain", "launchd", {})).toBe("clutch.chain");
    const one = nameService("chain", "systemd", { CLUTCH_HOME: "/a" });
    expect(one).toMatch(/^clutch-[0-9a-f]{8}$/);
    expect(nameService("chain", "systemd", { CLUTCH_HOME: "/b" })).not.toBe(one);
  });
});

describe("isTemporary()", () => {
  test.each(["/tmp/clutch", "/private/tmp/x", "/var/tmp/x", "/var/folders/ab/T/x", "/dev/shm/x"])("%s is", (path) => {
    expect(isTemporary(path)).toBe(true);
  });
  test.each(["/opt/tmp/clutch", "/home/me/tmp/clutch", "/tmpfiles/clutch", "/usr/bin/clutch"])("%s is not", (path) => {
    expect(isTemporary(path)).toBe(false);
  });
});

describe("namedVariables()", () => {
  const config = parseConfig(
    {
      providers: {
        a: { base_url: "http://h/v1", api_keys: ["env:A1", "env:A2"], headers: { "x-k": "env:A1", "x-l": "plain" } },
        b: { base_url: "http://h/v1", api_key: "cmd:pass show b" },
      },
      chain: { services: [{ id: "db", port: 1, command: ["x"], env: { K: "env:DB_KEY" } }] },
    },
    "c",
  );
  test("names those of providers, of the default one, and for the chain those of its services", () => {
    expect(namedVariables(config, "gateway")).toEqual(["A1", "A2", "OPENROUTER_API_KEY"]);
    expect(namedVariables(config, "chain")).toEqual(["A1", "A2", "OPENROUTER_API_KEY", "DB_KEY"]);
    const own = parseConfig({ providers: { openrouter: { api_key: "cmd:pass" } } }, "c");
    expect(namedVariables(own, "chain")).toEqual([]);
  });
});
