import { describe, expect, test } from "bun:test";
import { type FailureKind, failure } from "../../providers/failure.ts";
import { applyLesson, Lessons, learn, lessonLifeMs, nothingLearnt } from "../../providers/lessons.ts";
import type { JsonObject, Protocol } from "../../src/protocols/chat.ts";

describe("learn() reads from a refusal", () => {
  const cases: [message: string, protocol: Protocol, sent: JsonObject, lesson: object | undefined][] = [
    [
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      "chat",
      { max_tokens: 10 },
      { quirks: { maxTokensField: "max_completion_tokens" }, renameFields: { max_tokens: "max_completion_tokens" } },
    ],
    [
      "Unrecognized request argument supplied: max_completion_tokens",
      "chat",
      { max_completion_tokens: 10 },
      { quirks: { maxTokensField: "max_tokens" }, renameFields: { max_completion_tokens: "max_tokens" } },
    ],
    [
      "stream_options: Extra inputs are not permitted",
      "chat",
      { stream_options: { include_usage: true } },
      { quirks: { streamOptions: false }, dropFields: ["stream_options"] },
    ],
    [
      "Unsupported value: 'xhigh' is not supported with the 'o3' model. Supported values are: 'low', 'medium', and 'high'.",
      "chat",
      { reasoning_effort: "xhigh" },
      { quirks: { efforts: ["low", "medium", "high"] } },
    ],
    [
      "reasoning.effort: Invalid value: 'high'",
      "responses",
      { reasoning: { effort: "high" } },
      { quirks: { efforts: ["minimal", "low", "medium"] } },
    ],
    ["System message must be at the beginning.", "chat", {}, { quirks: { systemFirstOnly: true, midSystem: false } }],
    [
      "`temperature` is deprecated for this model.",
      "messages",
      { temperature: 1 },
      { quirks: { sampling: false }, dropFields: ["temperature", "top_p", "top_k"] },
    ],
    [
      "adaptive thinking is not supported on this model",
      "messages",
      { thinking: { type: "adaptive" } },
      { quirks: { thinkingMode: "budget" } },
    ],
    [
      "Unexpected value(s) `effort-2025-11-24`, `context-management-2025-06-27` for the `anthropic-beta` header.",
      "messages",
      {},
      { dropBetas: ["effort-2025-11-24", "context-management-2025-06-27"] },
    ],
    [
      "context_management: Extra inputs are not permitted",
      "messages",
      { context_management: {} },
      { dropFields: ["context_management"] },
    ],
    [
      "output_config.effort: Input should be 'low', 'medium', 'high' or 'max'",
      "messages",
      { output_config: { effort: "xhigh" } },
      { quirks: { efforts: ["low", "medium", "high", "max"] } },
    ],
    [
      "messages.1.role: Input should be 'user' or 'assistant'",
      "messages",
      {},
      { quirks: { systemFirstOnly: true, midSystem: false } },
    ],
    [
      "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.",
      "chat",
      { max_tokens: 32000 },
      { maxOutputTokens: 16384 },
    ],
    [
      "This response_format type is unavailable now",
      "chat",
      { response_format: {} },
      { quirks: { outputFormat: false }, dropFields: ["response_format"] },
    ],
    // What carries the conversation, or was not sent, is never blamed.
    ["messages: Extra inputs are not permitted", "chat", { messages: [] }, undefined],
    ["temperature is not supported", "chat", {}, undefined],
    ["messages.0: the user content is not allowed", "chat", { user: "u" }, undefined],
    ["something else is wrong", "chat", { temperature: 1 }, undefined],
  ];
  test.each(cases)("%s", (message, protocol, sent, lesson) => {
    const expected = lesson === undefined ? undefined : { ...nothingLearnt, ...lesson };
    expect(learn(failure("bad-request", message), protocol, sent)).toEqual(expected as typeof nothingLearnt);
  });

  test.each(["rate-limit", "auth", "context-overflow", "upstream"] satisfies FailureKind[])(
    "nothing from a %s",
    (kind) => {
      expect(learn(failure(kind, "temperature is not supported"), "chat", { temperature: 1 })).toBeUndefined();
    },
  );
});

test("applyLesson() drops and renames top-level members, and returns the same body when there is nothing to do", () => {
  const body = { model: "m", max_tokens: 5, temperature: 1 };
  expect(applyLesson(body, nothingLearnt)).toBe(body);
  const lesson = {
    ...nothingLearnt,
    dropFields: ["temperature"],
    renameFields: { max_tokens: "max_completion_tokens" },
  };
  expect(applyLesson(body, lesson)).toEqual({ model: "m", max_completion_tokens: 5 });
});

test("applyLesson() lowers an output limit to the largest that the target takes, under whatever name it goes", () => {
  const lesson = { ...nothingLearnt, maxOutputTokens: 100 };
  expect(applyLesson({ max_tokens: 500, max_output_tokens: 50, max_completion_tokens: 101 }, lesson)).toEqual({
    max_tokens: 100,
    max_output_tokens: 50,
    max_completion_tokens: 100,
  });
});

test("Lessons add up per target and are forgotten after a day", () => {
  const lessons = new Lessons();
  lessons.keep("a", { ...nothingLearnt, dropFields: ["store"] }, 0);
  lessons.keep("a", { ...nothingLearnt, quirks: { sampling: false }, dropFields: ["store", "include"] }, 1000);
  expect(lessons.recall("a", 2000)).toEqual({
    ...nothingLearnt,
    quirks: { sampling: false },
    dropFields: ["store", "include"],
  });
  expect(lessons.recall("b", 2000)).toEqual(nothingLearnt);
  expect(lessons.recall("a", 1000 + lessonLifeMs)).toEqual(nothingLearnt);
});
