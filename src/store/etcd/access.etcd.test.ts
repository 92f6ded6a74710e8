/** Who may use etcd, over what, and how much of it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { committed, put, take, write } from '../conformance.ts';
import { type EtcdOptions, openEtcdStore } from './store.ts';
import { type EtcdServer, serves, startEtcd } from './testing/etcd.ts';

const folder = mkdtempSync(join(tmpdir(), 'berth-etcd-tls-'));
after(() => rmSync(folder, { recursive: true }));

const password = 'a secret: with=signs';
const user = { name: 'berth', password };

/** What docs/store.md tells an administrator to do. */
async function makeUsers(member: EtcdServer): Promise<void> {
  await member.ctl('user', 'add', 'root:root');
  await member.ctl('user', 'grant-role', 'root', 'root');
  await member.ctl('user', 'add', `berth:${password}`);
  await member.ctl('role', 'add', 'berth');
  await member.ctl('role', 'grant-permission', 'berth', '--prefix=true', 'readwrite', '/berth/');
  await member.ctl('user', 'grant-role', 'berth', 'berth');
  await member.ctl('auth', 'enable');
}

const root = ['--user=root:root'];
const open = (etcd: { endpoints: EtcdOptions['endpoints'] }, options: Partial<EtcdOptions> = {}) =>
  openEtcdStore({ endpoints: etcd.endpoints, prefix: '/', deadline: 3000, ...options });

describe('users of etcd', { timeout: 120_000 }, () => {
  it('works with the rights that the documentation names, and renews its token', async () => {
    await using etcd = await startEtcd({ flags: ['--auth-token-ttl=1'] });
    const [member] = etcd.members;
    await makeUsers(member!);
    const store = await open(etcd, { user });
    try {
      const lease = await store.grantLease(60);
      const first = await committed(store, put('berth/a', '1', lease));
      for (let round = 0; round < 2; round++) {
        // Longer than a token lives.
        await delay(3500);
        assert.equal((await store.get('berth/a'))?.value, '1');
      }
      await delay(3500);
      const second = await committed(store, put('berth/a', '2', lease));
      await delay(3500);
      const seen = await take(store, 'berth/', first, 2);
      assert.deepEqual(
        seen.map(({ revision }) => revision),
        [first, second],
      );
      assert.equal(await store.keepAlive(lease), true);
      await store.revokeLease(lease);
      assert.deepEqual((await store.list('berth/')).entries, []);
      await store.compact(second);
      // A member that has restarted knows no tokens.
      await member!.kill();
      await member!.start();
      await serves(member!);
      assert.equal(await store.get('berth/a'), undefined);
    } finally {
      await store.close();
    }
  });

  it('says at once that it is refused, and does not go on asking', async () => {
    await using etcd = await startEtcd();
    const [member] = etcd.members;
    await makeUsers(member!);
    const refused = { code: 'STORE_DENIED', message: /the user 'berth': authentication failed/ } as const;
    await assert.rejects(open(etcd, { user: { name: 'berth', password: 'wrong' } }), refused);
    const nobody = await open(etcd);
    await assert.rejects(nobody.get('berth/a'), { code: 'STORE_DENIED', message: /user name is empty/ });
    await nobody.close();

    const store = await open(etcd, { user });
    try {
      for (const call of [() => store.get('x'), () => store.list(''), () => write(store, put('x', ''))]) {
        await assert.rejects(call(), { code: 'STORE_DENIED', message: /permission denied/ });
      }
      await assert.rejects(take(store, 'x', 1, 1), { code: 'STORE_DENIED', message: /a watch: permission denied/ });
      // What is allowed still works.
      await committed(store, put('berth/a', '1'));

      await member!.ctl(...root, 'user', 'delete', 'berth');
      const started = performance.now();
      const calls = Array.from({ length: 50 }, () => store.get('berth/a'));
      await Promise.all(calls.map((call) => assert.rejects(call, { code: 'STORE_DENIED' })));
      assert.ok(performance.now() - started < 3000);
    } finally {
      await store.close();
    }
  });

  it('works with a user where etcd has none', async () => {
    await using etcd = await startEtcd();
    const store = await open(etcd, { user });
    await committed(store, put('a', '1'));
    await store.close();
  });
});

