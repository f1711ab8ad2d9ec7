import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, type Store } from "../../src/store/open.ts";
import { firstIdOf, type RequestFilter, type RequestList, requestList } from "../../src/store/request-list.ts";
import { RequestTail } from "../../src/store/request-tail.ts";
import { type RequestQueries, requestQueries } from "../../src/store/requests.ts";
import { madeRow } from "../support/ledger-rows.ts";

const noon = Date.parse("2026-11-20T12:00:00Z");
const minute = 60_000;
const folder = mkdtempSync(join(tmpdir(), "clutch-request-list-"));
const stores: Store[] = [];
let list: RequestList;

function open(name: string): { queries: RequestQueries; list: RequestList } {
  const store = openStore(join(folder, name));
  stores.push(store);
  return { queries: requestQueries(store.db), list: requestList(store.db) };
}

beforeAll(async () => {
  const made = open("filters.db");
  list = made.list;
  await made.queries.save(
    [
      madeRow(noon, "a", { agent: "c", code: "cip", launchId: "k3j9", session: "1f3a-88", trail: "{}" }),
      madeRow(noon + minute, "b", {
        agent: "x",
        session: "1f3b-00",
        servedBy: "openai:gpt-5",
        modelRequested: "GPT-5",
      }),
      madeRow(noon + 2 * minute, "c", { agent: "c", status: "error", servedBy: null, modelRequested: "50%_off" }),
      madeRow(noon + 3 * minute, "d", { status: "pending", servedBy: null, agent: null }),
      madeRow(noon + 4 * minute, "e", { status: "aborted", modelRequested: "it's; DROP TABLE requests --" }),
    ],
    [],
  );
});

afterAll(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

/** By the first character behind the time. */
function letters(rows: readonly { id: string }[]): string {
  return rows.map(({ id }) => id[8]).join("");
}

describe("newest()", () => {
  test.each<[what: string, filter: RequestFilter, found: string]>([
    ["everything", {}, "edcba"],
    ["agents", { agents: ["x", "p"] }, "b"],
    ["two agents", { agents: ["x", "c"] }, "cba"],
    ["a part of the model, in any case", { model: "gpt" }, "b"],
    ["signs that LIKE would take for others", { model: "0%_o" }, "c"],
    ["a sign alone", { model: "%" }, "c"],
    ["a part of who served", { servedBy: "Kimi" }, "ea"],
    ["statuses", { statuses: ["error", "aborted"] }, "ec"],
    ["no status", { statuses: [] }, ""],
    ["a session", { session: "1f3a-88" }, "a"],
    ["the beginning of sessions", { session: "1f3" }, "ba"],
    ["a session's end", { session: "88" }, ""],
    ["a launch", { launchId: "k3j9" }, "a"],
    ["since", { since: noon + 2 * minute }, "edc"],
    ["until", { until: noon + 2 * minute }, "ba"],
    ["both", { since: noon + minute, until: noon + 2 * minute }, "b"],
    ["all at once", { agents: ["c"], since: noon, statuses: ["completed"], model: "big", launchId: "k3j9" }, "a"],
    ["SQL in the model", { model: "x' OR '1'='1" }, ""],
    ["SQL that is a model's name", { model: "it's; DROP TABLE requests --" }, "e"],
    ["SQL in a session", { session: "'; DELETE FROM requests; --" }, ""],
    ["SQL in an agent", { agents: ["c') OR 1=1 --"] }, ""],
    ["SQL in a launch", { launchId: "' UNION SELECT * FROM requests --" }, ""],
  ])("finds by %s", async (_what, filter, found) => {
    expect(letters(await list.newest(filter, 10))).toBe(found);
    expect(letters((await list.page(filter, "", 10)).reverse())).toBe(found);
    expect(letters(await list.newest({}, 10))).toBe("edcba");
  });

  test("takes no more than it is asked for, and leaves the trail where it is", async () => {
    const rows = await list.newest({}, 2);
    expect(letters(rows)).toBe("ed");
    expect(rows.every((row) => !("trail" in row))).toBe(true);
  });
});

test("page() goes on behind an id", async () => {
  const first = await list.page({}, "", 2);
  expect(letters(first)).toBe("ab");
  expect(letters(await list.page({}, first[1]?.id ?? "", 2))).toBe("cd");
});

test("firstIdOf() is before every id of its moment, and behind every one of an earlier one", () => {
  const id = madeRow(noon, "000000").id;
  expect(firstIdOf(noon) < id).toBe(true);
  expect(firstIdOf(noon + 1) > madeRow(noon, "zzzzzz").id).toBe(true);
  expect(firstIdOf(-5) < id).toBe(true);
});

describe("RequestTail", () => {
  test("tells of each request once, when it has ended, however long it took", async () => {
    const { queries, list: rows } = open("tail.db");
    const old = madeRow(noon - 3_600_000, "o");
    const long = madeRow(noon - 600_000, "l", { status: "pending" });
    const brief = madeRow(noon + 1_000, "b", { status: "pending" });
    await queries.save([old, long], []);
    const tail = new RequestTail({});
    expect(letters(await tail.begin(rows, 5, noon))).toBe("o");
    expect(letters(await tail.look(rows, noon + 500))).toBe("");
    await queries.save([brief], []);
    expect(letters(await tail.look(rows, noon + 1_100))).toBe("");
    await queries.save([{ ...brief, status: "error" }, madeRow(noon + 1_200, "q")], []);
    expect(letters(await tail.look(rows, noon + 1_500))).toBe("bq");
    expect(letters(await tail.look(rows, noon + 1_600))).toBe("");
    await queries.save([{ ...long, status: "aborted" }], []);
    expect(letters(await tail.look(rows, noon + 600_000))).toBe("l");
    expect(letters(await tail.look(rows, noon + 700_000))).toBe("");
  });

  test("begins with as many as are wanted, and tells of none of them again", async () => {
    const { queries, list: rows } = open("begin.db");
    await queries.save([madeRow(noon - 3000, "a"), madeRow(noon - 2000, "b"), madeRow(noon - 1000, "c")], []);
    const tail = new RequestTail({});
    expect(letters(await tail.begin(rows, 2, noon))).toBe("bc");
    expect(letters(await tail.look(rows, noon + 1))).toBe("");
    expect(letters(await new RequestTail({}).begin(rows, 0, noon))).toBe("");
  });

  test("tells only of what the filter lets through, and not of what is under way", async () => {
    const { queries, list: rows } = open("filtered.db");
    const tail = new RequestTail({ agents: ["c"], statuses: ["pending", "error"] });
    expect(await tail.begin(rows, 5, noon)).toEqual([]);
    const asked = { agent: "c", status: "pending" } as const;
    await queries.save([madeRow(noon, "a", asked), madeRow(noon, "b", { agent: "x", status: "error" })], []);
    await queries.save([madeRow(noon, "d", { agent: "c" })], []);
    expect(await tail.look(rows, noon + 10)).toEqual([]);
    await queries.save([madeRow(noon, "a", { ...asked, status: "error" })], []);
    expect(letters(await tail.look(rows, noon + 20))).toBe("a");
  });

  test("misses nothing when the gateway's clock is behind", async () => {
    const { queries, list: rows } = open("clock.db");
    const tail = new RequestTail({});
    await tail.begin(rows, 5, noon);
    await queries.save([madeRow(noon - 30_000, "s")], []);
    expect(letters(await tail.look(rows, noon + 100))).toBe("s");
  });
});
