/** Rules of the host's packet filters that name an interface: they stop to match when its packets come in on the bridge. */

import { execFile } from 'node:child_process';

/** Milliseconds. */
const PATIENCE = 3000;

/** Rules that name it, one line each; none where `nft` does not answer. */
export async function filterRulesNaming(link: string): Promise<readonly string[]> {
  const ruleset = await new Promise<string>((resolve) => {
    const options = { timeout: PATIENCE, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const;
    execFile('nft', ['list', 'ruleset'], options, (_error, stdout) => resolve(stdout));
  });
  return rulesNaming(ruleset, link);
}

/** @param ruleset as `nft list ruleset` prints it. */
export function rulesNaming(ruleset: string, link: string): readonly string[] {
  let table = '';
  return ruleset.split('\n').flatMap((line) => {
    const [, name] = /^table (.*) \{/.exec(line) ?? [];
    if (name !== undefined) table = name;
    // Berth's own rules follow by themselves.
    if (!line.includes(`"${link}"`) || !/\b[io]if(name)?\b/.test(line) || /berth/.test(`${table} ${line}`)) return [];
    return [`${table}: ${line.trim()}`];
  });
}
