/** Rules of the host's packet filters that name an interface: they stop to match when its packets come in on the bridge. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { readText } from './managers/manager.ts';

/** Milliseconds. */
const PATIENCE = 1500;

export interface FilterRule {
  /** Its table and itself. */
  readonly text: string;
  /** It is about what comes in: a service of the host that it lets in may not be reached any more. */
  readonly input: boolean;
}

/** Rules that name it and do not name the bridge; none where a filter's program does not answer. @param root of the file system. */
export async function filterRulesNaming(link: string, bridge: string, root = '/'): Promise<readonly FilterRule[]> {
  const legacy = async (family: 'ip' | 'ip6') => {
    // Without a table, and asking would load one, there is nothing in the old interface of the kernel.
    const tables = await readText(join(root, 'proc/self/net', `${family}_tables_names`));
    if (tables === undefined || tables.trim() === '') return [];
    return legacyRulesNaming(await outputOf(`${family}tables-legacy-save`), link, bridge);
  };
  const found = await Promise.all([
    outputOf('nft', 'list', 'ruleset').then((text) => rulesNaming(text, link, bridge)),
    legacy('ip'),
    legacy('ip6'),
  ]);
  return found.flat();
}

function outputOf(program: string, ...words: string[]): Promise<string> {
  const options = { timeout: PATIENCE, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 } as const;
  return new Promise((resolve) => {
    execFile(program, words, options, (_error, stdout) => resolve(stdout));
  });
}

/** @param ruleset as `nft list ruleset` prints it. */
export function rulesNaming(ruleset: string, link: string, bridge: string): readonly FilterRule[] {
  let table = '';
  return ruleset.split('\n').flatMap((line): FilterRule[] => {
    const [, name] = /^table (.*) \{/.exec(line) ?? [];
    if (name !== undefined) table = name;
    // Berth's own rules follow by themselves; those of a device stay on it.
    if (/berth/.test(`${table} ${line}`) || /\bdevices?\b/.test(line)) return [];
    const words = line.trim().replaceAll(/\b(comment|prefix) "[^"]*"/g, '');
    const names = [...words.matchAll(/"([^"]+)"/g)].map(([, quoted]) => quoted!);
    if (!selects(names, '*', link) || selects(names, '*', bridge)) return [];
    return [{ text: `${table}: ${line.trim()}`, input: !/\boif(name)?\b/.test(words) || /\biif(name)?\b/.test(words) }];
  });
}

/** @param rules as `iptables-legacy-save` prints them. */
export function legacyRulesNaming(rules: string, link: string, bridge: string): readonly FilterRule[] {
  let table = '';
  return rules.split('\n').flatMap((line): FilterRule[] => {
    const [, name] = /^\*(\S+)/.exec(line) ?? [];
    if (name !== undefined) table = name;
    if (!line.startsWith('-A') || line.includes('berth')) return [];
    const words = line.replaceAll(/--(comment|log-prefix) ("[^"]*"|\S+)/g, '');
    const of = (option: string) => [...words.matchAll(new RegExp(` ${option} (\\S+)`, 'g'))].map(([, named]) => named!);
    const [into, out] = [of('-i'), of('-o')];
    const names = [...into, ...out];
    if (!selects(names, '+', link) || selects(names, '+', bridge)) return [];
    return [{ text: `iptables ${table}: ${line.trim()}`, input: selects(into, '+', link) }];
  });
}

/** @param any what stands for any ending of a name. */
function selects(names: readonly string[], any: string, link: string): boolean {
  return names.some((name) => (name.endsWith(any) ? link.startsWith(name.slice(0, -1)) : name === link));
}
