import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DomainName, parseName } from '../../dns/name.ts';
import type { NamingPolicy } from '../../fabric/fabric.ts';
import { parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import type { Endpoint } from '../../model/network.ts';
import { parseInterfaceAddress } from '../../model/prefix.ts';
import { asLabel, dnsWishes, labelOf, mdnsWishes, type Named, servicesOf, strayServices } from './wanted.ts';

const ID = 'c0ffee'.padEnd(64, '0');
const container = (name: string, hostName = ID.slice(0, 12), labels = {}) => ({ id: ID, name, hostName, labels });
const compose = (project: string, service: string) => ({
  'com.docker.compose.project': project,
  'com.docker.compose.service': service,
});
const policy: NamingPolicy = {
  mdns: { link: 'br0' },
  dns: { server: parseAddress('192.0.2.53')!, port: 53, zone: parseName('home.example')!, reverse: 'auto', ttl: 60 },
};

function named(id: string, label: string, createdAt: number, more: Partial<Endpoint> = {}): Named {
  const endpoint: Endpoint = {
    id: id as EndpointId,
    network: 'n' as NetworkId,
    phase: 'attached',
    addresses: [parseInterfaceAddress('192.0.2.9/24')!],
    mac: parseMac('02:42:c0:00:02:09')!,
    publishes: false,
    options: {},
    settings: null,
    createdAt,
    ...more,
  };
  return { endpoint, policy, label, services: [] };
}

test('what a container is called', () => {
  for (const [given, label] of [
    [container('web'), 'web'],
    [container('My_Web.1'), 'my-web-1'],
    [container('web', 'shop'), 'shop'],
    [container('web', 'Shop.Example.NET'), 'shop'],
    [container('web', ''), 'web'],
    [container('shop-web-1', undefined, compose('shop', 'web')), 'shop-web'],
    [container('shop_web_1', undefined, compose('shop', 'web')), 'shop-web'],
    [container('shop-web-2', undefined, compose('shop', 'web')), 'shop-web-2'],
    [container('front', undefined, compose('shop', 'web')), 'front'],
    [container('shop-web-1', 'www', compose('shop', 'web')), 'www'],
    [container('___'), undefined],
  ] as const)
    assert.equal(labelOf(given), label, JSON.stringify(given));
});

test('a label is one that every resolver takes', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const label = asLabel(text);
      if (label !== undefined) assert.match(label, /^[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?$/);
    }),
  );
});

test('services in a label', () => {
  const of = (text: string) => servicesOf({ 'berth.service': text });
  assert.deepEqual(of('_http._tcp:80'), [{ type: '_http._tcp', port: 80, text: [] }]);
  assert.deepEqual(of('_HTTP._tcp:80;path=/a b;x , _ipp._tcp:631'), [
    { type: '_http._tcp', port: 80, text: ['path=/a b', 'x'] },
    { type: '_ipp._tcp', port: 631, text: [] },
  ]);
  for (const bad of [
    '',
    'http:80',
    '_http._tcp',
    '_http._tcp:0',
    '_http._tcp:65536',
    '_http._sctp:1',
    '_-a._tcp:1',
    '_http._tcp:80;=x',
  ])
    assert.deepEqual(of(bad), [], bad);
  assert.deepEqual(of(`_http._tcp:80;a=${'x'.repeat(256)}`), []);
  assert.deepEqual(servicesOf({}), []);
  assert.deepEqual(strayServices({ 'berth.service': '_http._tcp:80, http:80,,' }), ['http:80']);
  assert.deepEqual(strayServices({}), []);
});

const namesOf = (all: readonly Named[], held: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    dnsWishes(all, (id) => held[id] as DomainName | undefined).map(({ endpoint, name }) => [endpoint, name]),
  );

test('of several that want one name the oldest gets it, and who has one keeps it', () => {
  const [a, b, c] = [named('a', 'web', 2), named('b', 'web', 1), named('c', 'web', 3)];
  assert.deepEqual(namesOf([a, b, c]), { b: 'web.home.example', a: 'web-2.home.example', c: 'web-3.home.example' });
  assert.deepEqual(namesOf([a, b], { a: 'web.home.example' }), { a: 'web.home.example', b: 'web-2.home.example' });
  assert.deepEqual(namesOf([a], { a: 'web-2.home.example' }), { a: 'web-2.home.example' });
  // A name that was another's, or of another domain, is no reason to keep it.
  assert.deepEqual(namesOf([a], { a: 'shop.home.example' }), { a: 'web.home.example' });
  assert.deepEqual(namesOf([a], { a: 'web.elsewhere.example' }), { a: 'web.home.example' });
});

test('no two have one name at a server, however they come and go', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    label: fc.constantFrom('web', 'web-2', 'db'),
    on: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const present = new Map<string, Named>();
      let held: Record<string, string> = {};
      for (const [time, { id, label, on }] of steps.entries()) {
        if (on) present.set(id, named(id, label, time));
        else present.delete(id);
        const now = namesOf([...present.values()], held);
        assert.equal(Object.keys(now).length, present.size);
        assert.equal(new Set(Object.values(now)).size, present.size);
        held = now;
      }
    }),
  );
});

test('a long label leaves room for its number', () => {
  const long = 'a'.repeat(63);
  assert.equal(namesOf([named('a', long, 1), named('b', long, 2)]).b, `${'a'.repeat(61)}-2.home.example`);
});

test('who has no address has no name, and only what is asked for is done', () => {
  assert.deepEqual(mdnsWishes([named('a', 'web', 1, { addresses: [] })]), []);
  assert.deepEqual(namesOf([named('a', 'web', 1, { addresses: [] })]), {});
  assert.deepEqual(mdnsWishes([{ ...named('a', 'web', 1), policy: { dns: policy.dns! } }]), []);
  assert.deepEqual(namesOf([{ ...named('a', 'web', 1), policy: { mdns: { link: 'br0' } } }]), {});
  assert.deepEqual(
    mdnsWishes([named('a', 'web', 1)]).map(({ link, label }) => [link, label]),
    [['br0', 'web']],
  );
});
