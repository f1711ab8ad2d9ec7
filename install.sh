#!/bin/sh
# Puts clutch and xx into ${PREFIX:-$HOME/.local}/bin, compiled from this checkout; --help says how.
#
# The compiler is always the Bun that package-lock.json pins. npm installs it if npm is there, else a Bun that is there:
# both keep to the lock and check every package against it. Downloads go into a temporary folder, so that in the home
# folder nothing but the two programs appears.
set -eu
unset CDPATH
# Otherwise Bun keeps what it has transpiled in the home folder.
export BUN_RUNTIME_TRANSPILER_CACHE_PATH=0

usage() {
  cat <<'END'
Usage: ./install.sh [--no-demo] [--uninstall] [--help]

Compiles Clutch from this checkout, installs clutch and xx into ${PREFIX:-$HOME/.local}/bin and runs clutch demo.
Needs npm or Bun. Safe to run again: a Clutch that is running goes on undisturbed.

  --no-demo     install only
  --uninstall   remove clutch and xx; your config and ledger stay
  --help        this text

Elsewhere: PREFIX=/usr/local ./install.sh
END
}

# ---- telling

# What the running step is about, for messages.
step="start"
version=""
log=""
work=""
bindir=""

say() { printf '  %-13s %s\n' "$step" "$1"; }
more() { printf '  %-13s %s\n' "" "$1"; }

# npm tells the cause first and how it is used at length; compilers tell the cause last.
show_log() {
  grep -vE '^(npm (error|warn))?[[:space:]]*$|EBADENGINE|A complete log of this run|npm error +(\[|-|aliases)' "$log" >"$work/shown" || true
  if [ "$(wc -l <"$work/shown")" -le 14 ]; then
    sed 's/^/  | /' "$work/shown"
  else
    head -n 7 "$work/shown" | sed 's/^/  | /'
    echo "  | ..."
    tail -n 6 "$work/shown" | sed 's/^/  | /'
  fi
}

