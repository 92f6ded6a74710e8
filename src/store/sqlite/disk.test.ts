import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs a scenario with a file system of its own, mounted where nobody else sees it and gone with the process. */
async function onDisk(mount: string, scenario: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'berth-disk-'));
  const script = fileURLToPath(new URL(`./testing/${scenario}`, import.meta.url));
  const commands = `set -e; cd ${directory}; mkdir disk; ${mount}; exec "$0" "$1" ${directory}/disk`;
  try {
    await run('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', commands, process.execPath, script]);
  } catch (error) {
    assert.fail((error as { stderr?: string }).stderr ?? String(error));
  } finally {
    await rm(directory, { recursive: true });
  }
}

it('says so when the disk is full, keeps what it has, and goes on when there is room again', { timeout: 60_000 }, () =>
  onDisk('mount -t tmpfs -o size=4m none disk', 'full-disk.ts'),
);

it('holds up nobody while the disk hangs, and goes on afterwards', { timeout: 60_000 }, () =>
  onDisk('truncate -s 20M image; mkfs.ext4 -q image; mount -o loop image disk', 'frozen-disk.ts'),
);

it('waits for the disk at each transaction, but for relaxed ones', { timeout: 60_000 }, () =>
  // The file system's own journal would be written down every 5 s otherwise.
  onDisk('truncate -s 20M image; mkfs.ext4 -q image; mount -o loop,commit=300 image disk', 'flushed-disk.ts'),
);
