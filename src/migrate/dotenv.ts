/** Reads a `.env` file as its usual readers do: quotes, comments, `export`. Nothing in it is expanded or run. Pure. */

/** The last of two assignments counts; an empty value is one that is not set. */
export function parseDotenv(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const line =
    /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'|`([^`]*)`|([^\r\n]*))/gm;
  for (const [, name = "", double, single, back, plain = ""] of text.replace(/^\uFEFF/, "").matchAll(line)) {
    const quoted = double === undefined ? (single ?? back) : readEscapes(double);
    const value = (quoted ?? plain.replace(/(^|\s)#.*$/, "")).trim();
    if (value === "") found.delete(name);
    else found.set(name, value);
  }
  return found;
}

function readEscapes(text: string): string {
  const known: Record<string, string> = { n: "\n", r: "\r", t: "\t" };
  return text.replace(/\\([\s\S])/g, (_, mark: string) => known[mark] ?? mark);
}