# fail CAUSE NEXT: the end.
fail() {
  if [ -n "$log" ] && [ -s "$log" ]; then
    printf '\n' >&2
    show_log >&2
    keep=${work%/*}/clutch-install-$$.log
    if cp "$log" "$keep" 2>/dev/null; then printf '  the whole log: %s\n' "$keep" >&2; fi
  fi
  printf '\ninstall.sh: %s: %s\n  next: %s\n' "$step" "$1" "$2" >&2
  exit 1
}

# ---- tidying up

clean_up() {
  status=$?
  trap - EXIT
  if [ -n "$work" ]; then rm -rf "$work"; fi
  if [ -n "$bindir" ]; then rm -f "$bindir/.clutch-new.$$" "$bindir/.xx-new.$$"; fi
  exit "$status"
}
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- whose file is it

exists() { [ -e "$1" ] || [ -L "$1" ]; }

# A Clutch of any version says this header's name in every answer.
is_our_clutch() { [ -f "$1" ] && LC_ALL=C grep -aq 'x-clutch-served-by' "$1" 2>/dev/null; }

# Our link, and what it leads to is ours or gone.
is_our_xx() {
  [ -L "$1" ] || return 1
  case "$(readlink "$1")" in
    clutch | "${1%/*}/clutch") ! exists "${1%/*}/clutch" || is_our_clutch "${1%/*}/clutch" ;;
    *) return 1 ;;
  esac
}

refuse_foreign_files() {
  next="move it away, or install elsewhere: PREFIX=<folder> ./install.sh"
  if exists "$bindir/clutch" && ! is_our_clutch "$bindir/clutch"; then
    fail "$bindir/clutch is there and is not this Clutch" "$next"
  fi
  if exists "$bindir/xx" && ! is_our_xx "$bindir/xx"; then
    fail "$bindir/xx is there and is not Clutch's" "$next"
  fi
}

# ---- where to

find_bindir() {
  prefix=${PREFIX:-}
  if [ -z "$prefix" ]; then
    if [ -z "${HOME:-}" ]; then fail "HOME is not set" "say where to install: PREFIX=<folder> ./install.sh"; fi
    prefix=$HOME/.local
  fi
  case "$prefix" in
    /*) ;;
    *) prefix=$PWD/$prefix ;;
  esac
  bindir=${prefix%/}/bin
}

prepare_bindir() {
  next="make it writable for you, or install elsewhere: PREFIX=<folder> ./install.sh"
  if ! reason=$(mkdir -p "$bindir" 2>&1); then
    target=$bindir
    bindir=""
    fail "cannot create $target: ${reason##*: }" "$next"
  fi
  if ! (: >"$bindir/.clutch-new.$$") 2>/dev/null; then fail "cannot write into $bindir" "$next"; fi
  rm -f "$bindir/.clutch-new.$$"
}

# ---- what is there

runs() { "$@" >/dev/null 2>&1; }

# The npm to use, or nothing. Before 7 it cannot read this lock file.
find_npm() {
  npm=""
  old_npm=""
  found=$(command -v npm) || return 0
  number=$(npm --version 2>/dev/null) || return 0
  case "$number" in
    [0-6].*) old_npm=$number ;;
    *) npm=$found ;;
  esac
}

# A Bun that is already here, of whatever version, or nothing.
find_bun() {
  own_bun=""
  for candidate in "$(command -v bun || true)" "${BUN_INSTALL:-${HOME:-}/.bun}/bin/bun" "${HOME:-}/.bun/bin/bun"; do
    if [ -n "$candidate" ] && runs "$candidate" --version; then
      own_bun=$candidate
      return 0
    fi
  done
}

# ---- the dependencies

network_trouble='ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|EINTEGRITY'
network_trouble="$network_trouble|E429|E50[0-9]|socket hang up|ConnectionRefused|ConnectionClosed|ConnectionReset"
network_trouble="$network_trouble|FailedToOpenSocket|UnableToConnect|Unable to connect|IntegrityCheckFailed|Timeout"

tells() { grep -qE "$1" "$work/attempt.log"; }

# Three attempts, but only trouble with the network is worth another, and not when npm itself has waited for minutes.
download() {
  attempt=1
  first=$(date +%s)
  while :; do
    if "$@" >"$work/attempt.log" 2>&1; then
      cat "$work/attempt.log" >>"$log"
      return 0
    fi
    cat "$work/attempt.log" >>"$log"
    if [ "$attempt" -eq 3 ] || [ $(($(date +%s) - first)) -gt 120 ] || ! tells "$network_trouble"; then return 1; fi
    more "attempt $attempt of 3 failed, the next one in 3 s"
    attempt=$((attempt + 1))
    sleep 3
  done
}

# Whatever the user's npm settings are: with development and optional packages (Bun and its binary), post-install steps
# are ours to run (npm may be told to run none), and npm gives up on a dead network in seconds, not minutes.
npm_ci() {
  "$npm" ci --include=dev --include=optional --ignore-scripts --engine-strict=false --package-lock=true --no-audit \
    --no-fund --no-update-notifier --loglevel=error --cache "${npm_config_cache:-$work/npm-cache}" \
    --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=5000
}

# Bun reads package-lock.json itself; frozen, it writes no lock of its own and refuses to deviate.
bun_ci() {
  rm -rf node_modules
  BUN_INSTALL_CACHE_DIR=${BUN_INSTALL_CACHE_DIR:-$work/bun-cache} \
    "$own_bun" install --frozen-lockfile --ignore-scripts --no-progress
}

# What node_modules was installed from.
fingerprint() { cat package.json package-lock.json | cksum && uname -sm; }

is_installed() {
  [ -f node_modules/.clutch-install ] && [ "$(cat node_modules/.clutch-install)" = "$(fingerprint)" ] && find_pinned_bun
}

install_dependencies() {
  step="dependencies"
  if is_installed; then
    say "as package-lock.json says, here already"
    return 0
  fi
  find_npm
  find_bun
  started=$(date +%s)
  if [ -n "$npm" ]; then
    say "npm ci (downloads up to 200 MB)"
    if ! download npm_ci; then
      if [ -z "$own_bun" ] || tells "$network_trouble"; then fail_download "npm ci"; fi
      more "npm ci failed; trying with $own_bun"
      if ! download bun_ci; then fail_download "bun install"; fi
    fi
  elif [ -n "$own_bun" ]; then
    say "bun install (downloads up to 200 MB)"
    if ! download bun_ci; then fail_download "bun install"; fi
  elif [ -n "$old_npm" ]; then
    fail "npm $old_npm is too old for package-lock.json" "install a newer Node.js (20 or later), then ./install.sh again"
  else
    fail "neither npm nor Bun is here" \
      "install Node.js, which brings npm (apt-get install npm, brew install node), or Bun; then ./install.sh again"
  fi
  more "done in $(($(date +%s) - started)) s"
  if ! find_pinned_bun; then
    fail "Bun $bun_version came from the registry but does not run on this $(uname -sm)" \
      "look at the log; Bun needs glibc or musl on Linux, or macOS 13 or later"
  fi
  fingerprint >node_modules/.clutch-install
}

# The Bun of the lock file. Its post-install step puts the binary for this machine in place.
find_pinned_bun() {
  bun=$root/node_modules/.bin/bun
  if is_pinned; then return 0; fi
  for runner in node "${own_bun:-}"; do
    if [ -n "$runner" ] && "$runner" node_modules/bun/install.js >>"$log" 2>&1 && is_pinned; then return 0; fi
  done
  return 1
}

is_pinned() { [ "$("$bun" --version 2>>"$log")" = "$bun_version" ]; }

fail_download() {
  if tells 'ENOSPC|[Nn]o space left|NoSpaceLeft'; then
    fail "$1 failed, the disk is full" "free 500 MB in $root and 200 MB in ${work%/*} (or name another folder in TMPDIR)"
  elif tells 'CERT|certificate'; then
    fail "$1 failed, the registry's certificate is not trusted" \
      "name your certificates in NODE_EXTRA_CA_CERTS=<file.pem>, then ./install.sh again"
  elif tells "$network_trouble"; then
    fail "$1 failed, the package registry does not answer" \
      "check the network (behind a proxy: HTTPS_PROXY) and 'npm config get registry', then ./install.sh again"
  elif tells 'EACCES|EPERM|EROFS|AccessDenied|ReadOnlyFileSystem'; then
    fail "$1 failed, something may not be written" "make $root and all in it writable for you, then ./install.sh again"
  elif tells 'EUSAGE|lockfile is frozen'; then
    fail "$1 failed, package.json and package-lock.json do not fit each other" \
      "git checkout package.json package-lock.json, then ./install.sh again"
  fi
  fail "$1 failed" "see the lines above, then ./install.sh again"
}

# ---- compiling and installing

compile() {
  "$bun" run build >"$work/attempt.log" 2>&1 </dev/null
}

build() {
  step="compile"
  started=$(date +%s)
  if ! compile; then
    cat "$work/attempt.log" >>"$log"
    if tells 'ENOSPC|[Nn]o space left|NoSpaceLeft'; then
      fail "the disk is full" "free 300 MB in $root, then ./install.sh again"
    fi
    fail "bun run build failed" "see the lines above; after 'rm -rf node_modules' ./install.sh installs everything anew"
  fi
  cat "$work/attempt.log" >>"$log"
  said=$(dist/clutch --version 2>>"$log") || said="nothing"
  if [ "$said" != "$version" ]; then
    fail "dist/clutch --version says $said, not $version" "see the log; is $root on a disk mounted noexec?"
  fi
  say "dist/clutch, $(($(date +%s) - started)) s"
}

# By renaming: a clutch that runs keeps its file, and nobody ever meets half of one.
install_programs() {
  step="install"
  refuse_foreign_files
  if ! cp dist/clutch "$bindir/.clutch-new.$$" 2>>"$log" || ! chmod 755 "$bindir/.clutch-new.$$" 2>>"$log"; then
    fail "cannot copy clutch to $bindir" "free 120 MB there, or install elsewhere: PREFIX=<folder> ./install.sh"
  fi
  if ! runs "$bindir/.clutch-new.$$" --version; then
    fail "clutch does not run in $bindir" "is that disk mounted noexec? Elsewhere: PREFIX=<folder> ./install.sh"
  fi
  if ! mv -f "$bindir/.clutch-new.$$" "$bindir/clutch" 2>>"$log"; then
    fail "cannot put clutch into $bindir" "see the lines above, then ./install.sh again"
  fi
  if [ "$(readlink "$bindir/xx" || true)" != clutch ]; then
    if ! ln -s clutch "$bindir/.xx-new.$$" 2>>"$log" || ! mv -f "$bindir/.xx-new.$$" "$bindir/xx" 2>>"$log"; then
      fail "cannot link xx to clutch in $bindir" "see the lines above, then ./install.sh again"
    fi
  fi
  say "$bindir/clutch and xx"
}

# ---- PATH

tell_path() {
  step="PATH"
  case ":${PATH:-}:" in
    *":$bindir:"*) tell_shadows ;;
    *) tell_path_line ;;
  esac
}

tell_path_line() {
  # shellcheck disable=SC2016 # $HOME is for the user's shell to expand
  case "$bindir" in
    "${HOME:-/nowhere}"/*) folder='$HOME'${bindir#"$HOME"} ;;
    *) folder=$bindir ;;
  esac
  line="export PATH=\"$folder:\$PATH\""
  file=.profile
  shell=${SHELL:-}
  case "${shell##*/}" in
    zsh) file=.zshrc ;;
    bash) if [ "$(uname -s)" = Darwin ]; then file=.bash_profile; else file=.bashrc; fi ;;
    fish)
      file=.config/fish/config.fish
      line="fish_add_path \"$folder\""
      ;;
  esac
  say "$bindir is not in it. Add this line to ~/$file and open a new terminal:"
  more "  $line"
}

