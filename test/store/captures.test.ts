import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captureQueries } from "../../src/store/captures.ts";
import { openStore } from "../../src/store/open.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-captures-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("bodies come back as they were kept, and none that expands without an end", async () => {
  const store = openStore(join(folder, "clutch.db"));
  try {
    const { save, find } = captureQueries(store.db);
    const about = {
      createdAt: 1,
      protocol: "chat" as const,
      query: "",
      headers: {},
      requestBytes: 3,
      responseBytes: 0,
    };
    await save([{ ...about, requestId: "a", request: "äöü", response: undefined }]);
    expect(await find("a")).toEqual({ ...about, requestId: "a", request: "äöü", response: undefined });
    const bomb = Bun.zstdCompressSync(Buffer.alloc(256 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(100_000);
    store.db.$client.run("UPDATE captures SET request = ?, response = ?", [bomb, Buffer.from("no zstd at all")]);
    expect(await find("a")).toMatchObject({ requestId: "a", request: undefined, response: undefined });
  } finally {
    store.close();
  }
});
