import { expect, test } from "bun:test";
import { Calibration, collectCountable, countTokens } from "../../src/gateway/token-count.ts";

test("collectCountable() finds everything that is charged for", () => {
  const body = {
    system: [{ type: "text", text: "sys" }],
    tools: [{ name: "t" }],
    messages: [
      { role: "user", content: "hello" },
      {
        role: "assistant",
        content: [
          { type: "thinking", thinking: "hm", signature: "s" },
          { type: "tool_use", id: "1", input: { a: 1 } },
        ],
      },
      {
        role: "user",
        content: [
          {
            type: "tool_result",
            content: [
              { type: "text", text: "out" },
              { type: "image", source: {} },
            ],
          },
          { type: "document", source: { type: "text", data: "doc" } },
          { type: "image", source: {} },
        ],
      },
    ],
  };
  expect(collectCountable(body)).toEqual({
    texts: ["sys", "hello", "hm", '{"a":1}', "out", "doc", '{"name":"t"}'],
    images: 2,
    items: 4,
  });
});

test("countTokens() counts what a tokenizer counts, control words included, in text of any length", async () => {
  expect(await countTokens({ texts: ["hello world"], images: 0, items: 0 })).toBe(2);
  expect(await countTokens({ texts: ["<|endoftext|>"], images: 0, items: 0 })).toBeGreaterThan(1);
  expect(await countTokens({ texts: ["hello world ".repeat(10_000)], images: 0, items: 0 })).toBeWithin(20_000, 20_020);
  expect(await countTokens({ texts: [], images: 1, items: 1 })).toBe(1604);
});

test("Calibration follows what a model reports, once it has seen enough", () => {
  const calibration = new Calibration();
  const report = (input: number) => ({ input, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 });
  expect(calibration.correct("m", 1000, 4000)).toBe(1000);
  for (let seen = 0; seen < 2; seen++) calibration.observe("m", 4000, report(1200));
  expect(calibration.correct("m", 1000, 4000)).toBe(1000);
  calibration.observe("m", 4000, report(1200));
  expect(calibration.correct("m", 1000, 4000)).toBe(1200);
  expect(calibration.correct("other", 1000, 4000)).toBe(1000);
});

test("Calibration learns nothing from guesses, tiny requests and absurd figures", () => {
  const calibration = new Calibration();
  const report = { input: 9_000_000, cacheRead: 0, cacheWrite: 0, output: 1, reasoning: 0 };
  for (let seen = 0; seen < 5; seen++) {
    calibration.observe("guessed", 4000, { ...report, estimated: true });
    calibration.observe("tiny", 100, report);
    calibration.observe("absurd", 4000, report);
  }
  expect(calibration.correct("guessed", 1000, 4000)).toBe(1000);
  expect(calibration.correct("tiny", 1000, 4000)).toBe(1000);
  expect(calibration.correct("absurd", 1000, 4000)).toBe(2000);
});
