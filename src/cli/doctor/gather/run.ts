/** Other programs, for looking only: the doctor is the one place where what they cost does not matter. */

import { execFile } from 'node:child_process';

/** None of them may keep the doctor waiting. */
const timeout = 5000;

/** What a program printed; undefined when it is missing, fails or takes too long. */
export function run(program: string, ...args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    // Debian keeps most of them where only root's PATH leads.
    const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin` };
    execFile(program, args, { timeout, env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
}

/** The same, for programs that print JSON. */
export async function runJson<T>(program: string, ...args: readonly string[]): Promise<T | undefined> {
  const text = await run(program, ...args);
  if (text === undefined || text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}
