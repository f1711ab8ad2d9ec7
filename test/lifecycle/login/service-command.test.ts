import { afterAll, afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { skipAloud } from "../../../agent-tests/skip-aloud.ts";
import {
  installService,
  type ServicePlace,
  showService,
  showServiceLogs,
  uninstallService,
} from "../../../commands/service.ts";
import { ClutchError, renderError } from "../../../src/errors.ts";
import { runClutch } from "../../support/run-clutch.ts";
import { installManagers, type StandIns } from "./managers.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-service-"));
afterAll(() => rmSync(root, { recursive: true }));

let out: string[] = [];
let errors: string[] = [];
const spies = [spyOn(console, "log"), spyOn(console, "error")];
beforeEach(() => {
  out = [];
  errors = [];
  spies[0]?.mockImplementation((line: string) => void out.push(line));
  spies[1]?.mockImplementation((line: string) => void errors.push(line));
});
afterEach(() => {
  for (const spy of spies) spy.mockReset();
});
afterAll(() => {
  for (const spy of spies) spy.mockRestore();
});

interface Machine {
  home: string;
  env: Record<string, string>;
  place: ServicePlace;
  managers: StandIns;
}

/** @param own where its own program is said to be; it notes how it was called */
function machine(platform: NodeJS.Platform): Machine {
  const folder = mkdtempSync(join(root, "machine-"));
  const home = join(folder, "home");
  mkdirSync(home);
  const managers = installManagers(join(folder, "managers"));
  const own = join(folder, "managers/bin/clutch");
  writeFileSync(own, `#!/bin/sh\necho "clutch $*" >> "$(dirname "$0")/../calls"\n`);
  chmodSync(own, 0o755);
  const env = { HOME: home, PATH: `${managers.bin}:/usr/bin:/bin` };
  return { home, env, place: { platform, command: [own] }, managers };
}

/** What changes something, without what only looks. */
const changes = ({ managers }: Machine) => managers.calls().filter((call) => !/ (show|print) /.test(`${call} `));

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ClutchError) return renderError(error);
    throw error;
  }
  return "was done";
}

const units = ".config/systemd/user";

