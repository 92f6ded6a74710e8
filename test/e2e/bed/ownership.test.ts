import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { claimBed, removeBed, sweep } from './ownership.ts';
import { processState, waitFor } from './process.ts';
import { namespacesOf, remains } from './remains.ts';

test('what a killed test leaves behind ends by itself, and is swept', async () => {
  const name = `killed-${process.pid}`;
  const script = `
    import { openBed } from ${JSON.stringify(join(import.meta.dirname, 'bed.ts'))};
    import { childrenOf } from ${JSON.stringify(join(import.meta.dirname, 'process.ts'))};
    const bed = await openBed('${name}');
    const host = await bed.host('h1');
    await host.docker('run', '-d', await host.image(), 'sleep', '600');
    // A machine that is frozen does not notice the end of its owner.
    const lan = await bed.lan({ subnet: '10.1.0.0/24', gateway: '10.1.0.1' });
    for (const pid of [...childrenOf(lan.router.pid()), lan.router.pid()]) process.kill(pid, 'SIGSTOP');
    console.log(bed.id);
    setInterval(() => {}, 1000);`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const id = await firstLine(owner);
    const dir = join(tmpdir(), id);
    const host = noted(dir, 'h1');
    const frozen = noted(dir, 'lan-gateway');
    const namespaces = namespacesOf(dir);
    assert.deepEqual(sweep(name), [], 'the owner lives');
    assert.ok(existsSync(dir));

    owner.kill('SIGKILL');
    await waitFor('the host to end with its owner', () => processState(host) === undefined);
    assert.equal(processState(frozen), 'T');
    assert.deepEqual(sweep('other'), []);
    assert.deepEqual(sweep(name), [id]);
    await waitFor(
      () => `nothing to be left, but there is ${remains(id, namespaces).join(', ')}`,
      () => remains(id, namespaces).length === 0,
      30_000,
    );
  } finally {
    owner.kill('SIGKILL');
  }
});

for (const [what, rest, end] of [
  ['exits', '', 0],
  ['is told to end', 'setInterval(() => {}, 1000);', 'SIGTERM'],
  ['fails', 'throw new Error("on purpose");', 1],
] as const) {
  test(`a bed that is not closed is removed when its process ${what}`, async () => {
    const script = `
      import { openBed } from ${JSON.stringify(join(import.meta.dirname, 'bed.ts'))};
      const bed = await openBed('exit');
      const host = await bed.host('h1');
      await host.docker('run', '-d', await host.image(), 'sleep', '600');
      console.log(bed.id);
      ${rest}`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    try {
      const ended = new Promise<unknown>((resolve) => {
        owner.once('exit', (code, signal) => resolve(signal ?? code));
      });
      const id = await firstLine(owner);
      if (end === 'SIGTERM') owner.kill('SIGTERM');
      assert.equal(await ended, end);
      assert.deepEqual(remains(id, new Set()), []);
    } finally {
      owner.kill('SIGKILL');
    }
  });
}

function firstLine(process: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    process.stdout!.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    process.once('exit', () => reject(new Error('The owner ended')));
  });
}

/** Process id of a machine's pid 1. */
function noted(dir: string, machine: string): number {
  return Number(readFileSync(join(dir, machine, 'init'), 'utf8').split(' ')[0]);
}

test('removing a bed that has nothing, and one that is gone, is no error', () => {
  const claim = claimBed('empty');
  mkdirSync(join(claim.dir, 'h1'));
  removeBed(claim.id);
  removeBed(claim.id);
  assert.throws(() => claimBed('../x'), /Bed name/);
});
