import { expect, test } from "bun:test";
import { renderError } from "../../src/errors.ts";
import { parsePeriod, renderDay } from "../../src/explain/period.ts";

/** A moment before midnight. */
const now = Date.parse("2026-11-20T23:59:59.999Z");

test.each([
  ["today", "2026-11-20", "2026-11-20"],
  ["yesterday", "2026-11-19", "2026-11-19"],
  ["1d", "2026-11-20", "2026-11-20"],
  ["7d", "2026-11-14", "2026-11-20"],
  ["30d", "2026-10-22", "2026-11-20"],
  ["month", "2026-11-01", "2026-11-20"],
  ["2026-10", "2026-10-01", "2026-10-31"],
  ["2024-02", "2024-02-01", "2024-02-29"],
  ["2026-11-03", "2026-11-03", "2026-11-03"],
  ["2026-11-01..2026-11-20", "2026-11-01", "2026-11-20"],
  ["2025-12-31..", "2025-12-31", "2026-11-20"],
  ["2026-11-20..2026-12-24", "2026-11-20", "2026-12-24"],
])("%s is %s to %s", (text, from, to) => {
  const span = parsePeriod(text, now);
  expect([renderDay(span.fromDay), renderDay(span.toDay)]).toEqual([from, to]);
});

test.each([
  ["", "it names no day"],
  ["..", "it ends before it begins"],
  ["tomorrow", '"tomorrow" is no day'],
  ["0d", '"0d" is no day'],
  ["99999d", '"99999d" is no day'],
  ["2026-13", '"2026-13" is no day'],
  ["2026-02-30", '"2026-02-30" is no day'],
  ["2026-11-20..2026-11-01", "it ends before it begins"],
  ["2026-11-01' OR 1=1", '"2026-11-01\' OR 1=1" is no day'],
])("%p is refused", (text, reason) => {
  let said = "";
  try {
    parsePeriod(text, now);
  } catch (error) {
    said = renderError(error);
  }
  expect(said).toBe(
    `cannot read the period ${JSON.stringify(text)}: ${reason}: write today, yesterday, 7d, 30d, month, 2026-11, 2026-11-20, or 2026-11-01..2026-11-20`,
  );
});
