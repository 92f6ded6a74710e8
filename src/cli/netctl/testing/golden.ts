/** What Contiv's netctl really printed, as it was recorded: `test/golden/contiv/`. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../../../../test/golden/contiv');

export interface GoldenCase {
  /** As it was typed, and the name of the case. */
  readonly line: string;
  /** What follows `netctl`. */
  readonly words: readonly string[];
  readonly stdout: string;
  /** Without the mark that says that it is standard error. */
  readonly stderr: string;
  readonly exit: number;
}

/** The recording joins words by blanks; these words had blanks in them. */
const quoted = ['bad name', '10 mbps'];

export function wordsOf(line: string): string[] {
  const hidden = quoted.reduce((text, words) => text.replaceAll(words, words.replace(' ', '\0')), line);
  return hidden
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => word.replace('\0', ' '));
}

/** @param file `help.txt`, `netctl-cases.txt` or `transcript.txt`; commands of other programs in them are left out. */
export function goldenCases(file: string): GoldenCase[] {
  const text = readFileSync(join(folder, file), 'utf8');
  const cases: GoldenCase[] = [];
  for (const [, line, output, exit] of text.matchAll(/^\$ (netctl[^\n]*)\n([\s\S]*?)^\[exit (\d+)\]\n/gm)) {
    const lines = output!.split('\n').slice(0, -1);
    const mark = '[stderr] ';
    const isError = (said: string): boolean => said.startsWith('[stderr]');
    cases.push({
      line: line!,
      words: wordsOf(line!).slice(1),
      stdout: lines
        .filter((said) => !isError(said))
        .map((said) => `${said}\n`)
        .join(''),
      stderr: lines
        .filter(isError)
        .map((said) => `${said.slice(mark.length)}\n`)
        .join(''),
      exit: Number(exit),
    });
  }
  return cases;
}

/** @throws Error when there is no such case. */
export function goldenCase(file: string, line: string): GoldenCase {
  const found = goldenCases(file).find((one) => one.line === line);
  if (found === undefined) throw new Error(`${file} has no ${line}`);
  return found;
}

/** Versions are ours, in Contiv's lines. */
export function withoutVersions(text: string): string {
  return text.replaceAll(/^(Version|GitCommit|BuildTime): .*$/gm, '$1: …');
}