tell_shadows() {
  for program in clutch xx; do
    found=$(command -v "$program" || true)
    if [ -n "$found" ] && [ "$found" != "$bindir/$program" ]; then
      say "$found comes before $bindir: call $bindir/$program, or move $bindir to the front of PATH"
    fi
  done
}

# ---- the two things it does

install() {
  with_demo=$1
  case "$(uname -s)" in
    Linux | Darwin) ;;
    *) fail "$(uname -s) is not supported" "use Linux or macOS (on Windows: WSL)" ;;
  esac
  root=$(cd "$(dirname "$0")" && pwd -P) || fail "cannot find the checkout" "run it as ./install.sh from the checkout"
  if [ ! -f "$root/package-lock.json" ] || [ ! -f "$root/scripts/build.ts" ]; then
    fail "$root is no checkout of Clutch" "git clone the repository and run ./install.sh in it"
  fi
  find_bindir
  cd "$root"
  version=$(sed -n 's/^ *"version": "\(.*\)".*/\1/p' package.json | head -n 1)
  bun_version=$(sed -n 's/^ *"bun": "\([0-9].*\)".*/\1/p' package.json | head -n 1)
  printf 'Clutch %s from %s\n' "$version" "$root"

  refuse_foreign_files
  prepare_bindir
  work=$(mktemp -d "${TMPDIR:-/tmp}/clutch-install.XXXXXX") ||
    fail "no temporary folder" "make ${TMPDIR:-/tmp} writable, or name another in TMPDIR"
  log=$work/log
  : >"$log"

  install_dependencies
  build
  install_programs
  tell_path
  if [ "$with_demo" = no ]; then return 0; fi
  step="demo"
  printf '\n'
  : >"$log"
  "$bindir/clutch" demo ||
    fail "clutch is installed, but its demo ended with $?" "run it again: $bindir/clutch demo"
}

uninstall() {
  step="uninstall"
  find_bindir
  removed=no
  # xx first: whether it is ours is seen by what it leads to.
  for program in xx clutch; do
    file=$bindir/$program
    if ! exists "$file"; then continue; fi
    if "is_our_$program" "$file"; then
      rm -f "$file" || fail "cannot remove $file" "remove it as a user who may"
      say "removed $file"
      removed=yes
    else
      say "left $file: it is not Clutch's"
    fi
  done
  if [ "$removed" = no ]; then say "nothing of Clutch is in $bindir"; fi
  more "Your config and the ledger stay; the README says where they are."
}

action=install
demo=yes
for argument in "$@"; do
  case "$argument" in
    --no-demo) demo=no ;;
    --uninstall) action=uninstall ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      printf 'install.sh: unknown option "%s"\n\n' "$argument" >&2
      usage >&2
      exit 2
      ;;
  esac
done
if [ "$action" = uninstall ]; then uninstall; else install "$demo"; fi
