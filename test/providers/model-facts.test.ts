import { describe, expect, test } from "bun:test";
import { findModel, isPaid, type ModelFacts } from "../../providers/model-facts.ts";
import { readModelSnapshot, readWholeSnapshot } from "../../providers/model-snapshot.ts";

const row = (context: number): ModelFacts => ({ context, output: 1 });
const catalogue = { p: { "v/a": row(1), "v/b:free": row(2), "q2.5": row(3) } };

describe("findModel()", () => {
  test.each([
    ["p", "v/a", 1],
    ["p", "v/a:free", 1],
    ["p", "v/b:free", 2],
    ["p", "v/b", undefined],
    // A size is no variant.
    ["p", "q2.5:72b", undefined],
    ["p", "constructor", undefined],
    ["toString", "v/a", undefined],
    ["other", "v/a", undefined],
  ])("%s %s", (provider, model, context) => {
    expect(findModel(provider, model, catalogue)?.context).toBe(context as number);
  });
});

test.each([
  ["v/a", undefined, undefined],
  ["v/a", row(1), undefined],
  ["v/a", { ...row(1), usd: [1, 2, 0, 0] }, true],
  ["v/a", { ...row(1), usd: [0, 2, 0, 0] }, true],
  ["v/a", { ...row(1), usd: [0, 0, 0, 0] }, false],
  // The facts of its paid variant.
  ["v/a:free", { ...row(1), usd: [1, 2, 0, 0] }, false],
  ["v/a:free", undefined, false],
])("isPaid() of %s with %j is %p", (model, facts, expected) => {
  expect(isPaid(model, facts)).toBe(expected as boolean);
});

test("the snapshot says what is free, and that all of it takes tools", () => {
  const { takenAt, catalogue: whole } = readWholeSnapshot();
  expect(takenAt).toMatch(/^20\d\d-\d\d-\d\d$/);
  const models = Object.entries(whole).flatMap(([provider, rows]) =>
    Object.entries(rows).map(([model, facts]) => ({ provider, model, facts })),
  );
  expect(models.length).toBe(Object.values(readModelSnapshot()).flatMap((rows) => Object.keys(rows)).length);
  expect(models.filter(({ facts }) => facts.tools !== true || facts.list !== "snapshot")).toEqual([]);
  const free = models.filter(({ facts }) => facts.isFree === true);
  expect(free.length).toBeGreaterThan(0);
  for (const { provider, model } of free) expect([provider, model.endsWith(":free")]).toEqual(["openrouter", true]);
  const zeroElsewhere = models.filter(({ provider, facts }) => provider === "zen" && facts.usd?.[1] === 0);
  expect(zeroElsewhere.length).toBeGreaterThan(0);
  for (const { facts } of zeroElsewhere) expect([facts.isFree, facts.isPlan]).toEqual([undefined, true]);
});
