/** `berth completion SHELL`, and netctl's: short scripts that ask `PROGRAM __complete` for everything, so they never grow old. */

import { exitCode } from '../failure.ts';
import type { Work } from '../session.ts';

/** The words so far go to `__complete`, the unfinished one last; it answers `VALUE<tab>DESCRIPTION` lines. */
const scripts: Readonly<Record<string, (program: string) => string>> = {
  bash: (program) => `# ${program} completion for bash
_${program}() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _${program} ${program}
`,
  zsh: (program) => `#compdef ${program}
# ${program} completion for zsh
_${program}() {
  local line
  local -a found
  while IFS= read -r line; do
    found+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe ${program} found || _files
}
if [ "$funcstack[1]" = _${program} ]; then _${program} "$@"; else compdef _${program} ${program}; fi
`,
  fish: (program) => `# ${program} completion for fish
function __${program}_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete -- $words[2..-1] 2>/dev/null
end
complete -c ${program} -f -a '(__${program}_complete)'
`,
};

export const shells = ['bash', 'zsh', 'fish'] as const;

/** The script for a shell; undefined for a shell that we know nothing of. */
export function completionScript(shell: string, program: string): string | undefined {
  return scripts[shell]?.(program);
}

export const completion: Work = async (session, args) => {
  session.stdout.write(completionScript(String(args[0]), 'berth')!);
  return exitCode.ok;
};
