/** Three masters on one etcd, and a netctl that knows them all: the loss of any is not noticed. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type EtcdCluster, startEtcd } from '../../src/store/etcd/testing/etcd.ts';
import { type Master, netctl, startMaster } from './suites/netctl-master.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-netctl-'));
let etcd: EtcdCluster;
let masters: readonly Master[] = [];
before(async () => {
  etcd = await startEtcd();
  const store = ['--etcd-endpoints', etcd.endpoints.map(({ url }) => url).join(',')];
  masters = await Promise.all([1, 2, 3].map(() => startMaster(folder, { store })));
});
after(async () => {
  await Promise.all(masters.map((master) => master.kill()));
  await etcd[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const succeed = async (words: string): Promise<string> => {
  const all = { folder, url: masters.map(({ url }) => url).join(',') };
  const { exit, stdout, stderr } = await netctl(all, words.split(' '));
  assert.equal(stderr, '', words);
  assert.equal(exit, 0);
  return stdout;
};

test('what one makes, each shows', async () => {
  assert.equal(await succeed('network create --subnet 10.103.1.0/24 test-net'), 'Creating network default:test-net\n');
  for (const master of masters) {
    const { stdout } = await netctl(master, ['network', 'ls', '-q']);
    assert.equal(stdout, 'test-net\n');
  }
});

test('one that is killed, and one that hangs, are passed over by reads and writes', async () => {
  await masters[0]!.kill();
  assert.equal(await succeed('network create --subnet 10.103.2.0/24 second'), 'Creating network default:second\n');
  masters[1]!.freeze();
  assert.equal(await succeed('network create --subnet 10.103.3.0/24 third'), 'Creating network default:third\n');
  assert.equal(await succeed('network ls -q'), 'second\ntest-net\nthird\n');
  assert.equal(await succeed('network rm third'), 'Deleting network default:third\n');
});

test('without any, an error that says so', async () => {
  await Promise.all(masters.map((master) => master.kill()));
  const { exit, stderr } = await netctl({ folder, url: masters[2]!.url }, ['network', 'ls']);
  assert.match(
    stderr,
    /connect: connection refused"\n {2}cause: nothing listens on 127.*\n {2}next: Start a master there/,
  );
  assert.equal(exit, 3);
});
