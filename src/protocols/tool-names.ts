/** Tool names as a target accepts them, and the way back. */

export interface FittedToolNames {
  /** The name to send; also for a name that was not declared, such as one in the history. */
  wire(name: string): string;
  /** Names as sent to canonical names, for changed ones alone; grows when `wire` changes an undeclared name. */
  restore: ReadonlyMap<string, string>;
}

/** Room for `_` and 8 hex digits below the narrower limit, so that a name reads the same for every target. */
const keptCharacters = 55;
const hashDigits = 8;

/**
 * OpenAI takes 64 letters, digits, `_` and `-`, Anthropic 128. The new name is a function of the old one alone: a prompt
 * cache survives the next request, and calls in the history match their declarations without shared state.
 */
export function fitToolNames(names: readonly string[], maxLength: 64 | 128): FittedToolNames {
  const restore = new Map<string, string>();
  const wire = (name: string): string => {
    if (name.length <= maxLength && /^[a-zA-Z0-9_-]+$/.test(name)) return name;
    const hash = new Bun.CryptoHasher("sha256").update(name).digest("hex").slice(0, hashDigits);
    const fitted = `${name.replace(/[^a-zA-Z0-9_-]/gu, "_").slice(0, keptCharacters)}_${hash}`;
    restore.set(fitted, name);
    return fitted;
  };
  for (const name of names) wire(name);
  return { wire, restore };
}
