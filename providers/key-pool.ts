/** The keys of one provider. Which of them is used when is the gateway's business. */

/** Looks a key up: `env:NAME`, `cmd:...`, or the text itself. Undefined when the variable is unset or the command fails. */
export type ReadKey = (spec: string) => string | undefined;

export interface ProviderKey {
  /** Its place in the config, from "#1" on: no secret, and the same while keys around it come and go. */
  id: string;
  value: string;
}

/** @param index its place among those that the config names, from 0 */
export function keyId(index: number): string {
  return `#${index + 1}`;
}

/** Every key that can be found, in the config's order; the same key named twice is one. Each command runs once. */
export function readKeys(specs: readonly string[], readKey: ReadKey): ProviderKey[] {
  const keys: ProviderKey[] = [];
  for (const [index, spec] of specs.entries()) {
    const value = readKey(spec);
    if (value === undefined || keys.some((key) => key.value === value)) continue;
    keys.push({ id: keyId(index), value });
  }
  return keys;
}

/** @param run runs a shell command and returns what it printed, or undefined when it failed */
export function keyReader(
  env: Readonly<Record<string, string | undefined>>,
  run: (command: string) => string | undefined,
): ReadKey {
  return (spec) => {
    const found = spec.startsWith("env:") ? env[spec.slice(4)] : spec.startsWith("cmd:") ? run(spec.slice(4)) : spec;
    const key = found?.trim();
    return key === "" ? undefined : key;
  };
}
