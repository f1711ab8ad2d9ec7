import { describe, expect, test } from "bun:test";
import { commits, isEmptyAnswer } from "../../src/gateway/commit.ts";
import { eventsOf } from "../../src/gateway/fold.ts";
import type { ChatEvent, ChatResponse, Usage } from "../../src/protocols/chat.ts";

const usage: Usage = { input: 1, cacheRead: 2, cacheWrite: 3, output: 4, reasoning: 0 };

describe("commits()", () => {
  const cases: [event: ChatEvent, whenShown: boolean, whenHidden: boolean][] = [
    [{ type: "text-delta", text: "a" }, true, true],
    [{ type: "text-delta", text: "" }, false, false],
    [{ type: "refusal-delta", text: "no" }, true, true],
    [{ type: "refusal-delta", text: "" }, false, false],
    [{ type: "reasoning-delta", text: "hm" }, true, false],
    [{ type: "reasoning-delta", text: "" }, false, false],
    [{ type: "reasoning-end", replay: { kind: "openai", encrypted: "x" } }, false, false],
    [{ type: "tool-start", call: 0, id: "c", name: "ls" }, true, true],
    [{ type: "opaque" }, true, true],
    [{ type: "start", id: "i", model: "m" }, false, false],
    [{ type: "text-end" }, false, false],
    [{ type: "usage", usage }, false, false],
    [{ type: "finish", reason: "stop" }, false, false],
    [{ type: "error", error: { kind: "reported", message: "x" } }, false, false],
  ];
  test.each(cases)("%j: %p, without sight of reasoning %p", (event, whenShown, whenHidden) => {
    expect([commits(event, true, false), commits(event, false, false)]).toEqual([whenShown, whenHidden]);
  });

  test("where a call has to come, words do not commit, and the call does", () => {
    expect(commits({ type: "text-delta", text: "I will" }, true, true)).toBe(false);
    expect(commits({ type: "reasoning-delta", text: "hm" }, true, true)).toBe(false);
    expect(commits({ type: "tool-start", call: 0, id: "c", name: "ls" }, true, true)).toBe(true);
  });
});

describe("isEmptyAnswer()", () => {
  const cases: [name: string, response: Partial<ChatResponse>, isEmpty: boolean][] = [
    ["nothing", {}, true],
    ["an empty text", { parts: [{ type: "text", text: "" }] }, true],
    ["usage alone", { usage }, true],
    [
      "reasoning that shows no text",
      { parts: [{ type: "reasoning", text: "", replay: { kind: "redacted", data: "x" } }] },
      true,
    ],
    ["a text", { parts: [{ type: "text", text: "a" }] }, false],
    ["a refusal", { parts: [{ type: "refusal", text: "no" }] }, false],
    ["readable reasoning", { parts: [{ type: "reasoning", text: "hm" }] }, false],
    ["a call", { parts: [{ type: "tool-call", id: "c", name: "ls", arguments: "{}" }] }, false],
    ["a hosted tool's output", { hasOpaque: true }, false],
  ];
  test.each(cases)("judges %s", (_name, response, isEmpty) => {
    expect(isEmptyAnswer({ parts: [], finish: "stop", ...response })).toBe(isEmpty);
  });
});

describe("eventsOf()", () => {
  const cases: [name: string, response: ChatResponse, events: ChatEvent[]][] = [
    ["nothing but its end", { parts: [], finish: "stop" }, [{ type: "start" }, { type: "finish", reason: "stop" }]],
    [
      "every kind of part, in order",
      {
        id: "i",
        model: "m",
        parts: [
          { type: "reasoning", text: "hm", replay: { kind: "anthropic", signature: "s" } },
          { type: "reasoning", text: "" },
          { type: "text", text: "a" },
          { type: "refusal", text: "no" },
          { type: "tool-call", id: "c1", name: "ls", arguments: "{}" },
          { type: "tool-call", id: "c2", name: "cat", arguments: '{"p":1}' },
        ],
        finish: "stop-sequence",
        stopSequence: "END",
        usage,
      },
      [
        { type: "start", id: "i", model: "m" },
        { type: "reasoning-delta", text: "hm" },
        { type: "reasoning-end", replay: { kind: "anthropic", signature: "s" } },
        { type: "reasoning-end" },
        { type: "text-delta", text: "a" },
        { type: "text-end" },
        { type: "refusal-delta", text: "no" },
        { type: "tool-start", call: 0, id: "c1", name: "ls" },
        { type: "tool-delta", call: 0, json: "{}" },
        { type: "tool-end", call: 0 },
        { type: "tool-start", call: 1, id: "c2", name: "cat" },
        { type: "tool-delta", call: 1, json: '{"p":1}' },
        { type: "tool-end", call: 1 },
        { type: "finish", reason: "stop-sequence", stopSequence: "END", usage },
      ],
    ],
  ];
  test.each(cases)("tells of %s", (_name, response, events) => {
    expect(eventsOf(response)).toEqual(events);
  });
});
