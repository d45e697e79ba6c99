// What a shell reads once. Each asks `tlsfleet __complete` for what could come next, so a script never
// knows less than the program that it belongs to.

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/**
 * Answers of `__complete`: a line each, value and description parted by a tab; a single line
 * `:files` stands for the files of this machine.
 */
export const FILES = ':files'

export function completionScript(shell: Shell): string {
  return SCRIPTS[shell]
}

const BASH = `# bash completion of tlsfleet; to load it now: source <(tlsfleet completion bash)
_tlsfleet() {
  local word answer
  # The line as typed: bash would break words at = and : as well.
  local IFS=$' \\t\\n'
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  word="\${COMP_WORDS[COMP_CWORD]}"
  answer="$(tlsfleet __complete -- "\${words[@]}" 2>/dev/null)"
  COMPREPLY=()
  if [ "$answer" = "${FILES}" ]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  [ -n "$answer" ] && mapfile -t COMPREPLY < <(printf '%s\\n' "$answer" | cut -f1)
}
complete -F _tlsfleet tlsfleet
`

const ZSH = `#compdef tlsfleet
# zsh completion of tlsfleet; to load it now: source <(tlsfleet completion zsh)
_tlsfleet() {
  local -a candidates
  local line answer
  answer="$(tlsfleet __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)"
  if [[ "$answer" == "${FILES}" ]]; then
    _files
    return
  fi
  while IFS=$'\\t' read -r value description; do
    [[ -n "$value" ]] && candidates+=("\${value//:/\\\\:}:\${description}")
  done <<< "$answer"
  _describe -V tlsfleet candidates
}
if [ "$funcstack[1]" = "_tlsfleet" ]; then
  _tlsfleet "$@"
else
  compdef _tlsfleet tlsfleet
fi
`

const FISH = `# fish completion of tlsfleet; to load it now: tlsfleet completion fish | source
function __tlsfleet_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l answer (tlsfleet __complete -- $words[2..-1] 2>/dev/null)
  if test "$answer" = "${FILES}"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $answer
  end
end
complete -c tlsfleet -f -a '(__tlsfleet_complete)'
`

const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
