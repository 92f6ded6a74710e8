import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type EtcdAccess, formatStoreLocation, parseStoreLocation } from './location.ts';

const parse = (text: string, access: EtcdAccess = {}) => parseStoreLocation(text, '--store', '/state/berth.db', access);

it('reads where a store is', () => {
  assert.deepEqual(parse('sqlite'), { kind: 'sqlite', path: '/state/berth.db' });
  assert.deepEqual(parse('sqlite:/x/y.db'), { kind: 'sqlite', path: '/x/y.db' });
  assert.deepEqual(parse('etcd://10.0.0.1:2379,etcd2:4001,[fd00::1]/prod/a'), {
    kind: 'etcd',
    urls: ['http://10.0.0.1:2379', 'http://etcd2:4001', 'http://[fd00::1]:2379'],
    prefix: '/prod/a/',
  });
  assert.deepEqual(parse('etcds://h', { user: 'u', passwordFile: '/p' }), {
    kind: 'etcd',
    urls: ['https://h:2379'],
    prefix: '/',
    user: 'u',
    passwordFile: '/p',
  });
  const secured = parse('etcd://h/', { ca: '/ca' });
  assert.ok(secured.kind === 'etcd');
  assert.deepEqual(secured.urls, ['https://h:2379']);
});

it('writes what it reads', () => {
  for (const text of ['sqlite:/x', 'etcd://a:1,b:2/', 'etcds://[fd00::1]:2379/x/']) {
    assert.equal(formatStoreLocation(parse(text)), text);
  }
});

it('refuses what is no store, naming the source', () => {
  const wrong: [string, EtcdAccess, RegExp][] = [
    ['', {}, /--store is sqlite/],
    ['etcd', {}, /--store/],
    ['etcd://', {}, /--store/],
    ['etcd://h:0', {}, /--store/],
    ['etcd://h:65536', {}, /--store/],
    ['etcd://h,,i', {}, /--store/],
    ['etcd://u:p@h', {}, /--store/],
    ['etcd://h/a b', {}, /--store/],
    ['http://h:2379', {}, /--store/],
    ['sqlite:relative', {}, /absolute/],
    ['sqlite', { user: 'u', passwordFile: '/p' }, /settings for etcd/],
    ['etcd://h', { cert: '/c' }, /etcd-cert and etcd-key/],
    ['etcd://h', { user: 'u' }, /etcd-user and etcd-password-file/],
  ];
  for (const [text, access, words] of wrong) {
    assert.throws(() => parse(text, access), { code: 'BAD_CONFIG', message: words }, text);
  }
});
