import { expect, test } from "bun:test";
import { OverflowBrake } from "../../src/gateway/overflow-brake.ts";

test("overflows in a row wait longer and longer, up to 15 s", () => {
  const brake = new OverflowBrake(() => 0);
  const waits = Array.from({ length: 10 }, () => brake.overflowed("s"));
  expect(waits).toEqual([0, 0, 0, 0, 1000, 2000, 4000, 8000, 15000, 15000]);
});

test("an answer, another session and ten quiet minutes each start anew", () => {
  let now = 0;
  const brake = new OverflowBrake(() => now);
  const fill = () => Array.from({ length: 5 }, () => brake.overflowed("s")).at(-1);
  expect(fill()).toBe(1000);
  expect(brake.overflowed("other")).toBe(0);
  brake.answered("s");
  expect(fill()).toBe(1000);
  now = 11 * 60_000;
  expect(brake.overflowed("s")).toBe(0);
});
