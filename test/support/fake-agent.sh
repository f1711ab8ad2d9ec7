#!/bin/sh
# Stands in for an agent: writes down how it was started, then ends with FAKE_EXIT.
{
  printf 'cwd=%s\n' "$PWD"
  printf 'pid=%s\n' "$$"
  for argument in "$@"; do printf 'argv=%s\n' "$argument"; done
  env | sed 's/^/env:/'
  grep '^SigIgn' /proc/self/status 2>/dev/null
} > "$FAKE_LOG"
exit "${FAKE_EXIT:-0}"
