/** Runs commands one after the other or side by side, silent while they succeed, and says how long each took. */

import { spawn } from 'node:child_process';

export interface Phase {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Shows the output as it comes: for phases of minutes. */
  readonly loud?: boolean;
  /** Minutes after which it has failed and is told to end; 10 unless told. */
  readonly limit?: number;
}

export interface PhaseResult {
  readonly ok: boolean;
  readonly milliseconds: number;
  readonly output: string;
}

/** Runs one phase; never throws: a command that cannot be started is a phase that failed. */
export function runPhase(phase: Phase): Promise<PhaseResult> {
  const started = performance.now();
  return new Promise((resolve) => {
    const [program, ...args] = phase.command;
    const child = spawn(program, args, {
      env: { ...process.env, ...phase.env },
      stdio: ['ignore', phase.loud ? 'inherit' : 'pipe', phase.loud ? 'inherit' : 'pipe'],
    });
    const output: Buffer[] = [];
    child.stdout?.on('data', (data: Buffer) => output.push(data));
    child.stderr?.on('data', (data: Buffer) => output.push(data));
    const minutes = phase.limit ?? 10;
    let late = '';
    const timer = setTimeout(() => {
      late = `it had not ended after ${minutes} minutes\n`;
      child.kill();
    }, minutes * 60_000);
    const finish = (ok: boolean, extra = ''): void =>
      resolve({ ok, milliseconds: performance.now() - started, output: Buffer.concat(output).toString() + extra });
    child.on('error', (error) => finish(false, error.message));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      finish(code === 0 && late === '', late !== '' ? late : signal ? `ended by ${signal}\n` : '');
    });
  });
}

/** One line per phase; the output only of those that failed. */
export function report(phase: Phase, result: PhaseResult): void {
  const seconds = (result.milliseconds / 1000).toFixed(1).padStart(6);
  process.stdout.write(`${result.ok ? 'ok    ' : 'FAILED'} ${seconds} s  ${phase.name}\n`);
  if (!result.ok && result.output !== '') {
    process.stdout.write(`${result.output.trimEnd().replaceAll(/^/gm, '    ')}\n`);
  }
}
