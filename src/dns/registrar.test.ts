import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatAddress, parseAddress } from '../model/address.ts';
import { flag, rcode } from './message.ts';
import { type DomainName, parseName, reverseName } from './name.ts';
import { addressOf, addressRecord, pointerRecord, targetOf, textRecord } from './records.ts';
import { mayUpdate, type Registration, register, unregister } from './registrar.ts';
import { type TestZone, testZone } from './testing/zone.ts';

const name = (text: string): DomainName => parseName(text)!;
const address = (last: number) => parseAddress(`192.0.2.${last}`)!;
const WEB = name('web.home.example');
const zones = [name('home.example'), name('2.0.192.in-addr.arpa')];
const wish = (owner: string, ...last: number[]): Registration => ({
  name: WEB,
  addresses: last.map(address),
  ttl: 60,
  owner,
  reverse: 'auto',
});

const shown = (zone: TestZone): string[] =>
  zone.records
    .map((record) => {
      const value = addressOf(record);
      if (value !== undefined) return `${record.name} ${formatAddress(value)}`;
      return record.name.startsWith('_berth') ? `${record.name}` : `${record.name} ${targetOf(record)}`;
    })
    .toSorted();
const full = (...last: number[]): string[] =>
  [
    ...last.flatMap((one) => [`web.home.example 192.0.2.${one}`, `${reverseName(address(one))} web.home.example`]),
    '_berth.web.home.example',
  ].toSorted();

test('registered, repeated, changed and taken back', async () => {
  const zone = testZone(zones);
  for (const last of [[1], [1], [2], [2, 3], [3]]) {
    assert.deepEqual(await register(zone, wish('a', ...last)), { is: 'done' });
    assert.deepEqual(shown(zone), full(...last));
  }
  assert.deepEqual(await unregister(zone, wish('a')), { is: 'done' });
  assert.deepEqual(zone.records, []);
  assert.deepEqual(await unregister(zone, wish('a')), { is: 'done' });
});

test('another owner’s name, and one with records and no owner, are left alone', async () => {
  const zone = testZone(zones);
  await register(zone, wish('a', 1));
  const before = shown(zone);
  const refused = await register(zone, wish('b', 2));
  assert.ok(refused.is === 'conflict' && /web\.home\.example is taken: another owner/.test(refused.problem));
  assert.deepEqual(await unregister(zone, wish('b', 1)), { is: 'done' });
  assert.deepEqual(shown(zone), before);

  const other = testZone(zones);
  other.records.push(addressRecord(WEB, address(9), 60));
  assert.equal((await register(other, wish('a', 1))).is, 'conflict');
  assert.deepEqual(await unregister(other, wish('a', 9)), { is: 'done' });
  assert.deepEqual(shown(other), ['web.home.example 192.0.2.9']);
});

test('an address whose name somebody else has given keeps it, and the rest is done', async () => {
  const zone = testZone(zones);
  zone.records.push(pointerRecord(reverseName(address(1)), name('printer.home.example'), 60));
  const outcome = await register(zone, wish('a', 1));
  assert.ok(outcome.is === 'done' && /192\.0\.2\.1 has the name printer\.home\.example already/.test(outcome.problem!));
  assert.deepEqual(await unregister(zone, wish('a', 1)), { is: 'done' });
  assert.deepEqual(shown(zone), ['1.2.0.192.in-addr.arpa printer.home.example']);
});

test('the names of addresses only where they are wanted and kept', async () => {
  for (const [reverse, apexes] of [
    ['none', zones],
    ['auto', [zones[0]!]],
    [name('3.0.192.in-addr.arpa'), zones],
  ] as const) {
    const zone = testZone(apexes);
    assert.deepEqual(await register(zone, { ...wish('a', 1), reverse }), { is: 'done' });
    assert.deepEqual(shown(zone), ['_berth.web.home.example', 'web.home.example 192.0.2.1']);
  }
});

