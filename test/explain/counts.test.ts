import { expect, test } from "bun:test";
import { renderUsd } from "../../src/explain/counts.ts";

test.each<[usd: number | null, text: string]>([
  [null, "unknown"],
  [0, "$0.00"],
  [0.000_001, "<$0.0001"],
  [0.000_049, "<$0.0001"],
  [0.000_05, "$0.0001"],
  [0.0042, "$0.0042"],
  [0.01, "$0.01"],
  [1.25, "$1.25"],
])("money: %p is %p", (usd, text) => {
  expect(renderUsd(usd)).toBe(text);
});
