/** Programs and shared libraries of this machine, by their names. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** @throws when there is no such program on the usual path. */
export function programFile(name: string): string {
  const file = ['/usr/bin', '/bin', '/usr/sbin', '/sbin'].map((folder) => `${folder}/${name}`).find(existsSync);
  if (file === undefined) throw new Error(`the program ${name} is missing; it is of an essential package of Debian`);
  return file;
}

/** The file that the dynamic linker finds for a library (ldconfig(8)). @throws when it finds none. */
export function libraryFile(name: string): string {
  const line = execFileSync('/sbin/ldconfig', ['-p'], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.trim().startsWith(`${name} `));
  const file = line?.split(' => ')[1];
  if (file === undefined) throw new Error(`the library ${name} is missing (Debian: libnftables1)`);
  return file;
}

/** Every file that the dynamic linker loads with a program or library, itself included (ldd(1)). */
export function librariesOf(file: string): readonly string[] {
  const text = execFileSync('ldd', [file], { encoding: 'utf8' });
  const missing = /^\s*(\S+) => not found$/m.exec(text)?.[1];
  if (missing !== undefined) throw new Error(`${file} needs the library ${missing}, which is missing`);
  return [...text.matchAll(/(?:^|\s)(\/\S+\.so\S*)/gm)].map((match) => match[1]!);
}
