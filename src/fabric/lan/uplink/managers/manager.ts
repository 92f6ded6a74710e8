/** What on a host configures its network interfaces, as far as files and processes tell: nobody is asked. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ManagedNic {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
}

/** A file that makes the bridge permanent, or keeps a manager off. */
export interface ConfigFile {
  readonly path: string;
  readonly content: string;
}

export interface Manager {
  readonly name: string;
  /** By what it was recognised, in a sentence. */
  readonly found: string;
  /**
   * When it undoes what Berth does to the NIC: `at once`; `later`, when something happens (a lease is renewed, it is restarted);
   * `at boot` only, before Berth starts; `never`.
   */
  readonly fights: 'at once' | 'later' | 'at boot' | 'never';
  /** What it will do, in a sentence. */
  readonly then: string;
  /** The one command that keeps it off the NIC, while Berth makes the bridge. Absent when there is nothing to do. */
  readonly fix?: string;
  /** To have the manager make the bridge itself, with `-o bridge=` instead of `-o parent=`: files to write … */
  readonly files: readonly ConfigFile[];
  /** … and the command that applies them. */
  readonly apply?: string;
}

/** A process, by its name as the kernel has it (15 characters) and its command line. */
export interface Program {
  readonly name: string;
  readonly words: readonly string[];
}

/** What runs on a host. @param root of its file system. */
export async function runningPrograms(root: string): Promise<readonly Program[]> {
  const folder = join(root, 'proc');
  const ids = (await readdir(folder).catch(() => [])).filter((name) => /^[0-9]+$/.test(name));
  const found = await Promise.all(
    ids.map(async (id) => {
      const name = (await readText(join(folder, id, 'comm')))?.trim();
      // A kernel thread has no command line, and is nobody's manager.
      const line = name === undefined ? undefined : await readText(join(folder, id, 'cmdline'));
      return line === undefined || line === ''
        ? []
        : [{ name: name!, words: line.split('\0').filter((word) => word !== '') }];
    }),
  );
  return found.flat();
}

export async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

/** Names in a folder that end so, in order; none when there is no such folder. */
export async function namesIn(folder: string, ending = ''): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  return names.filter((name) => name.endsWith(ending)).toSorted((a, b) => (a < b ? -1 : 1));
}

export interface Section {
  readonly name: string;
  readonly lines: readonly string[];
}

/** The sections of an INI file as systemd and NetworkManager write them, without comments. */
export function sectionsOf(text: string): readonly Section[] {
  const sections: { name: string; lines: string[] }[] = [];
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const [, name] = /^\[(.*)\]$/.exec(line) ?? [];
    if (name !== undefined) sections.push({ name, lines: [] });
    else sections.at(-1)?.lines.push(line);
  }
  return sections;
}

/** All values of a key in sections of a name, in order. */
export function valuesOf(sections: readonly Section[], section: string, key: string): readonly string[] {
  return sections
    .filter(({ name }) => name === section)
    .flatMap(({ lines }) => lines)
    .flatMap((line) => {
      const [, name, value] = /^([^=]+?)\s*\+?=\s*(.*)$/.exec(line) ?? [];
      return name === key ? [value!] : [];
    });
}

/** As a shell does: `*`, `?`, `[…]`. */
export function globMatches(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  try {
    return new RegExp(`^${source.replaceAll('[!', '[^')}$`).test(name);
  } catch {
    return pattern === name;
  }
}