describe('TLS to etcd', { timeout: 60_000 }, () => {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  /** An authority, and certificates that it signed. */
  function certify(authority: string, ...names: string[]): void {
    const request = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-batch'];
    openssl(
      ...request,
      '-x509',
      '-subj',
      `/CN=${authority}`,
      '-keyout',
      `${authority}.key`,
      '-out',
      `${authority}.pem`,
    );
    for (const name of names) {
      writeFileSync(join(folder, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
      openssl(...request, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
      const sign = ['x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`];
      openssl(...sign, '-CAcreateserial', '-extfile', 'names', '-out', `${name}.pem`);
    }
  }
  const path = (name: string) => join(folder, name);
  const file = (name: string) => readFileSync(path(name));

  it('shows a certificate, checks that of etcd, and says what is wrong with it', async () => {
    certify('ca', 'server', 'berth');
    certify('other', 'stranger');
    const listen = [`--cert-file=${path('server.pem')}`, `--key-file=${path('server.key')}`];
    await using etcd = await startEtcd({
      scheme: 'https',
      flags: [...listen, '--client-cert-auth', `--trusted-ca-file=${path('ca.pem')}`],
      ctlFlags: [`--cacert=${path('ca.pem')}`, `--cert=${path('berth.pem')}`, `--key=${path('berth.key')}`],
    });
    const openWith = (tls: EtcdOptions['endpoints'][number]['tls']) =>
      openEtcdStore({ endpoints: etcd.endpoints.map(({ url }) => ({ url, tls: tls! })), deadline: 1500 });
    const good = { ca: file('ca.pem'), cert: file('berth.pem'), key: file('berth.key') };
    const store = await openWith(good);
    const revision = await committed(store, put('a', '1'));
    assert.equal((await take(store, 'a', revision, 1)).length, 1);
    // The certificate's name is who we are, where etcd has users.
    await etcd.members[0]!.ctl('user', 'add', 'root:root');
    await etcd.members[0]!.ctl('user', 'grant-role', 'root', 'root');
    await etcd.members[0]!.ctl('user', 'add', '--no-password', 'berth').catch(() =>
      etcd.members[0]!.ctl('user', 'add', 'berth:x'),
    );
    await etcd.members[0]!.ctl('role', 'add', 'berth');
    await etcd.members[0]!.ctl('role', 'grant-permission', 'berth', 'readwrite', 'a');
    await etcd.members[0]!.ctl('user', 'grant-role', 'berth', 'berth');
    await etcd.members[0]!.ctl('auth', 'enable');
    await committed(store, put('a', '2'));
    await assert.rejects(write(store, put('b', '2')), { code: 'STORE_DENIED' });
    await store.close();

    await assert.rejects(openWith({ ...good, ca: file('other.pem') }), {
      code: 'STORE_UNAVAILABLE',
      message: /certificate/,
    });
    await assert.rejects(openWith({ ca: good.ca }), { code: 'STORE_UNAVAILABLE' });
    const stranger = { ca: good.ca, cert: file('stranger.pem'), key: file('stranger.key') };
    await assert.rejects(openWith(stranger), { code: 'STORE_UNAVAILABLE' });
    await assert.rejects(
      openEtcdStore({ endpoints: [{ url: etcd.endpoints[0]!.url.replace('https', 'http') }], deadline: 1500 }),
      {
        code: 'STORE_UNAVAILABLE',
      },
    );
  });
});

describe('the limits of etcd', { timeout: 60_000 }, () => {
  it('refuses what is too large with a sentence, and changes nothing', async () => {
    await using etcd = await startEtcd();
    const store = await open(etcd);
    try {
      const many = Array.from({ length: 129 }, (_, n) => put(`k/${n}`, ''));
      await assert.rejects(write(store, ...many), { code: 'TRANSACTION_TOO_LARGE', message: /too many operations/ });
      for (const size of [1_600_000, 3_000_000]) {
        await assert.rejects(write(store, put('k', 'x'.repeat(size))), {
          code: 'TRANSACTION_TOO_LARGE',
          message: /larg/,
        });
      }
      assert.deepEqual((await store.list('')).entries, []);
      await write(store, ...many.slice(1));
    } finally {
      await store.close();
    }
  });

  it('a full database is STORE_FULL until there is room again', async () => {
    await using etcd = await startEtcd({ flags: [`--quota-backend-bytes=${2 * 1024 * 1024}`] });
    const [member] = etcd.members;
    const store = await open(etcd);
    try {
      const value = 'x'.repeat(500_000);
      let full: unknown;
      // The size that etcd holds against its quota grows when its backend writes, every 100 ms: a fast disk takes many
      // values until then.
      for (let n = 0; n < 500 && full === undefined; n++) {
        full = await write(store, put('a', value)).then(
          () => undefined,
          (error: unknown) => error,
        );
      }
      assert.equal((full as { code?: string })?.code, 'STORE_FULL');
      assert.equal((await store.get('a'))?.value, value);
      await assert.rejects(write(store, put('b', '')), { code: 'STORE_FULL' });
      // A deletion needs room as well, but is let through.
      await committed(store, { do: 'delete', key: 'a' });
      const { revision } = await store.list('');
      await store.compact(revision);
      await member!.ctl('defrag');
      await member!.ctl('alarm', 'disarm');
      await committed(store, put('b', ''));
    } finally {
      await store.close();
    }
  });

  it('members of different clusters are not mixed', async () => {
    await using one = await startEtcd();
    await using two = await startEtcd();
    const store = await open({ endpoints: [...one.endpoints, ...two.endpoints] });
    try {
      await committed(store, put('a', '1'));
      const [first, second] = (await one.members[0]!.ctl('get', '/a')) === '' ? [two, one] : [one, two];
      await first.members[0]!.kill();
      await assert.rejects(store.get('a'), { code: 'STORE_UNAVAILABLE', message: /belongs to another cluster/ });
      assert.equal(await second.members[0]!.ctl('get', '--prefix', '/'), '');
    } finally {
      await store.close();
    }
  });
});