test('an update whose answer was lost is found done', async () => {
  const zone = testZone(zones);
  zone.interfere = () => {
    zone.interfere = undefined;
    // It is done, but nobody is told.
    void zone.update(zone.updates[0]!);
    return { problem: 'silence' };
  };
  assert.deepEqual(await register(zone, wish('a', 1)), { is: 'failed', problem: 'silence' });
  assert.deepEqual(await register(zone, wish('a', 2), [address(1)]), { is: 'done' });
  assert.deepEqual(shown(zone), full(2));
});

test('who is faster has it: the prerequisites are judged with the update', async () => {
  const zone = testZone(zones);
  zone.interfere = () => {
    zone.interfere = undefined;
    zone.records.push(addressRecord(WEB, address(9), 60));
    zone.records.push(textRecord(name('_berth.web.home.example'), ['owner=b'], 60));
    return undefined;
  };
  assert.equal((await register(zone, wish('a', 1))).is, 'conflict');
  assert.deepEqual(shown(zone), ['_berth.web.home.example', 'web.home.example 192.0.2.9']);
});

test('a name that has become another’s since it was looked at is not changed', async () => {
  const zone = testZone(zones);
  await register(zone, wish('a', 1));
  zone.interfere = () => {
    zone.interfere = undefined;
    zone.records = [addressRecord(WEB, address(9), 60), textRecord(name('_berth.web.home.example'), ['owner=b'], 60)];
    return undefined;
  };
  assert.equal((await register(zone, wish('a', 2))).is, 'conflict');
  assert.deepEqual(shown(zone), ['_berth.web.home.example', 'web.home.example 192.0.2.9']);
});

test('a server that refuses, is not the right one, or knows no updates', async () => {
  const zone = testZone(zones);
  const failing = async (code: number) => {
    zone.interfere = () => ({
      answer: { id: 1, flags: flag.response | code, questions: [], answers: [], authorities: [], additionals: [] },
    });
    const outcome = await register(zone, wish('a', 1));
    return outcome.is === 'failed' ? outcome.problem : outcome.is;
  };
  assert.match(await failing(rcode.refused), /refuses updates of the zone home\.example/);
  assert.match(await failing(rcode.notAuthoritative), /does not accept the key/);
  assert.match(await failing(rcode.notImplemented), /knows no dynamic updates/);
  assert.match(await failing(rcode.serverFailure), /response code 2/);
  const elsewhere = await register(testZone([name('other.example')]), wish('a', 1));
  assert.ok(
    elsewhere.is === 'failed' && /not authoritative for web\.home\.example: it refuses/.test(elsewhere.problem),
  );
});

test('whether updates would be taken is found out without a trace', async () => {
  const zone = testZone(zones);
  assert.equal(await mayUpdate(zone, zones[0]!), undefined);
  assert.deepEqual(zone.records, []);
  assert.equal(zone.updates.length, 1);
  zone.interfere = () => ({ problem: 'silence' });
  assert.deepEqual(await mayUpdate(zone, zones[0]!), { problem: 'silence' });
});

test('whatever owners and strangers do, and whatever is lost, strangers keep theirs and nothing of ours is left', async () => {
  const step = fc.record({
    owner: fc.constantFrom('a', 'b'),
    last: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 2 }),
    what: fc.constantFrom('register', 'unregister', 'foreign'),
    lost: fc.integer({ min: 0, max: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const zone = testZone(zones);
      const foreign = new Set<number>();
      for (const { owner, last, what, lost } of steps) {
        let count = 0;
        zone.interfere = () => {
          count += 1;
          return count === lost ? { problem: 'lost' } : undefined;
        };
        if (what === 'register') await register(zone, wish(owner, ...new Set(last)));
        else if (what === 'unregister') await unregister(zone, wish(owner, 1, 2, 3, 4));
        else {
          const added = addressRecord(WEB, address(100 + last[0]!), 60);
          if (!foreign.has(last[0]!)) zone.records.push(added);
          foreign.add(last[0]!);
        }
      }
      zone.interfere = undefined;
      for (const owner of ['a', 'b']) assert.deepEqual(await unregister(zone, wish(owner, 1, 2, 3, 4)), { is: 'done' });
      assert.deepEqual(shown(zone), [...foreign].map((last) => `web.home.example 192.0.2.${100 + last}`).toSorted());
    }),
    { numRuns: 300 },
  );
});
