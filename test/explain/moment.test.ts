import { expect, test } from "bun:test";
import { parseMoment, parseSpan } from "../../src/explain/moment.ts";

const now = Date.parse("2026-11-20T13:45:30Z");

test.each([
  ["now", "2026-11-20T13:45:30.000Z"],
  ["90s", "2026-11-20T13:44:00.000Z"],
  ["10m", "2026-11-20T13:35:30.000Z"],
  ["2h", "2026-11-20T11:45:30.000Z"],
  ["1d", "2026-11-19T13:45:30.000Z"],
  ["2w", "2026-11-06T13:45:30.000Z"],
  ["today", "2026-11-20T00:00:00.000Z"],
  ["yesterday", "2026-11-19T00:00:00.000Z"],
  ["2026-11-18", "2026-11-18T00:00:00.000Z"],
  ["2026-11-18T14:30", "2026-11-18T14:30:00.000Z"],
  ["2026-11-18 14:30:07 UTC", "2026-11-18T14:30:07.000Z"],
  ["2026-11-18T14:30:07.250Z", "2026-11-18T14:30:07.250Z"],
  ["2026-11-18T14:30+02:00", "2026-11-18T12:30:00.000Z"],
  [" today ", "2026-11-20T00:00:00.000Z"],
])("parseMoment() takes %p for %s", (text, iso) => {
  expect(new Date(parseMoment(text, "--since", now)).toISOString()).toBe(iso);
});

test.each(["", "soon", "2", "2y", "-1d", "2026-13-01", "2026-11-20T25:00", "20.11.2026", "1e9d", "' OR 1=1 --"])(
  "parseMoment() refuses %p and says what it takes",
  (text) => {
    expect(() => parseMoment(text, "--until", now)).toThrow(`--until is "${text}", which is no moment`);
  },
);

test("parseSpan() knows no span without a unit", () => {
  expect([parseSpan("3h"), parseSpan("3"), parseSpan("h"), parseSpan("3hours")]).toEqual([
    10_800_000,
    undefined,
    undefined,
    undefined,
  ]);
});
