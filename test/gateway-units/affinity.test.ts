import { describe, expect, test } from "bun:test";
import { Affinity } from "../../src/gateway/affinity.ts";
import { referenceOf, targetOf } from "./targets.ts";

const start = 1_000_000;
const minuteMs = 60_000;

/** One model at three endpoints, between two others. */
const planned = [
  "openai:small",
  "openrouter:vendor/kimi:free",
  "openrouter:vendor/kimi",
  "mybox:kimi",
  "openai:large",
].map((reference) => targetOf(reference));
const references = planned.map(referenceOf);

function stayed(reference: string): Affinity {
  const affinity = new Affinity();
  affinity.served("s", targetOf(reference), planned, start);
  return affinity;
}

const order = (affinity: Affinity, now = start) => affinity.arrange("s", planned, now).map(referenceOf);

describe("the order of the candidates", () => {
  const [small = "", free = "", paid = "", box = "", large = ""] = references;

  test.each([
    ["a stay at another endpoint of the model comes before the first of them", box, [small, box, free, paid, large]],
    ["and the one in the middle too", paid, [small, paid, free, box, large]],
    ["the first endpoint is where it was", free, references],
    ["another model never moves: the order of models is the user's", large, references],
    ["nor does one that is no candidate any more", "openai:kimi", references],
  ])("%s", (_name, stay, expected) => {
    expect(order(stayed(stay))).toEqual(expected);
  });

  test.each([
    ["for another session", "t"],
    ["for a request without a session", undefined],
  ])("is the planned one %s", (_name, session) => {
    const affinity = stayed(box);
    affinity.served(undefined, targetOf(box), planned, start);
    expect(affinity.arrange(session, planned, start)).toEqual(planned);
  });

  test("is the planned one after five minutes, however often the session was served there meanwhile", () => {
    const affinity = stayed(box);
    for (let minute = 1; minute <= 4; minute++) affinity.served("s", targetOf(box), planned, start + minute * minuteMs);
    expect(order(affinity, start + 5 * minuteMs)).toEqual([small, box, free, paid, large]);
    expect(order(affinity, start + 5 * minuteMs + 1)).toEqual(references);
  });

  test("is the planned one as soon as the first has served again", () => {
    const affinity = stayed(box);
    affinity.served("s", targetOf(free), planned, start + 1);
    expect(order(affinity, start + 2)).toEqual(references);
  });

  test("outlives what the session asks of another model", () => {
    const affinity = stayed(box);
    affinity.served("s", targetOf(small), planned, start + 1);
    affinity.served(
      "s",
      targetOf("openrouter:vendor/large"),
      [targetOf("openai:large"), targetOf("openrouter:vendor/large")],
      start + 1,
    );
    expect(order(affinity, start + 2)).toEqual([small, box, free, paid, large]);
  });
});

describe("a session's key", () => {
  const withKey = (keyId: string, model = "m") => targetOf(`pooled:${model}`, { key: { id: keyId, value: "x" } });
  const pool = [targetOf("pooled:m")];
  const keyOf = (affinity: Affinity, reference = "pooled:m", now = start) =>
    affinity.keyFor("s", targetOf(reference), now);

  test("is kept for the model that it served, for five minutes", () => {
    const affinity = new Affinity();
    affinity.served("s", withKey("#2"), pool, start);
    expect(keyOf(affinity)).toBe("#2");
    expect(keyOf(affinity, "pooled:m", start + 5 * minuteMs)).toBe("#2");
    expect(keyOf(affinity, "pooled:m", start + 5 * minuteMs + 1)).toBeUndefined();
    expect(keyOf(affinity, "pooled:other")).toBeUndefined();
    expect(keyOf(affinity, "openai:m")).toBeUndefined();
    expect(affinity.keyFor("t", targetOf("pooled:m"), start)).toBeUndefined();
    expect(affinity.keyFor(undefined, targetOf("pooled:m"), start)).toBeUndefined();
  });

  test("is none where the first one serves", () => {
    const affinity = new Affinity();
    affinity.served("s", withKey("#2"), pool, start);
    affinity.served("s", withKey("#1"), pool, start + 1);
    expect(keyOf(affinity)).toBeUndefined();
  });

  test("that is another begins a stay anew", () => {
    const affinity = new Affinity();
    affinity.served("s", withKey("#2"), pool, start);
    affinity.served("s", withKey("#3"), pool, start + 4 * minuteMs);
    expect(keyOf(affinity, "pooled:m", start + 8 * minuteMs)).toBe("#3");
  });

  test("is forgotten for the session that was served longest ago, beyond ten thousand", () => {
    const affinity = new Affinity();
    const serve = (index: number) => affinity.served(`s${index}`, withKey("#2"), pool, start);
    for (let index = 0; index < 10_000; index++) serve(index);
    serve(0);
    serve(10_000);
    const known = [0, 1, 2, 10_000].map((index) => affinity.keyFor(`s${index}`, targetOf("pooled:m"), start));
    expect(known).toEqual(["#2", undefined, "#2", "#2"]);
  });
});
