import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realPath } from "../src/real-path.ts";

const folder = realpathSync(mkdtempSync(join(tmpdir(), "clutch-real-path-")));
afterAll(() => rmSync(folder, { recursive: true }));

test("a file is found while somebody replaces it again and again", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const link = join(folder, "link");
  symlinkSync(file, link);
  const replace = `
    const { renameSync, writeFileSync } = require("node:fs");
    for (;;) { writeFileSync(${JSON.stringify(`${file}.new`)}, ""); renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)}); }`;
  const replacer = Bun.spawn([process.execPath, "-e", replace], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    const endsAt = Date.now() + 1_000;
    while (Date.now() < endsAt) {
      if (realPath(file) !== file || realPath(link) !== file) throw new Error("another file was found");
    }
  } finally {
    replacer.kill();
    await replacer.exited;
  }
});

test("what is not there is told, a link to nothing too", () => {
  const link = join(folder, "lost");
  symlinkSync(join(folder, "nothing"), link);
  for (const path of [link, join(folder, "nothing")]) {
    expect(() => realPath(path)).toThrow(expect.objectContaining({ code: "ENOENT" }));
  }
});
