import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { lookups } from "../../src/store/lookups.ts";
import { openStore } from "../../src/store/open.ts";
import { requestQueries } from "../../src/store/requests.ts";
import type { RequestRow } from "../../src/store/schema.ts";
import { makeHome } from "../support/gateway.ts";

const noon = 1_795_176_000_000;

function row(index: number, changes: Partial<RequestRow>): RequestRow {
  const startedAt = noon + index * 1000;
  return {
    id: `${startedAt.toString(36)}${String(index).padStart(6, "0")}`,
    startedAt,
    status: "completed",
    protocol: "messages",
    streamed: false,
    modelRequested: "clutch-big",
    attempts: 1,
    session: "one",
    compression: "front",
    tokensBefore: 1000,
    tokensAfter: 700,
    cacheReadTokens: 500,
    ...changes,
  };
}

test("what compression has come to is told by session, or by launch", async () => {
  const home = makeHome();
  const store = openStore(join(home, "clutch.db"));
  try {
    await requestQueries(store.db).save(
      [
        row(-10, {}),
        row(1, {}),
        row(2, { attempts: 3, compression: "sidecar" }),
        // It was tried on this one, and the client left before there was anything to count.
        row(3, { tokensBefore: null, tokensAfter: null, cacheReadTokens: null, attempts: 0 }),
        row(4, { session: "two", tokensAfter: 1000 }),
        row(5, { session: null, launchId: "launch1" }),
        row(6, { compression: null, tokensBefore: null, tokensAfter: null }),
      ],
      [],
    );
    const found = await lookups(store.db).savings(noon);
    expect(found.sort((one, other) => one.session.localeCompare(other.session))).toEqual([
      { session: "launch1", requests: 1, tokensBefore: 1000, tokensAfter: 700, cacheReadTokens: 500, retries: 0 },
      { session: "one", requests: 3, tokensBefore: 2000, tokensAfter: 1400, cacheReadTokens: 1000, retries: 2 },
      { session: "two", requests: 1, tokensBefore: 1000, tokensAfter: 1000, cacheReadTokens: 500, retries: 0 },
    ]);
  } finally {
    store.close();
    rmSync(home, { recursive: true, force: true });
  }
});
