import { expect, test } from "bun:test";
import { PriceTags } from "../../src/gateway/price-tags.ts";

test("prices of names that clients make up fill no memory, and are no new edition of the prices", () => {
  const sources = {
    book: { catalogue: {}, lists: {} },
    overrides: { "p:known": { pays: "free" as const } },
    providers: new Map(),
  };
  const tags = new PriceTags(() => sources);
  const edition = tags.edition();
  for (let at = 0; at < 5_000; at++) tags.find(`p:made-up-${at}`);
  expect(tags.size).toBe(2_000);
  expect(tags.edition()).toBe(edition);
  expect(tags.find("p:known")).toMatchObject({ kind: "free" });
  expect(tags.find("p:made-up-0")).toBeUndefined();
});
