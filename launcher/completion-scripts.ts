/**
 * The scripts that `clutch completion` prints. They hold no knowledge of their own: they hand the words before the cursor
 * to `xx --complete` or `clutch --complete`, found on PATH by name, and show what comes back.
 *
 * An answer is a line per candidate, `value<TAB>description`. For zsh and bash a value that nothing may follow directly
 * ends in a space, and one that more letters may follow does not. Fish adds spaces by rules of its own, so it gets none.
 */

import { asPlainLine } from "../src/plain-line.ts";
import type { Candidate } from "./completion.ts";
import type { Shell } from "./shells.ts";

/** What a shell takes as it is, quoted or not. */
const plainWord = /^[\p{L}\p{N}@%+=:,./_-]+$/u;

/** Values that a shell would read as more than a word are left out. */
export function renderCandidates(candidates: readonly Candidate[], shell: Shell): string {
  return candidates
    .filter(({ value }) => plainWord.test(value))
    .map(({ value, description, isOpen }) => {
      const space = shell === "fish" || isOpen === true ? "" : " ";
      const told = shell === "bash" ? "" : `\t${asPlainLine(description).replace(/\s+/g, " ")}`;
      return `${value}${space}${told}\n`;
    })
    .join("");
}

/** The matches carry their own spaces, so that open and closed ones stand in one list, in our order. */
const zsh = `#compdef xx clutch cg_run
# Completion of xx and clutch for zsh, with the candidates that the programs themselves name.
# Install: put this line into ~/.zshrc, after compinit if you call it:
#   source <(clutch completion zsh)
# or write it to a file named _clutch in a folder of $fpath.

_clutch() {
  local line value description
  local -a values displays
  local -i dashes=\${words[(i)--]} width=0

  if [[ $service == cg_run ]]; then
    shift words
    (( CURRENT-- ))
    _normal
    return
  fi
  if (( dashes < CURRENT )); then
    if [[ \${service:t} == clutch && \${words[2]} == run ]]; then
      shift $dashes words
      (( CURRENT -= dashes ))
      _normal
    else
      _files
    fi
    return
  fi

  for line in "\${(@f)$(command \${service:t} --complete zsh -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    value=\${line%%$'\\t'*}
    description=\${line#*$'\\t'}
    values+=("$value")
    (( \${#value} > width )) && width=\${#value}
    displays+=("$value"$'\\t'"$description")
  done
  (( \${#values} )) || return 1
  local -i index
  for (( index = 1; index <= \${#displays}; index++ )); do
    value=\${(r:width:)displays[index]%%$'\\t'*}
    description=\${displays[index]#*$'\\t'}
    line="$value\${description:+  $description}"
    displays[index]=\${line[1,COLUMNS-1]}
  done
  compadd -Q -S '' -l -V clutch -d displays -a values
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _clutch "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
  compdef _clutch xx clutch cg_run
fi
`;

/** Words are cut from the line here: bash would also cut at the colons of model names. */
const bash = `# Completion of xx and clutch for bash, with the candidates that the programs themselves name.
# Install: put this line into ~/.bashrc:
#   eval "$(clutch completion bash)"

_clutch() {
  local line=\${COMP_LINE:0:COMP_POINT} tail separator
  local -a words
  read -ra words <<<"$line"
  case $line in *[[:space:]]) words+=("") ;; esac
  local last=\${words[\${#words[@]} - 1]}
  COMPREPLY=()

  case " \${words[*]:1} " in
    *" -- "*)
      compopt -o default +o nospace 2>/dev/null
      return
      ;;
  esac

  # Bash replaces only what stands behind the last of these.
  tail=$last
  for separator in : =; do
    case $COMP_WORDBREAKS in *"$separator"*) tail=\${tail##*"$separator"} ;; esac
  done
  while IFS= read -r line; do
    COMPREPLY+=("\${line:\${#last} - \${#tail}}")
  done < <(command "\${words[0]##*/}" --complete bash -- "\${words[@]:1}" 2>/dev/null)
}

complete -o nospace -o nosort -F _clutch xx clutch 2>/dev/null || complete -o nospace -F _clutch xx clutch
`;

const fish = `# Completion of xx and clutch for fish, with the candidates that the programs themselves name.
# Install:
#   clutch completion fish > ~/.config/fish/conf.d/clutch-completion.fish

function __clutch_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program (string replace -r '.*/' '' -- $words[1])
    command $program --complete fish -- $words[2..-1] 2>/dev/null
end

function __clutch_behind_dashes
    contains -- -- (commandline -opc)[2..-1]
end

for program in xx clutch
    complete -c $program -e
    complete -c $program -f -k -a '(__clutch_complete)'
    complete -c $program -n __clutch_behind_dashes -F
end
complete -c cg_run -x -a '(__fish_complete_subcommand)'
`;

export const completionScripts: Readonly<Record<Shell, string>> = { zsh, bash, fish };
