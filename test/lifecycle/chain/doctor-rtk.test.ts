import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runClutch } from "../../support/run-clutch.ts";
import { installRtk } from "./rtk-stand-ins.ts";

const root = mkdtempSync(join(tmpdir(), "clutch-doctor-rtk-"));
afterAll(() => rmSync(root, { recursive: true }));

const run = (kind: Parameters<typeof installRtk>[1] | undefined, ...args: string[]) => {
  const home = mkdtempSync(join(root, "home-"));
  const folders = kind === undefined ? [] : [installRtk(join(home, "bin"), kind)];
  return runClutch(home, ["doctor", "--rtk", ...args], { PATH: [...folders, "/usr/bin", "/bin"].join(":") });
};

describe("clutch doctor --rtk", () => {
  test("tells what it compared", async () => {
    const { code, stdout } = await run("real");
    expect(stdout).toMatch(/^RTK 1\.0\.0 \(.*\/rtk\): wired into no agent, 1\.2M tokens saved\n/);
    expect(stdout).toContain("  rtk git status              ends with 128, through RTK 128  ok\n");
    expect(code).toBe(0);
  });

  test("ends with 3 where an exit status is swallowed, and says what to do until then", async () => {
    const { code, stdout } = await run("swallowing");
    expect(stdout).toContain("  rtk sh -c exit 7            ends with 7, through RTK 0    swallowed\n");
    expect(stdout).toContain("RTK_DISABLED=1");
    expect(code).toBe(3);
  });

  test("ends with 3 for an impostor, with 0 where there is none, each as JSON too", async () => {
    const impostor = await run("typeKit", "--json");
    expect(impostor.code).toBe(3);
    expect(JSON.parse(impostor.stdout).rtk).toMatchObject({ state: "impostor", version: null, exit_codes: [] });
    const none = await run(undefined, "--json");
    expect(none.code).toBe(0);
    expect(JSON.parse(none.stdout).rtk).toMatchObject({ state: "missing", path: null, wired_agents: [] });
  });

  test("is one check at a time", async () => {
    const both = await run("real", "--agents");
    expect([both.code, both.stderr]).toEqual([2, "clutch: --agents and --rtk are two checks: ask for one at a time\n"]);
    expect((await run("real", "claude")).stderr).toBe('clutch: --rtk takes no agents, not "claude": leave them out\n');
  });
});
