/** Runs test files, each in a process of its own, as many side by side as their weights allow, and says what each cost. */

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inOrder, nextSuite, type Suite } from './schedule.ts';

/** As the reporter writes them. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface Outcome {
  readonly suite: Suite;
  readonly counts: Counts;
  /** From its start to its end. */
  readonly seconds: number;
  /** Processor time of all its processes. */
  readonly cpuSeconds: number;
  readonly output: string;
}

export interface RunOptions {
  /** How much weight runs at a time. */
  readonly capacity: number;
  /** Seconds after which a suite has failed and is ended. */
  readonly limit: number;
  readonly reporter: string;
  readonly env?: Readonly<Record<string, string>>;
  /** No more suites are begun once it is aborted, and those that run are told to end. */
  readonly signal?: AbortSignal;
  /** Told of each suite when it ends. */
  readonly ended: (outcome: Outcome) => void;
}

/** Time in which a suite that is told to end may clean up, in milliseconds. */
const GRACE = 10_000;

/** Runs all of them; never throws: a suite that cannot be run is one that failed. */
export async function runSuites(suites: readonly Suite[], options: RunOptions): Promise<Outcome[]> {
  const waiting = inOrder(suites);
  const running = new Map<Suite, Promise<void>>();
  const outcomes: Outcome[] = [];
  for (;;) {
    for (
      let suite = nextSuite(waiting, [...running.keys()], options.capacity);
      suite !== undefined && options.signal?.aborted !== true;
      suite = nextSuite(waiting, [...running.keys()], options.capacity)
    ) {
      const begun = suite;
      waiting.splice(waiting.indexOf(begun), 1);
      const ending = runSuite(begun, options).then((outcome) => {
        running.delete(begun);
        outcomes.push(outcome);
        options.ended(outcome);
      });
      running.set(begun, ending);
    }
    if (running.size === 0) return outcomes;
    await Promise.race(running.values());
  }
}

async function runSuite(suite: Suite, { env, limit, reporter, signal }: RunOptions): Promise<Outcome> {
  const scratch = mkdtempSync(join(tmpdir(), 'berth-suite-'));
  const countsFile = join(scratch, 'counts');
  const timesFile = join(scratch, 'times');
  const began = performance.now();
  // The shell's `times` has what all processes have used that somebody has waited for.
  const child = spawn(
    'sh',
    ['-c', '"$@"; code=$?; times >"$0"; exit $code', timesFile, process.execPath].concat(
      ['--test', `--test-reporter=${reporter}`],
      suite.file,
    ),
    {
      env: { ...process.env, ...env, BERTH_TEST_COUNTS: countsFile },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that all of it can be told to end.
      detached: true,
    },
  );
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => output.push(data));
  const late = AbortSignal.timeout(limit * 1000);
  const end = AbortSignal.any(signal === undefined ? [late] : [late, signal]);
  let insisting: NodeJS.Timeout | undefined;
  const tell = (): void => {
    endGroup(child.pid, 'SIGTERM');
    insisting = setTimeout(() => endGroup(child.pid, 'SIGKILL'), GRACE);
  };
  end.addEventListener('abort', tell, { once: true });
  const problem = await new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (code, killedBy) =>
      resolve(code === 0 ? '' : killedBy === null ? `exit code ${code}` : `ended by ${killedBy}`),
    );
  });
  end.removeEventListener('abort', tell);
  clearTimeout(insisting);
  const seconds = (performance.now() - began) / 1000;
  const counts = readCounts(countsFile);
  const cpuSeconds = readTimes(timesFile);
  rmSync(scratch, { recursive: true, force: true });
  if (problem !== '' && counts.failed === 0) {
    counts.failed = 1;
    const why = late.aborted ? `it had not ended after ${limit} s` : problem;
    output.push(Buffer.from(`    FAILED  ${suite.file}: ${why}\n`));
  }
  return { suite, counts, seconds, cpuSeconds, output: Buffer.concat(output).toString() };
}

function endGroup(leader: number | undefined, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, signal);
  } catch {
    // It has ended by itself.
  }
}

function readCounts(file: string): Counts {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Counts) : { passed: 0, failed: 0, skipped: 0 };
}

/** User and system time of the children, from the second line of what `times` prints: `1m2.345s 0m6.789s`. */
function readTimes(file: string): number {
  if (!existsSync(file)) return 0;
  const [, children = ''] = readFileSync(file, 'utf8').split('\n');
  return [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, rest]) => sum + +minutes! * 60 + +rest!,
    0,
  );
}

/** The slowest suites, and what all of them took: where the next person who wants to save time should look. */
export function summary(outcomes: readonly Outcome[], wallSeconds: number): string {
  const slowest = outcomes.toSorted((a, b) => b.seconds - a.seconds).slice(0, 10);
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  const whole = sum(({ seconds }) => seconds);
  const cpu = sum(({ cpuSeconds }) => cpuSeconds);
  const lines = [
    '    the slowest, and their processor time:',
    ...slowest.map((outcome) => `    ${costs(outcome)}  ${outcome.suite.file}`),
    `    ${outcomes.length} ${outcomes.length === 1 ? 'file' : 'files'} took ${minutes(wallSeconds)} side by side, ${minutes(whole)} one after the other, ${minutes(cpu)} of processor time`,
  ];
  return `${lines.join('\n')}\n`;
}

/** How long a suite took, with its processor time. */
export function costs({ cpuSeconds, seconds }: Pick<Outcome, 'cpuSeconds' | 'seconds'>): string {
  return `${seconds.toFixed(1).padStart(6)} s (${cpuSeconds.toFixed(1).padStart(5)} s)`;
}

function minutes(seconds: number): string {
  return `${(seconds / 60).toFixed(1)} min`;
}
