import { expect, test } from "bun:test";
import { styleBody } from "../../src/gateway/thinking.ts";
import type { JsonObject } from "../../src/protocols/chat.ts";
import { plainQuirks } from "../../src/protocols/codec.ts";

/** Of a model that takes a budget of tokens and no effort. */
const budgeted = { ...plainQuirks, thinkingMode: "budget" } as const;
const enabled = { type: "enabled", budget_tokens: 2000 };

const cases: [body: JsonObject, reasoning: { effort?: string; max_tokens?: number }, after: JsonObject][] = [
  [
    { max_tokens: 32_000, thinking: enabled },
    { effort: "medium" },
    { max_tokens: 32_000, thinking: { type: "enabled", budget_tokens: 10_240 } },
  ],
  [
    { max_tokens: 32_000, thinking: enabled },
    { max_tokens: 5000 },
    { max_tokens: 32_000, thinking: { type: "enabled", budget_tokens: 5000 } },
  ],
  // It has to be less than the whole answer, and no less than 1024.
  [
    { max_tokens: 4000, thinking: enabled },
    { effort: "max" },
    { max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 3999 } },
  ],
  [
    { max_tokens: 32_000, thinking: enabled },
    { max_tokens: 10 },
    { max_tokens: 32_000, thinking: { type: "enabled", budget_tokens: 1024 } },
  ],
  [{ max_tokens: 500, thinking: enabled }, { effort: "high" }, { max_tokens: 500, thinking: enabled }],
  // Thinking that the client has not switched on stays off: it would not send the blocks back.
  [{ max_tokens: 32_000 }, { effort: "high" }, { max_tokens: 32_000 }],
  [
    { max_tokens: 32_000, thinking: enabled },
    { effort: "none" },
    { max_tokens: 32_000, thinking: { type: "disabled" } },
  ],
];
test.each(cases)("%j with %j by a budget", (body, reasoning, after) => {
  expect(styleBody(body, "messages", budgeted, { reasoning })).toEqual(after);
});

test("a model that does not think is asked as it was", () => {
  const quirks = { ...plainQuirks, thinkingMode: "none", reasoningParam: "none" } as const;
  for (const protocol of ["messages", "chat"] as const) {
    expect(styleBody({ model: "m" }, protocol, quirks, { reasoning: { effort: "high" } })).toEqual({ model: "m" });
  }
});
