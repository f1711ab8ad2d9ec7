import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";
import { findLastSession } from "../../src/store/sessions.ts";

const folder = mkdtempSync(join(tmpdir(), "clutch-sessions-"));
afterAll(() => rmSync(folder, { recursive: true }));

function row(id: string, launchId: string | null, session: string | null): RequestRow {
  return {
    id,
    startedAt: 1,
    status: "completed",
    protocol: "messages",
    streamed: true,
    launchId,
    session,
    modelRequested: "m",
    attempts: 1,
  };
}

test("findLastSession() knows the newest session of a launch, while a gateway writes and after it", async () => {
  const path = join(folder, "clutch.db");
  const store = openStore(path);
  await requestQueries(store.db).save(
    [
      row("a-03", "l1", "second"),
      row("a-01", "l1", "first"),
      row("a-04", "l1", null),
      row("a-05", "l2", "another"),
      row("a-06", null, "nobody's"),
      row("a-07", "l3", null),
    ],
    [],
  );
  const ask = () => Promise.all(["l1", "l2", "l3", "l4"].map((launch) => findLastSession(path, launch)));
  const expected = ["second", "another", undefined, undefined];
  expect(await ask()).toEqual(expected);
  store.close();
  expect(await ask()).toEqual(expected);
  chmodSync(path, 0o400);
  expect(await ask()).toEqual(expected);
});

test("findLastSession() knows nothing without a database", async () => {
  expect(await findLastSession(join(folder, "none", "clutch.db"), "l1")).toBeUndefined();
});
