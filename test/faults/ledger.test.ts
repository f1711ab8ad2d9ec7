/** What can happen to the ledger while agents work: no request is to notice any of it. */

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whole } from "../support/answers.ts";
import { json, startFakeUpstream } from "../support/fake-upstream.ts";
import {
  ask,
  buildConfig,
  eventually,
  makeHome,
  programs,
  readLedger,
  startServe,
  startTestGateway,
} from "../support/gateway.ts";

const good = json(whole.chat);
const homes: string[] = [];
afterAll(() => {
  for (const home of homes) rmSync(home, { recursive: true, force: true });
});

const health = async (url: string) =>
  (await (await fetch(`${url}/health`)).json()) as { status: string; problems: string[] };

for (const program of programs) {
  test(`a ledger that is none is moved aside, and the service goes on: ${program.name}`, async () => {
    const home = makeHome();
    homes.push(home);
    const database = join(home, "clutch.db");
    const precious = "not a database, but long enough to be looked at ".repeat(100);
    writeFileSync(database, precious);
    const upstream = await startFakeUpstream({ m: good });
    const server = await startServe({
      home,
      config: buildConfig(upstream.port, { cascade: ["chat:m"] }),
      argv: program.argv,
    });
    try {
      const { status, problems } = await health(server.url);
      const [problem = ""] = problems;
      expect([status, problem]).toEqual([
        "degraded",
        expect.stringMatching(/^the ledger was broken: it is now .*, and a new one was begun$/),
      ]);
      const place = /now (\S+), and/.exec(problem)?.[1] ?? "";
      expect(readFileSync(place, "utf8")).toBe(precious);
      await eventually("a word on it", () => server.output().includes(problem));
      const response = await ask(server.url, "chat", "any-model", false);
      expect(response.status).toBe(200);
      expect(await readLedger(database).request(response.headers.get("x-clutch-request-id"))).toMatchObject({
        status: "completed",
      });
    } finally {
      server.kill("SIGTERM");
      await server.exited;
      await upstream.stop();
    }
  }, 20_000);
}

test("while the disk is full requests go on, /health tells it, and nothing is lost when there is room again", async () => {
  await using gateway = await startTestGateway({ replies: { m: good }, cascade: ["chat:m"] });
  const { $client } = gateway.store.db;
  // SQLite's own word for a disk without room, for this connection alone.
  const [[pages] = []] = $client.query("PRAGMA page_count").values();
  $client.run(`PRAGMA max_page_count = ${pages}`);
  const filler = "x".repeat(200);
  const ids: (string | null)[] = [];
  for (let request = 0; request < 60; request++) {
    const response = await gateway.ask("chat", `${filler}-${request}`, request % 2 === 0);
    expect(response.status).toBe(200);
    await response.text();
    ids.push(response.headers.get("x-clutch-request-id"));
  }
  await eventually("a word", () => gateway.lines.some((line) => line.includes("database or disk is full")), 5000);
  expect(gateway.lines.filter((line) => line.includes("the ledger cannot be written")).length).toBe(1);
  expect((await health(gateway.url)).problems).toEqual([
    expect.stringMatching(/^the ledger cannot be written: \d+ rows wait$/),
  ]);
  $client.run("PRAGMA max_page_count = 1000000");
  for (const id of ids) expect((await gateway.request(id))["status"]).toBe("completed");
  expect(gateway.store.db.$client.query("SELECT sum(requests), sum(output_tokens) FROM usage_days").values()).toEqual([
    [60, 3000],
  ]);
  expect((await health(gateway.url)).problems).toEqual([]);
}, 20_000);

test("a ledger that breaks while it is written to costs no request, and the next start begins a new one", async () => {
  const home = makeHome();
  homes.push(home);
  mkdirSync(home, { recursive: true });
  const broken = await startTestGateway({ replies: { m: good }, cascade: ["chat:m"], home });
  const { $client } = broken.store.db;
  for (let request = 0; request < 3; request++) await (await broken.ask("chat", "any-model", false)).text();
  await eventually("rows", () => broken.requests().length === 3);
  // The root page of the table, as a disk would spoil it.
  $client.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const [[root, size] = []] = $client
    .query("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_master WHERE name = 'requests'")
    .values() as [number, number][];
  const path = join(home, "clutch.db");
  const bytes = readFileSync(path);
  bytes.fill(0x5a, ((root ?? 0) - 1) * (size ?? 0), (root ?? 0) * (size ?? 0));
  writeFileSync(path, bytes);
  $client.run("PRAGMA shrink_memory");
  for (let request = 0; request < 3; request++) {
    expect((await broken.ask("chat", "any-model", false)).status).toBe(200);
  }
  await eventually("a word", () => broken.lines.some((line) => line.includes("the next start puts it aside")), 5000);
  await broken.stop(0);
  await broken.upstream.stop();
  await using next = await startTestGateway({ replies: { m: good }, cascade: ["chat:m"], home });
  expect(next.lines[0]).toStartWith("the ledger was broken: it is now ");
  expect((await next.ask("chat", "any-model", false)).status).toBe(200);
}, 20_000);

test("a clock that jumps back, and forward over midnight, leaves whole rows on the days that they say", async () => {
  const clock = { now: Date.parse("2026-11-20T23:30:00Z") };
  await using gateway = await startTestGateway({
    replies: {
      m: () => {
        clock.now += jump;
        return good;
      },
    },
    cascade: ["chat:m"],
    now: () => clock.now,
  });
  let jump = 0;
  const once = async (by: number) => {
    jump = by;
    const response = await gateway.ask("chat", "any-model", false);
    expect(response.status).toBe(200);
    return gateway.request(response.headers.get("x-clutch-request-id"));
  };
  const hour = 3_600_000;
  const rows = [await once(0), await once(-2 * hour), await once(3 * hour), await once(0)];
  expect(rows.map((row) => row["duration_ms"])).toEqual([0, 0, 3 * hour, 0]);
  expect(rows.map((row) => new Date(Number(row["started_at"])).toISOString())).toEqual([
    "2026-11-20T23:30:00.000Z",
    "2026-11-20T23:30:00.000Z",
    "2026-11-20T21:30:00.000Z",
    "2026-11-21T00:30:00.000Z",
  ]);
  const days = gateway.store.db.$client.query("SELECT day, sum(requests) FROM usage_days GROUP BY day").values();
  const day = Date.parse("2026-11-20") / 86_400_000;
  expect(days).toEqual([
    [day, 3],
    [day + 1, 1],
  ]);
});
