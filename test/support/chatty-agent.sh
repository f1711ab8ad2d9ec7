#!/bin/sh
# Stands in for an agent that talks: says how it was started, then repeats each line; Ctrl-C and the quit word are told apart.
# Its own argv, folder and environment go to the file FAKE_LOG names, one block per start.
case " $* " in *" --help "* | *" --version "* | " debug models "*) exit 0 ;; esac
block=$(
  printf 'start\ncwd=%s\npid=%s\n' "$PWD" "$$"
  for argument in "$@"; do printf 'argv=%s\n' "$argument"; done
  env | sed 's/^/env:/'
)
# In one piece, since several may start at once.
printf '%s\nwritten\n' "$block" >> "$FAKE_LOG"
interrupted=
trap 'interrupted=yes; echo "caught Ctrl-C"' INT
printf 'agent ready: %s\n' "$*"
while :; do
  if IFS= read -r line; then
    case "$line" in
      quit*) echo "goodbye"; exit "${line#quit}" ;;
      suspend) kill -TSTP 0; echo "back from suspension" ;;
      crash) kill -KILL $$ ;;
      *) printf 'said %s\n' "$line" | cat -v ;;
    esac
  elif [ -n "$interrupted" ]; then
    interrupted=
  else
    echo "end of input"
    exit 0
  fi
done
