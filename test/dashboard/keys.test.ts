import { describe, expect, test } from "bun:test";
import { type Effect, firstView, parseKeys, press, tellWhy, type View } from "../../src/dashboard/keys.ts";

test.each([
  ["q", ["q"]],
  ["\x1b[A\x1b[B", ["up", "down"]],
  ["\x1bOA\x1bOB", ["up", "down"]],
  ["\x1b[5~\x1b[6~\x1b[H\x1b[F", ["page-up", "page-down", "home", "end"]],
  ["\r\n\t\x7f\b", ["enter", "enter", "tab", "backspace", "backspace"]],
  ["\x03\x0c\x15\x1a", ["ctrl-c", "ctrl-l", "ctrl-u", "ctrl-z"]],
  ["\x1b", ["escape"]],
  ["\x1bq", ["escape", "q"]],
  ["aé日🙂", ["a", "é", "日", "🙂"]],
  // Function keys, a mouse, a focus report, the answer to a question: nobody's keys here.
  ["\x1b[15~\x1b[<0;3;4M\x1b[I\x1b[?62;4c\x01\x00", []],
] as const)("parseKeys(%p)", (input, keys) => {
  expect(parseKeys(input)).toEqual([...keys]);
});

const ids = ["a", "b", "c", "d"];
const pageRows = 2;

/** Where keys lead from the first view, and what they asked for on the way. */
function after(keys: string, from: Partial<View> = {}): { view: View; effects: Effect[] } {
  let view: View = { ...firstView, ...from };
  const effects: Effect[] = [];
  for (const key of keys.split(" ").filter(Boolean)) {
    const pressed = press(view, key === "space" ? " " : key, ids, pageRows);
    view = pressed.view;
    if (pressed.effect !== undefined) effects.push(pressed.effect);
  }
  return { view, effects };
}

describe("press()", () => {
  const quit: Effect = { kind: "quit" };
  const why = (id: string): Effect => ({ kind: "ask-why", id });
  const cases: [keys: string, view: Partial<View>, effects: Effect[], from?: Partial<View>][] = [
    ["q", {}, [quit]],
    ["ctrl-c", {}, [quit]],
    ["ctrl-z", {}, [{ kind: "suspend" }]],
    ["ctrl-l", {}, [{ kind: "redraw" }]],
    ["p", { isPaused: true }, []],
    ["p space", { isPaused: false }, []],
    ["d", { layout: "sparse" }, []],
    ["d d", { layout: "dense" }, []],
    ["down", { selected: "a" }, []],
    ["up", { selected: "d" }, []],
    ["j j k", { selected: "a" }, []],
    ["down page-down", { selected: "c" }, []],
    ["G", { selected: "d" }, []],
    ["G g", { selected: "a" }, []],
    ["home", { selected: "a" }, []],
    ["end down", { selected: "d" }, []],
    // The chosen one is gone.
    ["down", { selected: "a" }, [], { selected: "gone" }],
    ["enter", { selected: "a", page: { kind: "why", id: "a", lines: undefined, top: 0 } }, [why("a")]],
    ["end enter", { selected: "d", page: { kind: "why", id: "d", lines: undefined, top: 0 } }, [why("d")]],
    ["enter r", { selected: "a", page: { kind: "why", id: "a", lines: undefined, top: 0 } }, [why("a"), why("a")]],
    ["enter q", { selected: "a" }, [why("a")]],
    ["enter escape escape", {}, [why("a")]],
    ["enter ctrl-c", { selected: "a", page: { kind: "why", id: "a", lines: undefined, top: 0 } }, [why("a"), quit]],
    ["?", { page: { kind: "help" } }, []],
    ["? q", {}, []],
    ["/ k i m i", { filter: "kimi", page: { kind: "filter", before: "" } }, []],
    ["/ k q enter", { filter: "kq" }, []],
    ["/ k space p backspace enter", { filter: "k " }, []],
    ["/ k i escape", { filter: "" }, []],
    ["/ a escape", { filter: "before" }, [], { filter: "before" }],
    ["/ ctrl-u x enter", { filter: "x" }, [], { filter: "before" }],
    ["/ up f1 日", { filter: "日", page: { kind: "filter", before: "" } }, []],
    ["/ ctrl-c", { page: { kind: "filter", before: "" } }, [quit]],
    ["escape", { filter: "kept" }, [], { filter: "kept", selected: "b" }],
    ["escape escape", { filter: "" }, [], { filter: "gone", selected: "b" }],
    ["x Z tab", {}, []],
  ];
  test.each(cases)("%s", (...[keys, view, effects, from = {}]) => {
    expect(after(keys, from)).toEqual({ view: { ...firstView, ...view }, effects });
  });

  test("with nothing on the screen there is nothing to select or open", () => {
    for (const key of ["up", "down", "g", "G", "enter", "page-down"]) {
      expect(press(firstView, key, [], pageRows)).toEqual({ view: firstView });
    }
  });

  test("a story is scrolled no further than its end", () => {
    const page = { kind: "why", id: "a", lines: ["1", "2", "3", "4", "5"], top: 0 } as const;
    const tops: [keys: string, top: number][] = [
      ["down", 1],
      ["space", 2],
      ["down down down down down", 3],
      ["G", 3],
      ["G up", 2],
      ["G g", 0],
      ["page-down page-up", 0],
    ];
    for (const [keys, top] of tops) {
      expect([keys, after(keys, { page }).view.page]).toEqual([keys, { ...page, top }]);
    }
  });

  test("a story that comes late, for another request or after it was closed, is dropped", () => {
    const page = { kind: "why", id: "a", lines: undefined, top: 0 } as const;
    const open = { ...firstView, page };
    expect(tellWhy(open, "a", ["x"])).toEqual({ ...open, page: { ...page, lines: ["x"] } });
    expect(tellWhy(open, "b", ["x"])).toBe(open);
    expect(tellWhy(firstView, "a", ["x"])).toBe(firstView);
  });
});
