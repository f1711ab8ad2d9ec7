/**
 * A user's systemd cannot be had in a container, and launchd not on Linux: these shell scripts keep the little of their state that
 * `clutch service` looks at, and write down how they were called. The units themselves are judged by the real systemd-analyze.
 */

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const record = `here=$(dirname "$0")/..; echo "$(basename "$0") $*" >> "$here/calls"\n`;

/** Answers as systemctl 252 does; a file named after the unit in `enabled` and `active` is its state. */
const systemctl = `shift
case "$1" in
show) case "$2" in
  --property=*) echo "Version=252"; exit 0;;
  esac
  [ -e "$here/active/$2" ] && echo "ActiveState=active" || echo "ActiveState=inactive"
  [ -e "$here/active/$2" ] && echo "SubState=exited" || echo "SubState=dead"
  [ -e "$here/enabled/$2" ] && echo "UnitFileState=enabled" || echo "UnitFileState=disabled"
  echo "Result=success"; echo "MainPID=0";;
enable) mkdir -p "$here/enabled"; : > "$here/enabled/$2"
  mkdir -p "$HOME/.config/systemd/user/default.target.wants"
  ln -sf "../$2" "$HOME/.config/systemd/user/default.target.wants/$2"
  [ -e "$HOME/.config/systemd/user/$2" ] || { echo "Failed to enable unit: Unit file $2 does not exist." >&2; exit 1; };;
start) [ -e "$here/start-fails" ] && { echo "Job for $2 failed because the control process exited with error code." >&2; exit 1; }
  mkdir -p "$here/active"; : > "$here/active/$2";;
disable) rm -f "$here/enabled/$3" "$here/active/$3" "$HOME/.config/systemd/user/default.target.wants/$3";;
reset-failed) echo "Failed to reset failed state of unit $2: Unit $2 not loaded." >&2; exit 1;;
esac
`;

/** Answers as launchctl does; its first bootstrap after a bootout fails with 5, as the real one's may for some seconds. */
const launchctl = `label=\${2##*/}
case "$1" in
print) case "$label" in
  clutch*) [ -e "$here/active/$label" ] || { echo "Could not find service \\"$label\\" in domain" >&2; exit 113; }
    printf '\\tstate = not running\\n\\tlast exit code = 0\\n';;
  esac;;
bootstrap) label=$(basename "$3" .plist)
  [ -e "$here/busy" ] && { rm "$here/busy"; echo "Bootstrap failed: 5: Input/output error" >&2; exit 5; }
  mkdir -p "$here/active"; : > "$here/active/$label";;
bootout) rm -f "$here/active/$label"; : > "$here/busy";;
esac
`;

export interface StandIns {
  bin: string;
  calls(): string[];
  forget(): void;
}

export function installManagers(root: string): StandIns {
  const bin = join(root, "bin");
  mkdirSync(bin, { recursive: true });
  for (const [name, body] of Object.entries({ systemctl, launchctl })) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${record}${body}exit 0\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const calls = join(root, "calls");
  return {
    bin,
    calls: () => {
      try {
        return readFileSync(calls, "utf8").trimEnd().split("\n");
      } catch {
        return [];
      }
    },
    forget: () => rmSync(calls, { force: true }),
  };
}
