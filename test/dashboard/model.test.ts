import { expect, test } from "bun:test";
import { emptyModel, filterRequests, listIds, takeSilence, takeStatus, totalSpeed } from "../../src/dashboard/model.ts";
import { busy, ended, flight, now, status } from "./samples.ts";

const speaking = (tokens: number) => ({
  ...status,
  requests: [flight("a", { phase: "answering", output_tokens_estimate: tokens })],
});

test("a speed is that of the last seconds, and nothing is said too early", () => {
  const speeds: (number | null)[] = [];
  let model = emptyModel;
  // 100 tokens each half second, then none.
  const counts = [0, 100, 200, 300, 400, 500, 600, 700, 800, 800, 800, 800, 800, 800, 800];
  for (const [at, tokens] of counts.entries()) {
    model = takeStatus(model, speaking(tokens), now + at * 500);
    speeds.push(totalSpeed(model.flights));
  }
  expect(speeds.map((speed) => (speed === null ? null : Math.round(speed)))).toEqual([
    null,
    200,
    200,
    200,
    200,
    200,
    200,
    200,
    200,
    167,
    133,
    100,
    67,
    33,
    0,
  ]);
  expect(model.flights[0]?.samples.length).toBeLessThan(10);
});

test("speeds add up, and where nobody answers there is none", () => {
  expect(totalSpeed(busy.flights)).toBe(50);
  expect(totalSpeed([])).toBeNull();
  expect(totalSpeed(takeStatus(emptyModel, status, now).flights)).toBeNull();
});

test("a request that ended while the answer was put together is told of once", () => {
  const model = takeStatus(emptyModel, { ...status, requests: [flight("a"), flight("b")], recent: [ended("a")] }, now);
  expect(listIds(model)).toEqual(["b", "a"]);
});

test("those that ended last stand first, whenever they began", () => {
  const at = (id: string, second: number) => ended(id, { ended_at: `2026-11-20T11:00:0${second}.000Z` });
  const model = takeStatus(emptyModel, { ...status, requests: [], recent: [at("c", 1), at("b", 3), at("a", 2)] }, now);
  expect(listIds(model)).toEqual(["b", "a", "c"]);
});

test("without a gateway nothing is under way that anybody knows of; the rest stands", () => {
  const gone = takeSilence(busy, "no gateway answers", now + 1);
  expect(gone).toMatchObject({
    now: now + 1,
    gateway: { kind: "gone" },
    flights: [],
    tiers: busy.tiers,
    ended: busy.ended,
  });
});

test.each([
  ["", 4, 3],
  ["  ", 4, 3],
  ["xipf", 1, 0],
  ["GPT-5.1", 0, 3],
  ["overloaded", 1, 1],
  ["failed", 0, 0],
  ["error", 0, 1],
  ["groq answering", 1, 0],
  ["日本語", 1, 0],
  ["mwoxzzzx", 0, 1],
  ["k3j9x2", 4, 0],
])("the filter %p lets %p and %p through", (filter, flights, others) => {
  const shown = filterRequests(busy, filter);
  expect([shown.flights.length, shown.ended.length]).toEqual([flights, others]);
});
