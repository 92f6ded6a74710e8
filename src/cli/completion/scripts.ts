/** `berth completion SHELL`: short scripts that ask `berth __complete` for everything, so they never grow old. */

import { exitCode } from '../failure.ts';
import type { Work } from '../session.ts';

/** The words so far go to `__complete`, the unfinished one last; it answers `VALUE<tab>DESCRIPTION` lines. */
const scripts: Readonly<Record<string, string>> = {
  bash: `# berth completion for bash
_berth() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _berth berth
`,
  zsh: `#compdef berth
# berth completion for zsh
_berth() {
  local line
  local -a found
  while IFS= read -r line; do
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe berth found || _files
}
if [ "$funcstack[1]" = _berth ]; then _berth "$@"; else compdef _berth berth; fi
`,
  fish: `# berth completion for fish
function __berth_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c berth -f -a '(__berth_complete)'
`,
};

export const completion: Work = async (session, args) => {
  session.stdout.write(scripts[String(args[0])]!);
  return exitCode.ok;
};
