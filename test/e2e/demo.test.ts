import { expect, test } from "bun:test";
import { join } from "node:path";

test("the demo plays its cascade to the end, as it should go", async () => {
  const program = join(import.meta.dir, "../../src/main.ts");
  const child = Bun.spawn([process.execPath, program, "demo"], {
    cwd: "/",
    env: { PATH: "/usr/bin:/bin", HOME: "/nowhere", NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 20_000,
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  expect(stdout).toMatch(/1\. left .*free-models-per-day[\s\S]*2\. left [\s\S]*3\. left [\s\S]*4\. serves/);
}, 25_000);
