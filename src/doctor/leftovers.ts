/** What leads agents elsewhere than launches say: settings of the user's files, and variables of this shell. Pure. */

import { type Finding, ok, warn } from "./finding.ts";

export interface Leftover {
  /** The agent's name. */
  agent: string;
  path: string;
  /** Its settings that count. */
  names: readonly string[];
  /** It wins over launches on these. */
  routes: readonly string[];
}

/** Variables that agents started by hand follow; launches set or unset them. */
const redirecting = [
  "ANTHROPIC_BASE_URL",
  "OPENAI_BASE_URL",
  "OPENAI_API_BASE",
  "OPENROUTER_BASE_URL",
  "KILOCODE_BASE_URL",
  "CUSTOM_BASE_URL",
] as const;

/** @param switches variables that make Claude Code ignore every base URL */
export function judgeLeftovers(
  files: readonly Leftover[],
  switches: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Finding[] {
  const findings = [
    ...files.map(({ agent, path, names, routes }) => {
      const what = `${path} sets ${names.join(" and ")}`;
      const words = `${what}: ${agent} follows that on route ${routes.join(" and ")}, and when it is started by hand`;
      return warn("leftovers", words, `take ${names.length > 1 ? "them" : "it"} out of that file`);
    }),
    ...redirecting.flatMap((name) => {
      const value = env[name];
      if (value === undefined || value === "") return [];
      const words = `${name} is set here to ${hideLogin(value)}: agents started by hand go there; launches set their own`;
      return [warn("leftovers", words, `unset ${name}, and take it out of your shell's start-up file`)];
    }),
    ...switches.flatMap((name) =>
      ["", "0", "false", undefined].includes(env[name]?.toLowerCase())
        ? []
        : [
            warn(
              "leftovers",
              `${name} is set here: Claude Code then ignores every base URL when it is started by hand`,
              `unset ${name}`,
            ),
          ],
    ),
  ];
  return findings.length > 0 ? findings : [ok("leftovers", "nothing leads agents elsewhere")];
}

/** An address may carry a password. */
function hideLogin(url: string): string {
  return url
    .replace(/\/\/[^/@\s]*@/, "//(hidden)@")
    .replace(/[?#].*$/, "")
    .slice(0, 120);
}
