import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Command } from 'commander';
import type { MasterOptions } from '../../master/config.ts';
import { masterCommand } from './master.ts';

async function parse(words: readonly string[]): Promise<MasterOptions> {
  const ran: MasterOptions[] = [];
  const program = new Command('berth');
  masterCommand(program, async () => async (options) => void ran.push(options));
  await program.parseAsync(['master', ...words], { from: 'user' });
  return ran[0]!;
}

it('berth master listens on this host alone unless told otherwise', async () => {
  const options = await parse([]);
  assert.deepEqual(options.listen, ['127.0.0.1:9999']);
  assert.equal(options.forwardMode, 'routing');
  assert.equal(options.tokenFile, undefined);
  assert.deepEqual(options.store, { kind: 'sqlite', path: '/var/lib/berth/cluster.db' });
});

it('berth master hands over what it was given', async () => {
  const given = ['--store', 'sqlite:/x', '--listen', ':1', '--listen', ':2', '--token-file', '/t', '--audit-log', '/a'];
  const options = await parse([...given, '--tls-cert', '/c', '--tls-key', '/k', '--forward-mode', 'bridge']);
  assert.deepEqual(options, {
    store: { kind: 'sqlite', path: '/x' },
    listen: [':1', ':2'],
    tlsCert: '/c',
    tlsKey: '/k',
    tokenFile: '/t',
    auditLog: '/a',
    logLevel: 'info',
    forwardMode: 'bridge',
    fabricMode: 'default',
    clusterMode: 'docker',
  });
});

it('berth master finds etcd, with TLS and a user', async () => {
  const etcd = ['--store', 'etcd://10.0.0.1,10.0.0.2:2479/blue', '--etcd-ca', '/ca'];
  assert.deepEqual((await parse([...etcd, '--etcd-user', 'u', '--etcd-password-file', '/p'])).store, {
    kind: 'etcd',
    urls: ['https://10.0.0.1:2379', 'https://10.0.0.2:2479'],
    prefix: '/blue/',
    ca: '/ca',
    user: 'u',
    passwordFile: '/p',
  });
  await assert.rejects(parse(['--store', 'consul://x']), { code: 'BAD_CONFIG' });
});
