/** Text from outside on a terminal. Imports nothing: all that is printed passes by here. Pure. */

/** What comes from outside may hold what terminals obey, or more than one line. */
export function asPlainLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, " ");
}

/** The same for a text of several lines, which stay as they are. */
export function asPlainLines(text: string): string {
  return text.split("\n").map(asPlainLine).join("\n");
}
