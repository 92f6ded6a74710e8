/** Where kuryr.conf is read from, in the order of oslo.config: files, then folders, and before them the environment. */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BerthError } from '../../model/errors.ts';
import { type Assignment, type IniProblem, keyName, parseIni, sectionName } from './ini.ts';

export interface ConfSources {
  /** `--config-file`, as often as given; without, the first of the usual places. */
  readonly files?: readonly string[];
  /** `--config-dir`; without, the usual one where it exists. */
  readonly dirs?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface ConfText {
  /** A later one counts. */
  readonly assignments: readonly Assignment[];
  readonly problems: readonly IniProblem[];
  readonly files: readonly string[];
  /** Those that everybody on the host can read. */
  readonly open: readonly string[];
}

/** oslo_config.cfg.find_config_files for the project `kuryr`. */
function usualFiles(home: string | undefined): string[] {
  const own = home === undefined ? [] : [join(home, '.kuryr/kuryr.conf'), join(home, 'kuryr.conf')];
  return [...own, '/etc/kuryr/kuryr.conf', '/etc/kuryr.conf'];
}

function usualDirs(home: string | undefined): string[] {
  const own = home === undefined ? [] : [join(home, '.kuryr/kuryr.conf.d'), join(home, 'kuryr.conf.d')];
  return [...own, '/etc/kuryr/kuryr.conf.d', '/etc/kuryr.conf.d'];
}

/** What a user names, files and folders in one list. Without either of them, the usual ones are read. */
export function namedSources(paths: readonly string[] = []): Pick<ConfSources, 'files' | 'dirs'> {
  const isDir = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const [dirs, files] = [paths.filter(isDir), paths.filter((path) => !isDir(path))];
  return { ...(files.length > 0 && { files }), ...(dirs.length > 0 && { dirs }) };
}

/** @throws BerthError KURYR_CONF_INVALID for a file or folder that is named and cannot be read. */
export function readSources({ files: namedFiles, dirs: namedDirs, env }: ConfSources): ConfText {
  const first = (paths: readonly string[]) => paths.filter((path) => existsSync(path)).slice(0, 1);
  const dirs = namedDirs ?? first(usualDirs(env.HOME));
  const files = [...(namedFiles ?? first(usualFiles(env.HOME))), ...dirs.flatMap(filesIn)];
  const parsed = files.map((file) => parseIni(read(file), file));
  return {
    assignments: [...parsed.flatMap(({ assignments }) => assignments), ...environment(env)],
    problems: parsed.flatMap(({ problems }) => problems),
    files,
    open: files.filter((file) => (statSync(file).mode & 0o004) !== 0),
  };
}

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
      .toSorted()
      .map((name) => join(dir, name));
  } catch (error) {
    throw unreadable(dir, error);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(path: string, error: unknown): BerthError {
  return new BerthError('KURYR_CONF_INVALID', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
}

/** `OS_NEUTRON__AUTH_URL` is `auth_url` in `[neutron]` (oslo_config/sources/_environment.py). */
function environment(env: ConfSources['env']): Assignment[] {
  return Object.entries(env).flatMap(([name, value]) => {
    const match = /^OS_([A-Z0-9_]+?)__([A-Z0-9_]+)$/.exec(name);
    if (match === null || value === undefined) return [];
    const section = match[1] === 'DEFAULT' ? 'DEFAULT' : sectionName(match[1]!);
    return [{ section, key: keyName(match[2]!.toLowerCase()), value, place: { file: name, line: undefined } }];
  });
}
