/** Splits a command as a shell would, as long as nothing in it needs a shell. Pure. */

/** Undefined for a command with pipes, variables, redirections and the like, or an open quote. */
export function splitCommand(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let at = 0;
  while (at < text.length) {
    const mark = text[at] ?? "";
    if (/\s/.test(mark)) {
      if (word !== undefined) words.push(word);
      word = undefined;
      at += 1;
    } else if (mark === "'" || mark === '"') {
      const end = text.indexOf(mark, at + 1);
      const inner = end < 0 ? undefined : text.slice(at + 1, end);
      if (inner === undefined || (mark === '"' && /[$`\\]/.test(inner))) return undefined;
      word = (word ?? "") + inner;
      at = end + 1;
    } else if (mark === "\\") {
      if (at + 1 >= text.length) return undefined;
      word = (word ?? "") + text[at + 1];
      at += 2;
    } else if (/[|&;<>()$`*?!{}#\n~]/.test(mark)) {
      return undefined;
    } else {
      word = (word ?? "") + mark;
      at += 1;
    }
  }
  if (word !== undefined) words.push(word);
  return words.length === 0 ? undefined : words;
}
