import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mayBeOccupied } from './occupied.ts';

/** A namespace that outlives its processes, as an engine makes them: mounted on a file. */
const folder = mkdtempSync(join(tmpdir(), 'berth-occupied-'));
const path = join(folder, 'netns');

before(() => {
  writeFileSync(path, '');
  execFileSync('unshare', [`--net=${path}`, 'true']);
});

after(() => {
  execFileSync('umount', [path]);
  rmSync(path);
  rmdirSync(folder);
});

async function inside(): Promise<ChildProcess> {
  const child = spawn('nsenter', [`--net=${path}`, 'sh', '-c', 'echo; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout!, 'data');
  return child;
}

test('a namespace is occupied as long as a process is in it', async () => {
  assert.equal(mayBeOccupied(path), false);
  const [one, other] = [await inside(), await inside()];
  assert.equal(mayBeOccupied(path), true);
  one.kill('SIGKILL');
  await once(one, 'exit');
  assert.equal(mayBeOccupied(path), true, 'the other one is still there');
  other.kill('SIGKILL');
  await once(other, 'exit');
  assert.equal(mayBeOccupied(path), false);
});

test('a namespace that is gone, or never was, is not occupied', () => {
  assert.equal(mayBeOccupied(join(folder, 'gone')), false);
});

test('our own is', () => {
  assert.equal(mayBeOccupied('/proc/self/ns/net'), true);
});
