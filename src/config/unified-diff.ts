/** The difference of two texts, line by line, as `diff -u` writes it. Pure. */

const contextLines = 3;
/** Comparing takes the product of both sides; a larger rest counts as replaced as a whole. */
const mostComparisons = 4_000_000;

type Step = { mark: " " | "-" | "+"; line: string };

/** Empty where the texts are equal. @param names of both sides, for the first two lines */
export function renderUnifiedDiff(before: string, after: string, names: { before: string; after: string }): string {
  if (before === after) return "";
  const steps = compareLines(splitLines(before), splitLines(after));
  const lines = [`--- ${names.before}`, `+++ ${names.after}`];
  for (const [start, end] of findHunks(steps)) lines.push(...renderHunk(steps, start, end));
  return lines.join("\n");
}

/** Each with its end, so that a last line without one differs from one with. */
function splitLines(text: string): string[] {
  return text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
}

function compareLines(before: readonly string[], after: readonly string[]): Step[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1;
  let tail = 0;
  const rest = Math.min(before.length, after.length) - head;
  while (tail < rest && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail += 1;
  const same = (lines: readonly string[]) => lines.map((line): Step => ({ mark: " ", line }));
  return [
    ...same(before.slice(0, head)),
    ...compareMiddle(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** By the longest common subsequence. */
function compareMiddle(before: readonly string[], after: readonly string[]): Step[] {
  const removed = before.map((line): Step => ({ mark: "-", line }));
  const added = after.map((line): Step => ({ mark: "+", line }));
  if (before.length * after.length > mostComparisons) return [...removed, ...added];
  const width = after.length + 1;
  // How many lines the rests from here on have in common.
  const common = new Uint32Array((before.length + 1) * width);
  const at = (row: number, column: number) => common[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      const isSame = before[row] === after[column];
      common[row * width + column] = isSame
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const steps: Step[] = [];
  let row = 0;
  let column = 0;
  while (row < before.length && column < after.length) {
    if (before[row] === after[column]) {
      steps.push({ mark: " ", line: before[row] ?? "" });
      row += 1;
      column += 1;
    } else if (at(row + 1, column) >= at(row, column + 1)) {
      steps.push(removed[row++] as Step);
    } else {
      steps.push(added[column++] as Step);
    }
  }
  return [...steps, ...removed.slice(row), ...added.slice(column)];
}

/** Spans of steps, each change with the lines around it; those that touch are one. */
function findHunks(steps: readonly Step[]): [start: number, end: number][] {
  const hunks: [number, number][] = [];
  for (const [index, { mark }] of steps.entries()) {
    if (mark === " ") continue;
    const start = Math.max(0, index - contextLines);
    const end = Math.min(steps.length, index + 1 + contextLines);
    const last = hunks.at(-1);
    if (last !== undefined && start <= last[1]) last[1] = end;
    else hunks.push([start, end]);
  }
  return hunks;
}

function renderHunk(steps: readonly Step[], start: number, end: number): string[] {
  const count = (part: readonly Step[], other: Step["mark"]) => part.filter(({ mark }) => mark !== other).length;
  const above = steps.slice(0, start);
  const hunk = steps.slice(start, end);
  const range = (other: Step["mark"]) => {
    const length = count(hunk, other);
    const first = count(above, other) + (length === 0 ? 0 : 1);
    return length === 1 ? `${first}` : `${first},${length}`;
  };
  const lines = hunk.flatMap(({ mark, line }) => {
    const text = `${mark}${line.replace(/[\r\n]+$/, "")}`;
    return /[\r\n]$/.test(line) ? [text] : [text, "\\ No newline at end of file"];
  });
  return [`@@ -${range("+")} +${range("-")} @@`, ...lines];
}
