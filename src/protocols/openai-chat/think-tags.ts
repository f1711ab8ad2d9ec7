/** Reasoning that a model writes into its text as `<think>...</think>`, split off again. */

const openTag = "<think>";
const closeTag = "</think>";

/** A piece of the text as the model meant it. */
export interface TaggedText {
  isReasoning: boolean;
  text: string;
}

/**
 * Takes text in any slicing. A tag counts at the very start alone, after white space: later ones are text about tags.
 * Text is held back only while it may still turn out to be a tag. White space around the reasoning block is dropped.
 */
export class ThinkTagSplitter {
  #place: "start" | "opened" | "inside" | "after" | "text" = "start";
  #held = "";

  push(text: string): TaggedText[] {
    const pieces: TaggedText[] = [];
    let rest = this.#held + text;
    this.#held = "";
    if (this.#place === "start") {
      const trimmed = rest.trimStart();
      if (openTag.startsWith(trimmed)) {
        this.#held = rest;
        return pieces;
      }
      this.#place = trimmed.startsWith(openTag) ? "opened" : "text";
      if (this.#place === "opened") rest = trimmed.slice(openTag.length);
    }
    if (this.#place === "opened") {
      rest = rest.trimStart();
      if (rest !== "") this.#place = "inside";
    }
    if (this.#place === "inside") {
      const close = rest.indexOf(closeTag);
      const end = close === -1 ? rest.length - partialTagLength(rest) : close;
      if (end > 0) pieces.push({ isReasoning: true, text: rest.slice(0, end) });
      if (close === -1) {
        this.#held = rest.slice(end);
        return pieces;
      }
      this.#place = "after";
      rest = rest.slice(close + closeTag.length);
    }
    if (this.#place === "after") {
      rest = rest.trimStart();
      if (rest !== "") this.#place = "text";
    }
    if (rest !== "") pieces.push({ isReasoning: false, text: rest });
    return pieces;
  }

  /** What is held back for a tag that has not come whole, given out because something else follows the text. */
  end(): TaggedText[] {
    if (this.#held === "") return [];
    const text = this.#held;
    this.#held = "";
    if (this.#place === "start") this.#place = "text";
    return [{ isReasoning: this.#place === "inside", text }];
  }
}

/** How many characters at the end of the text may be the beginning of the closing tag. */
function partialTagLength(text: string): number {
  for (let length = Math.min(closeTag.length - 1, text.length); length > 0; length--) {
    if (closeTag.startsWith(text.slice(-length))) return length;
  }
  return 0;
}
