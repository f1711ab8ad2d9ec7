import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { skipAloud } from "../../../agent-tests/skip-aloud.ts";
import { isAlive, isSameProcess, isZombie, markOf } from "../../../src/lifecycle/chain/processes.ts";
import { eventually } from "../../support/gateway.ts";

/** Its first thread ends at once, as on the way out of a killed program, and another one goes on. */
const leaderless = `
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
print("left", flush=True)
ctypes.CDLL(None).pthread_exit(None)
`;

describe("isAlive()", () => {
  test("tells this process from one that never was", () => {
    expect([isAlive(process.pid), isAlive(2 ** 22 + 1)]).toEqual([true, false]);
    expect(isSameProcess(process.pid, markOf(process.pid))).toBe(true);
    expect(isSameProcess(process.pid, "another start")).toBe(false);
  });

  const python = process.platform === "linux" ? (Bun.which("python3") ?? "") : "";
  const name = "a process lives until its last thread has gone: so long it holds its ports";
  if (process.platform === "linux" && python === "") skipAloud(name, "python3 is not on PATH");
  test.skipIf(python === "")(name, async () => {
    const child = Bun.spawn([python, "-c", leaderless], { stdout: "pipe" });
    try {
      await child.stdout.getReader().read();
      await eventually("its first thread to end", () => /\) Z /.test(readFileSync(`/proc/${child.pid}/stat`, "utf8")));
      expect([isAlive(child.pid), isZombie(child.pid)]).toEqual([true, false]);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    expect(isAlive(child.pid)).toBe(false);
  });
});
