import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type DomainName, parseName, reverseName } from '../../dns/name.ts';
import { formatAddress, parseAddress } from '../../model/address.ts';
import type { ClusterEndpoint } from '../../objects/codec.ts';
import { indexNames } from './name-index.ts';

let number = 1;
function endpoint(
  host: string,
  containerName: string | undefined,
  more: Partial<ClusterEndpoint> = {},
): ClusterEndpoint {
  number += 1;
  return {
    id: `e${number}`,
    network: 'blue:shop',
    host,
    addresses: [`10.1.0.${number}`, `fd00::${number}`],
    mac: '02:02:0a:01:00:02',
    ...(containerName === undefined ? {} : { containerName }),
    ...more,
  };
}

const web = endpoint('h2', 'web', { containerId: '0123456789abcdef'.repeat(4) });
const db = endpoint('h3', 'DB', { aliases: ['api'] });
const here = endpoint('h1', 'here', { aliases: ['api', 'mine'] });
const twins = [endpoint('h2', 'twin'), endpoint('h3', 'twin')];
const both = [endpoint('h1', 'both'), endpoint('h2', 'both')];
const members = [
  endpoint('h1', 'm1', { group: 'blue:front' }),
  endpoint('h2', 'm2', { group: 'blue:front' }),
  endpoint('h3', 'm3', { group: 'blue:front', aliases: ['third'] }),
];
const dotted = endpoint('h2', 'a.b');
const nameless = endpoint('h2', undefined);
const all = [web, db, here, ...twins, ...both, ...members, dotted, nameless];
const index = indexNames('blue:shop', 'h1', all);

/** The IPv4 addresses of a name; undefined: for the engine. */
function found(name: string, group?: string): readonly string[] | undefined {
  const known = index.find(parseName(name)!, group);
  if (known === undefined) return undefined;
  assert.ok('addresses' in known);
  return known.addresses.filter(({ family }) => family === 4).map(formatAddress);
}
const of = (...endpoints: readonly ClusterEndpoint[]): readonly string[] =>
  endpoints.map(({ addresses }) => addresses[0]!);

test('containers of other hosts by name, id and alias, in any case', () => {
  assert.deepEqual(found('web'), of(web));
  assert.deepEqual(found('WEB'), of(web));
  assert.deepEqual(found('db'), of(db));
  assert.deepEqual(found('0123456789ab'), of(web));
  assert.deepEqual(found('third'), of(members[2]!));
  assert.deepEqual(found('a.b'), of(dotted));
  assert.deepEqual(found('twin'), of(...twins));
});

test('the containers of this host are for its engine, but for aliases that others have as well', () => {
  assert.equal(found('here'), undefined);
  assert.equal(found('both'), undefined);
  assert.equal(found('mine'), undefined);
  assert.deepEqual(found('api'), of(db, here));
});

test('groups', () => {
  assert.deepEqual(found('front'), of(...members));
  assert.deepEqual(found('front.shop'), of(...members));
});

test('names with their network or group behind them', () => {
  for (const name of ['web.shop', 'web.SHOP', 'web.shop/blue']) assert.deepEqual(found(name), of(web), name);
  assert.deepEqual(found('both.shop'), of(...both));
  assert.deepEqual(found('m2.front'), of(members[1]!));
  assert.deepEqual(found('m2.front/blue'), of(members[1]!));
  assert.deepEqual(found('a.b.shop'), of(dotted));
});

test('what is another network, tenant or group is not known', () => {
  for (const name of ['web.other', 'web.shop/red', 'web.front', 'web.shop.blue', 'shop', 'blue', '.', 'web.', 'nobody'])
    assert.equal(name === 'web.' ? undefined : found(name), undefined, name);
});

test('addresses of containers of other hosts', () => {
  const target = (text: string) => index.find(reverseName(parseAddress(text)!), undefined);
  assert.deepEqual(target(web.addresses[0]!), { target: 'web.shop' as DomainName });
  assert.deepEqual(target(web.addresses[1]!), { target: 'web.shop' as DomainName });
  assert.equal(target(here.addresses[0]!), undefined);
  assert.equal(target(nameless.addresses[0]!), undefined);
  assert.equal(target('10.1.0.250'), undefined);
});

test('what cannot be a name is passed over', () => {
  const odd = endpoint('h2', 'x'.repeat(64), { aliases: ['', 'a b', 'ok'], addresses: ['nonsense', '10.1.0.99'] });
  const known = indexNames('blue:shop', 'h1', [odd]).find(parseName('ok')!, undefined);
  assert.deepEqual(known, { addresses: [parseAddress('10.1.0.99')!] });
});

test('a container of this host in another group is on another Docker network, of which the engine tells nothing', () => {
  assert.deepEqual(found('m1'), of(members[0]!));
  assert.equal(found('m1', 'blue:front'), undefined);
  assert.equal(found('here'), undefined);
  assert.deepEqual(found('here', 'blue:front'), of(here));
  assert.deepEqual(found('mine', 'blue:front'), of(here));
});
