import { describe, expect, test } from "bun:test";
import { AnswerWatch, type Flaw } from "../../src/gateway/answer-watch.ts";
import type { ChatEvent } from "../../src/protocols/chat.ts";

const text = (said: string): ChatEvent => ({ type: "text-delta", text: said });
const thought: ChatEvent = { type: "reasoning-delta", text: "hm" };
const finish = (reason: "stop" | "length" | "tools"): ChatEvent =>
  ({ type: "finish", reason: reason === "tools" ? "tool-calls" : reason }) as ChatEvent;

/** A call whose arguments come in pieces. */
function call(index: number, ...pieces: string[]): ChatEvent[] {
  return [
    { type: "tool-start", call: index, id: `call_${index}`, name: `tool${index}` },
    ...pieces.map((json): ChatEvent => ({ type: "tool-delta", call: index, json })),
    { type: "tool-end", call: index },
  ];
}

const raw = (said: string) => JSON.stringify({ _raw: said });

type Row = [name: string, events: ChatEvent[], kind: Flaw["kind"] | undefined, forced: Flaw["kind"] | undefined];

describe("an answer's flaw, usually and where a tool had to be called", () => {
  test.each<Row>([
    ["text", [text("hello"), finish("stop")], undefined, "no-tool-call"],
    ["nothing", [finish("stop")], "empty", "empty"],
    ["empty text", [text(""), finish("stop")], "empty", "empty"],
    ["thoughts alone", [thought, finish("stop")], "empty", "empty"],
    ["a refusal", [{ type: "refusal-delta", text: "no" }, finish("stop")], undefined, "no-tool-call"],
    ["what a hosted tool has done", [{ type: "opaque" }, finish("stop")], undefined, undefined],
    ["text cut at the limit", [text("hel"), finish("length")], "truncated", "truncated"],
    ["a call", [...call(0, '{"a":', "1}"), finish("tools")], undefined, undefined],
    ["a call without arguments", [...call(0), finish("tools")], undefined, undefined],
    ["a call with blank arguments", [...call(0, " "), finish("tools")], undefined, undefined],
    ["a call that is cut", [...call(0, '{"a":', '"he'), finish("tools")], "bad-tool-call", "bad-tool-call"],
    ["a call with too much", [...call(0, '{"a":1}}'), finish("tools")], "bad-tool-call", "bad-tool-call"],
    ["a call cut at the client's own limit", [...call(0, '{"a":"he'), finish("length")], undefined, undefined],
    [
      "the second of two calls is cut",
      [...call(0, "{}"), ...call(1, '{"a":'), finish("tools")],
      "bad-tool-call",
      "bad-tool-call",
    ],
    [
      "calls whose pieces come in turns",
      [
        ...call(0).slice(0, 1),
        ...call(1).slice(0, 1),
        { type: "tool-delta", call: 0, json: '{"a"' },
        { type: "tool-delta", call: 1, json: '{"b"' },
        { type: "tool-delta", call: 0, json: ":1}" },
        { type: "tool-delta", call: 1, json: ":2}" },
        finish("tools"),
      ],
      undefined,
      undefined,
    ],
    ["free text for a tool that takes it", [...call(0, "*** Begin Patch"), finish("tools")], undefined, undefined],
    [
      "broken arguments as a decoder has wrapped them",
      [...call(0, raw('{"a":"he')), finish("tools")],
      "bad-tool-call",
      "bad-tool-call",
    ],
    [
      "free text as a decoder has wrapped it",
      [...call(0, raw("*** Begin Patch")), finish("tools")],
      undefined,
      undefined,
    ],
    [
      "a piece of a call that never began",
      [{ type: "tool-delta", call: 7, json: "{" }, text("x"), finish("stop")],
      undefined,
      "no-tool-call",
    ],
  ])("%s", (_name, events, usually, forced) => {
    const watch = new AnswerWatch();
    for (const event of events) watch.see(event);
    expect([watch.flaw(false)?.kind, watch.flaw(true)?.kind]).toEqual([usually, forced]);
  });
});
