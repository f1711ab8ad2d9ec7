/** Patterns of names, in which `*` stands for any characters. Pure. */

/** Says whether a text is matched by one of them, whole; letters' case does not matter, as it does not to providers. */
export function compileGlobs(patterns: readonly string[]): (text: string) => boolean {
  const sources = patterns.map((pattern) =>
    pattern
      // Several in a row mean no more than one, and would take long to find out.
      .split(/\*+/)
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*"),
  );
  const expression = new RegExp(`^(?:${sources.join("|")})$`, "is");
  return (text) => expression.test(text);
}
