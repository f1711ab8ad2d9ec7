#!/bin/sh
# Stands in for an agent: writes down how it was started, then ends with FAKE_EXIT. Asked for its version or its help, it
# answers as an agent does; the help lists FAKE_FLAGS.
case " $* " in
  *" --help "*) printf 'usage: agent %s\n' "$FAKE_FLAGS"; exit 0 ;;
  *" --version "*) echo 'agent 1.2.3'; exit 0 ;;
  " debug models "*) exit 0 ;;
esac
{
  printf 'cwd=%s\n' "$PWD"
  printf 'pid=%s\n' "$$"
  for argument in "$@"; do printf 'argv=%s\n' "$argument"; done
  env | sed 's/^/env:/'
  grep '^SigIgn' /proc/self/status 2>/dev/null
} > "$FAKE_LOG"
exit "${FAKE_EXIT:-0}"
