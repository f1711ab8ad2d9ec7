/**
 * RTK cannot be had from a registry (npm's and crates.io's `rtk` are other tools), so these shell scripts behave as
 * docs/chain.md, part 2, says that the real one does. They write down how they were called, in `calls` beside them.
 */

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const record = `printf '%s\\n' "$*" >> "$(dirname "$0")/calls"\n`;

const summary =
  '{"summary":{"total_commands":196,"total_input":1276098,"total_output":59244,"total_saved":1220217,"avg_savings_pct":95.62,"total_time_ms":8123,"avg_time_ms":41}}';

/** The real one of this version; `swallows` is the fault of rtk-ai/rtk#846: what failed ends with 0. */
function real(version: string, swallows: boolean): string {
  return `case "$1" in
--version) echo "rtk ${version}"; exit 0;;
gain) if [ "$2 $3" = "--format json" ]; then echo '${summary}'; exit 0; fi; echo "Total saved: 1.2M"; exit 0;;
bypass|proxy) [ "$1" = ${version.startsWith("0.") ? "bypass" : "none"} ] && { echo "unknown command" >&2; exit 2; }; shift;;
esac
"$@" > /dev/null 2>&1
code=$?
echo "ok: $1"
exit ${swallows ? 0 : "$code"}
`;
}

const bodies = {
  real: real("1.0.0", false),
  old: real("0.42.4", false),
  swallowing: real("1.0.0", true),
  // npm's rtk answers what it does not know with its help.
  releaseTool: `[ "$1" = --version ] && { echo 0.5.21; exit 0; }\necho "Usage: rtk [options] <release-type>"\nexit 0\n`,
  // A clap program.
  typeKit: `[ "$1" = --version ] && { echo "rtk 0.1.0"; exit 0; }\necho "error: unrecognized subcommand '$1'" >&2\nexit 2\n`,
  jsonOfAnother: `echo '{"total": 1}'\n`,
  // Leaves a child behind that holds the pipe open.
  hanging: "sleep 60 &\nsleep 60\n",
} as const;

/** @returns the folder to be put on PATH */
export function installRtk(folder: string, kind: keyof typeof bodies, name = "rtk"): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${record}${bodies[kind]}`);
  chmodSync(file, 0o755);
  return folder;
}

/** Each call's words, in the order of the alphabet: they are made at the same time. */
export function readCalls(folder: string): string[] {
  try {
    return readFileSync(join(folder, "calls"), "utf8").trimEnd().split("\n").sort();
  } catch {
    return [];
  }
}