describe("clutch service with systemd", () => {
  test("installs, finds it installed, brings it up to date, and leaves nothing behind", async () => {
    const here = machine("linux");
    const file = join(here.home, units, "clutch.service");
    expect(await installService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([
      "systemctl --user daemon-reload",
      "systemctl --user enable clutch.service",
      "systemctl --user start clutch.service",
    ]);
    expect(out).toEqual([
      "wrote ~/.config/systemd/user/clutch.service",
      "ran systemctl --user daemon-reload",
      "ran systemctl --user enable clutch.service",
      "ran systemctl --user start clutch.service",
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    expect(readFileSync(file, "utf8")).toContain(`\nExecStart=${here.place.command[0]} up\n`);
    expect(errors.join("\n")).toContain("is in a temporary folder, and may be gone after a restart");
    expect(errors.join("\n")).toMatch(/from boot on: loginctl enable-linger \S+$/);

    here.managers.forget();
    out = [];
    expect(await installService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([]);
    expect(out).toEqual(["clutch is installed already, and up to date"]);

    errors = [];
    expect(await installService({}, { ...here.env, CLUTCH_PORT: "9000" }, here.place)).toBe(0);
    expect(changes(here)).toEqual(["systemctl --user daemon-reload"]);
    expect(errors.join("\n")).toContain(
      "what runs goes on as it was started; to start it anew: systemctl --user restart clutch",
    );

    out = [];
    expect(await showService({}, { ...here.env, CLUTCH_PORT: "9000" }, here.place)).toBe(0);
    expect(out).toEqual(["clutch (~/.config/systemd/user/clutch.service): well, active exited"]);

    here.managers.forget();
    expect(await uninstallService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([
      "systemctl --user disable --now clutch.service",
      "systemctl --user daemon-reload",
      "systemctl --user reset-failed clutch.service",
    ]);
    expect(readdirSync(join(here.home, ".config"))).toEqual([]);
    out = [];
    expect(await uninstallService({}, here.env, here.place)).toBe(0);
    expect(out).toEqual(["clutch is not installed: nothing to do"]);
    expect(await showService({}, here.env, here.place)).toBe(3);
  });

  test("leaves the user's own units where they are", async () => {
    const here = machine("linux");
    mkdirSync(join(here.home, units), { recursive: true });
    writeFileSync(join(here.home, units, "mine.service"), "");
    await installService({}, here.env, here.place);
    await uninstallService({}, here.env, here.place);
    expect(readdirSync(join(here.home, units))).toEqual(["mine.service"]);
  });

  test("does and writes nothing when it is only tried", async () => {
    const here = machine("linux");
    expect(await installService({ dryRun: true, gatewayOnly: true }, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([]);
    expect(readdirSync(here.home)).toEqual([]);
    expect(out[0]).toBe("would write ~/.config/systemd/user/clutch-gateway.service");
    expect(out.join("\n")).toContain("\nRestart=on-failure\n");
    await installService({}, here.env, here.place);
    here.managers.forget();
    out = [];
    expect(await uninstallService({ dryRun: true }, here.env, here.place)).toBe(0);
    expect(out[0]).toBe("would run systemctl --user disable --now clutch.service");
    expect(existsSync(join(here.home, units, "clutch.service"))).toBe(true);
  });

  test("stops at the first step that fails, and says which", async () => {
    const here = machine("linux");
    writeFileSync(join(here.managers.bin, "../start-fails"), "");
    expect(await installService({ json: true }, here.env, here.place)).toBe(1);
    const report = JSON.parse(out.join("\n"));
    expect(report.error).toBe(
      "systemctl --user start clutch.service ended with 1: Job for clutch.service failed because the control process exited with error code.",
    );
    expect(report).toMatchObject({
      action: "install",
      kind: "chain",
      manager: "systemd",
      name: "clutch",
      state: "installed",
    });
    expect(
      report.steps.map(({ do: what, error }: { do: string; error: string | null }) => [what, error === null]),
    ).toEqual([
      ["write", true],
      ["run", true],
      ["run", true],
      ["run", false],
    ]);
    out = [];
    expect(await showService({ json: true }, here.env, here.place)).toBe(3);
    expect(JSON.parse(out.join("\n"))).toMatchObject({
      installed: true,
      up_to_date: true,
      enabled: true,
      active: false,
    });
  });

  test("the chain and the gateway alone are not both installed", async () => {
    const here = machine("linux");
    await installService({ gatewayOnly: true }, here.env, here.place);
    expect(await refusal(installService({}, here.env, here.place))).toMatch(
      /^the gateway starts at login already \(.*\/clutch-gateway\.service\), on the same port: clutch service uninstall --gateway-only first$/,
    );
  });

  test("does not start a second gateway beside one that answers", async () => {
    const here = machine("linux");
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ in_flight: 0 }) });
    try {
      const env = { ...here.env, CLUTCH_PORT: String(server.port) };
      expect(await installService({ gatewayOnly: true }, env, here.place)).toBe(0);
      expect(changes(here)).toEqual([
        "systemctl --user daemon-reload",
        "systemctl --user enable clutch-gateway.service",
      ]);
      expect(errors.join("\n")).toContain(
        "answers already: end that one (clutch down), then: systemctl --user restart clutch-gateway",
      );
    } finally {
      await server.stop(true);
    }
  });

  test("says which keys a login service will not have", async () => {
    const here = machine("linux");
    const config = { providers: { openrouter: { api_key: "env:MY_KEY" } } };
    mkdirSync(join(here.home, ".config/clutch"), { recursive: true });
    writeFileSync(join(here.home, ".config/clutch/config.json"), JSON.stringify(config));
    await installService({ gatewayOnly: true, dryRun: true }, { ...here.env, MY_KEY: "sk-secret" }, here.place);
    expect(errors).toContain(
      'clutch: the config takes MY_KEY from the environment, where a login service has none: use "cmd:..." for keys, or the chain',
    );
    errors = [];
    await installService({ dryRun: true }, here.env, here.place);
    expect(errors).toContain("clutch: not set here: MY_KEY; clutch up keeps what it can see when it is called by hand");
    expect(existsSync(join(here.home, ".local"))).toBe(false);
    errors = [];
    await installService({}, { ...here.env, MY_KEY: "sk-secret" }, here.place);
    const keys = join(here.home, ".local/state/clutch/chain/keys.json");
    expect(errors).toContain(`clutch: the unit holds no keys; kept for it in ${keys}, for you alone to read: MY_KEY`);
    expect(statSync(keys).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(keys, "utf8"))).toEqual({ MY_KEY: "sk-secret" });
    expect(readFileSync(join(here.home, units, "clutch.service"), "utf8")).not.toContain("sk-secret");
    expect([...out, ...errors].join("\n")).not.toContain("sk-secret");
  });

  test("two homes have two units", async () => {
    const here = machine("linux");
    await installService({}, here.env, here.place);
    await installService({}, { ...here.env, CLUTCH_HOME: join(here.home, "other") }, here.place);
    const files = readdirSync(join(here.home, units)).filter((name) => name.endsWith(".service"));
    expect(files.sort()).toEqual([expect.stringMatching(/^clutch-[0-9a-f]{8}\.service$/), "clutch.service"]);
  });

  if (Bun.which("systemctl") === null) skipAloud("the real systemctl", "systemctl is not on PATH");
  else {
    test("without a user's systemd to speak to, the real systemctl has the unit written and the next command told", async () => {
      const home = mkdtempSync(join(root, "bare-"));
      const run = (...args: string[]) =>
        runClutch(home, ["service", ...args], { PATH: "/usr/bin:/bin", CLUTCH_HOME: "" });
      const installed = await run("install");
      expect(installed.code).toBe(1);
      expect(installed.stdout).toBe("wrote ~/.config/systemd/user/clutch.service\n");
      expect(installed.stderr).toContain(
        "it does not start at login yet, for systemd cannot be reached from here (Failed to connect to bus",
      );
      expect(installed.stderr).toEndWith(
        "clutch: in a login session of yours: systemctl --user daemon-reload && systemctl --user enable --now clutch\n",
      );
      expect((await run("status")).code).toBe(3);
      const removed = await run("uninstall");
      expect([removed.code, removed.stdout]).toEqual([0, "removed ~/.config/systemd/user/clutch.service\n"]);
      expect(existsSync(join(home, ".config/systemd"))).toBe(false);
    }, 30_000);
  }
});

describe("clutch service with launchd", () => {
  test("installs, finds it installed, and leaves nothing behind", async () => {
    const here = machine("darwin");
    const file = join(here.home, "Library/LaunchAgents/clutch.chain.plist");
    const uid = process.getuid?.();
    writeFileSync(join(here.managers.bin, "../busy"), "");
    expect(await installService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([
      `launchctl enable gui/${uid}/clutch.chain`,
      `launchctl bootstrap gui/${uid} ${file}`,
      // Once more, a second after it was told to be busy.
      `launchctl bootstrap gui/${uid} ${file}`,
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    here.managers.forget();
    expect(await installService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual([]);
    expect(await showService({}, here.env, here.place)).toBe(0);
    expect(await uninstallService({}, here.env, here.place)).toBe(0);
    expect(changes(here)).toEqual(["clutch down", `launchctl bootout gui/${uid}/clutch.chain`]);
    expect(existsSync(file)).toBe(false);
    expect(await showService({}, here.env, here.place)).toBe(3);
  });

  test("shows what the job printed", async () => {
    const here = machine("darwin");
    expect(await refusal(showServiceLogs({}, here.env, here.place))).toContain("has printed nothing yet");
    const logs = join(here.home, ".local/state/clutch/logs");
    mkdirSync(logs, { recursive: true });
    writeFileSync(join(logs, "login-chain.log"), "one\ntwo\nthree\n");
    expect(await showServiceLogs({ json: true, lines: "2" }, here.env, here.place)).toBe(0);
    expect(JSON.parse(out.join("\n"))).toEqual({ name: "clutch.chain", lines: ["two", "three"], error: null });
    expect(await refusal(showServiceLogs({ lines: "all" }, here.env, here.place))).toContain('--lines is "all"');
  });
});

test("a system with neither is told so", async () => {
  const here = machine("freebsd");
  expect(await refusal(installService({}, here.env, here.place))).toMatch(
    /^there is no systemd and no launchd here \(freebsd\): have ".*clutch up" run at login/,
  );
});
