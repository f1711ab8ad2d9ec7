import { describe, expect, test } from "bun:test";
import type { AssistantPart, ToolResult, Turn, UserPart } from "../../src/protocols/chat.ts";
import { settleTurns } from "../../src/protocols/turns.ts";

const user = (...texts: string[]): Turn => ({ role: "user", parts: texts.map((text) => ({ type: "text", text })) });
const system = (text: string): Turn => ({ role: "system", text });
const call = (id: string, name = "Read"): AssistantPart => ({
  type: "tool-call",
  id,
  name,
  arguments: `{"of":"${id}"}`,
});
const say = (text: string): AssistantPart => ({ type: "text", text });
const think = (text: string): AssistantPart => ({ type: "reasoning", text });
const assistant = (...parts: AssistantPart[]): Turn => ({ role: "assistant", parts });
const result = (callId: string, text = `result of ${callId}`): ToolResult => ({
  callId,
  parts: text === "" ? [] : [{ type: "text", text }],
  isError: false,
});
const tool = (...results: ToolResult[]): Turn => ({ role: "tool", results });
const lost = (id: string) => result(id, "(no result: interrupted)");
const image: UserPart = { type: "image", source: { kind: "url", url: "https://example.com/a.png" } };

const cases: [string, Turn[], Turn[]][] = [
  ["nothing", [], []],
  [
    "a settled conversation",
    [
      user("go"),
      assistant(think("t"), say("s"), call("a"), call("b")),
      tool(result("a"), result("b")),
      assistant(say("done")),
    ],
    [
      user("go"),
      assistant(think("t"), say("s"), call("a"), call("b")),
      tool(result("a"), result("b")),
      assistant(say("done")),
    ],
  ],
  [
    "results in call order, gathered from several turns",
    [assistant(call("a"), call("b"), call("c")), tool(result("c")), tool(result("a")), tool(result("b"))],
    [assistant(call("a"), call("b"), call("c")), tool(result("a"), result("b"), result("c"))],
  ],
  [
    "user text between results behind them, before the text that followed",
    [assistant(call("a"), call("b")), tool(result("a")), user("wait"), tool(result("b")), user("go on")],
    [assistant(call("a"), call("b")), tool(result("a"), result("b")), user("wait", "go on")],
  ],
  [
    "instructions between call and result behind the result, in their order with user text",
    [assistant(call("a")), system("one"), user("u"), system("two"), tool(result("a")), assistant(say("ok"))],
    [assistant(call("a")), tool(result("a")), system("one"), user("u"), system("two"), assistant(say("ok"))],
  ],
  [
    "instructions after the results where they are",
    [assistant(call("a")), tool(result("a")), system("note"), assistant(say("ok")), system("late"), user("u")],
    [assistant(call("a")), tool(result("a")), system("note"), assistant(say("ok")), system("late"), user("u")],
  ],
  [
    "an assistant message between call and result behind the result",
    [assistant(call("a")), assistant(say("meanwhile")), tool(result("a"))],
    [assistant(call("a")), tool(result("a")), assistant(say("meanwhile"))],
  ],
  [
    "results for calls that were interrupted, also at the very end",
    [assistant(call("a"), call("b")), tool(result("b")), user("stop"), assistant(call("c"))],
    [
      assistant(call("a"), call("b")),
      tool(lost("a"), result("b")),
      user("stop"),
      assistant(call("c")),
      tool(lost("c")),
    ],
  ],
  [
    "results without a call as user text",
    [tool(result("x", "found 3"), result("y", "")), user("and?")],
    [user("[tool result x] found 3", "[tool result y]", "and?")],
  ],
  [
    "an image of a result without a call",
    [user("go"), tool({ callId: "x", parts: [image as never], isError: false })],
    [{ role: "user", parts: [{ type: "text", text: "go" }, { type: "text", text: "[tool result x]" }, image] }],
  ],
  [
    "a result that stands before its call as user text",
    [tool(result("a")), assistant(call("a"))],
    [user("[tool result a] result of a"), assistant(call("a")), tool(lost("a"))],
  ],
  [
    "the first of two results for one call",
    [assistant(call("a")), tool(result("a", "first"), result("a", "second")), tool(result("a", "third"))],
    [assistant(call("a")), tool(result("a", "first"))],
  ],
  [
    "equal ids inside one turn made different, results in order of arrival",
    [assistant(call("a"), call("a"), call("a_2"), call("a")), tool(result("a", "1"), result("a", "2"), result("a_2"))],
    [
      assistant(call("a"), { ...call("a"), id: "a_3" } as AssistantPart, call("a_2"), {
        ...call("a"),
        id: "a_4",
      } as AssistantPart),
      tool(result("a", "1"), result("a_3", "2"), result("a_2"), lost("a_4")),
    ],
  ],
  [
    "an id that returns in a later turn, each call with its own result",
    [assistant(call("a")), tool(result("a", "1")), assistant(call("a")), tool(result("a", "2"))],
    [assistant(call("a")), tool(result("a", "1")), assistant(call("a")), tool(result("a", "2"))],
  ],
  [
    "empty assistant turns dropped and the user turns around them joined",
    [user("a"), assistant(), user("b"), assistant(say("")), user("c")],
    [user("a", "b", "c")],
  ],
  [
    "empty texts dropped",
    [user(""), user("", "a"), system(""), assistant(say(""), call("a")), tool(result("a"))],
    [user("a"), assistant(call("a")), tool(result("a"))],
  ],
  [
    "reasoning that leads to nothing dropped",
    [user("a"), assistant(think("1"), say("b"), think("2")), user("c"), assistant(think("3"), say(""))],
    [user("a"), assistant(think("1"), say("b")), user("c")],
  ],
  [
    "reasoning between calls kept, behind the last one dropped",
    [assistant(think("1"), call("a"), think("2"), call("b"), think("3")), tool(result("a"), result("b"))],
    [assistant(think("1"), call("a"), think("2"), call("b")), tool(result("a"), result("b"))],
  ],
  [
    "reasoning sent as a message of its own joined to the answer it led to",
    [user("a"), assistant(think("1")), assistant(think("2")), assistant(call("a")), tool(result("a"))],
    [user("a"), assistant(think("1"), think("2"), call("a")), tool(result("a"))],
  ],
  ["a final answer of reasoning alone dropped", [user("a"), assistant(think("1"))], [user("a")]],
];

describe("settleTurns() gives", () => {
  test.each(cases)("%s", (_name, turns, expected) => {
    const before = structuredClone(turns);
    const settled = settleTurns(turns);
    expect(settled).toEqual(expected);
    expect(turns).toEqual(before);
    expect(settleTurns(settled)).toEqual(settled);
  });
});

test("settleTurns() keeps the objects of turns that need no repair", () => {
  const turns = [user("go"), assistant(think("t"), call("a")), tool(result("a")), assistant(say("done"))];
  const settled = settleTurns(turns);
  expect([settled[0] === turns[0], settled[1] === turns[1], settled[3] === turns[3]]).toEqual([true, true, true]);
});
