/** What keys do to the dashboard. Pure: bytes to keys, and a key to the next view and what is to be done. */

export type Layout = "dense" | "sparse";

export interface View {
  layout: Layout;
  isPaused: boolean;
  filter: string;
  /** By id, since rows move. Undefined: none. */
  selected: string | undefined;
  page: Page;
}

export type Page =
  | { kind: "requests" }
  /** The filter is being typed; what it was before comes back with Escape. */
  | { kind: "filter"; before: string }
  | { kind: "help" }
  /** `lines` is undefined until the gateway has told. */
  | { kind: "why"; id: string; lines: readonly string[] | undefined; top: number };

export const firstView: View = {
  layout: "dense",
  isPaused: false,
  filter: "",
  selected: undefined,
  page: { kind: "requests" },
};

export type Effect = { kind: "quit" } | { kind: "suspend" } | { kind: "redraw" } | { kind: "ask-why"; id: string };

export interface Pressed {
  view: View;
  effect?: Effect;
}

/** A printable character stands for itself; the others have names. */
export type Key = string;

const named: Readonly<Record<string, Key>> = {
  "\r": "enter",
  "\n": "enter",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x03": "ctrl-c",
  "\x0c": "ctrl-l",
  "\x15": "ctrl-u",
  "\x1a": "ctrl-z",
  "\x1b": "escape",
  "\x1b[A": "up",
  "\x1b[B": "down",
  "\x1bOA": "up",
  "\x1bOB": "down",
  "\x1b[5~": "page-up",
  "\x1b[6~": "page-down",
  "\x1b[H": "home",
  "\x1b[F": "end",
  "\x1b[1~": "home",
  "\x1b[4~": "end",
  "\x1bOH": "home",
  "\x1bOF": "end",
};

/** A sequence, a control character, or a character. What is not known is left out. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys are told by them
const keyPattern = /\x1b\[[0-?]*[ -/]*[@-~]|\x1bO.|\x1b|[\x00-\x1f\x7f]|./gsu;

/** @param input as it came from the terminal, perhaps several keys at once */
export function parseKeys(input: string): Key[] {
  return (input.match(keyPattern) ?? []).flatMap((token) => {
    const name = named[token];
    if (name !== undefined) return [name];
    return /^\P{Cc}$/u.test(token) ? [token] : [];
  });
}

/** @param ids of what is shown, in its order @param pageRows how far a page goes */
export function press(view: View, key: Key, ids: readonly string[], pageRows: number): Pressed {
  if (key === "ctrl-c") return { view, effect: { kind: "quit" } };
  if (key === "ctrl-z") return { view, effect: { kind: "suspend" } };
  if (key === "ctrl-l") return { view, effect: { kind: "redraw" } };
  switch (view.page.kind) {
    case "requests":
      return pressInList(view, key, ids, pageRows);
    case "filter":
      return { view: pressInFilter(view, view.page, key) };
    case "help":
      return { view: { ...view, page: { kind: "requests" } } };
    case "why":
      return pressInWhy(view, view.page, key, pageRows);
    default:
      return view.page satisfies never;
  }
}

function pressInList(view: View, key: Key, ids: readonly string[], pageRows: number): Pressed {
  switch (key) {
    case "q":
      return { view, effect: { kind: "quit" } };
    case "p":
    case " ":
      return { view: { ...view, isPaused: !view.isPaused } };
    case "d":
      return { view: { ...view, layout: view.layout === "dense" ? "sparse" : "dense" } };
    case "/":
      return { view: { ...view, page: { kind: "filter", before: view.filter } } };
    case "?":
    case "h":
      return { view: { ...view, page: { kind: "help" } } };
    case "enter": {
      const id = ids.includes(view.selected ?? "") ? view.selected : ids[0];
      if (id === undefined) return { view };
      const page = { kind: "why", id, lines: undefined, top: 0 } as const;
      return { view: { ...view, selected: id, page }, effect: { kind: "ask-why", id } };
    }
    case "escape":
      return { view: view.selected === undefined ? { ...view, filter: "" } : { ...view, selected: undefined } };
    default: {
      const step = stepOf(key, pageRows);
      return { view: step === undefined ? view : { ...view, selected: move(view.selected, step, ids) } };
    }
  }
}

/** Rows that a key goes down; undefined for one that goes nowhere. */
function stepOf(key: Key, pageRows: number): number | undefined {
  const steps: Readonly<Record<string, number>> = {
    up: -1,
    k: -1,
    down: 1,
    j: 1,
    "page-up": -pageRows,
    "page-down": pageRows,
    home: Number.NEGATIVE_INFINITY,
    g: Number.NEGATIVE_INFINITY,
    end: Number.POSITIVE_INFINITY,
    G: Number.POSITIVE_INFINITY,
  };
  return steps[key];
}

/** The first step selects the first row, or the last one upwards. */
function move(selected: string | undefined, step: number, ids: readonly string[]): string | undefined {
  const at = selected === undefined ? -1 : ids.indexOf(selected);
  const last = ids.length - 1;
  if (at < 0)
    return step > 0 && Number.isFinite(step)
      ? ids[0]
      : ids.at(step < 0 && Number.isFinite(step) ? -1 : step < 0 ? 0 : -1);
  return ids[Math.min(last, Math.max(0, at + step))];
}

function pressInFilter(view: View, page: Extract<Page, { kind: "filter" }>, key: Key): View {
  switch (key) {
    case "enter":
      return { ...view, page: { kind: "requests" } };
    case "escape":
      return { ...view, filter: page.before, page: { kind: "requests" } };
    case "backspace":
      return { ...view, filter: [...view.filter].slice(0, -1).join("") };
    case "ctrl-u":
      return { ...view, filter: "" };
    default:
      return [...key].length === 1 ? { ...view, filter: view.filter + key } : view;
  }
}

function pressInWhy(view: View, page: Extract<Page, { kind: "why" }>, key: Key, pageRows: number): Pressed {
  if (["q", "escape", "enter", "backspace"].includes(key)) return { view: { ...view, page: { kind: "requests" } } };
  if (key === "r") return { view, effect: { kind: "ask-why", id: page.id } };
  const step = stepOf(key === " " ? "page-down" : key, pageRows);
  if (step === undefined) return { view };
  const last = Math.max(0, (page.lines?.length ?? 0) - pageRows);
  return { view: { ...view, page: { ...page, top: Math.min(last, Math.max(0, page.top + step)) } } };
}

/** The gateway's story of a request, if that is still what is looked at. */
export function tellWhy(view: View, id: string, lines: readonly string[]): View {
  return view.page.kind === "why" && view.page.id === id ? { ...view, page: { ...view.page, lines } } : view;
}
