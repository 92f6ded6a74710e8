import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Announcement } from '../kernel/announce.ts';
import type { HostView } from '../kernel/kernel.ts';
import { formatAddress, parseAddress } from '../model/address.ts';
import { parseMac } from '../model/mac.ts';
import { createMoves, type Moves } from './moves.ts';

const [first, second] = [parseMac('02:02:0a:01:00:01')!, parseMac('02:00:00:00:00:77')!];
const neighbour = (mac: typeof first, ...addresses: string[]) => ({
  mac,
  addresses: addresses.map((text) => parseAddress(text)!),
});

let told: string[];
let moves: Moves;

beforeEach((t) => {
  if ('mock' in t) t.mock.timers.enable({ apis: ['setTimeout'] });
  told = [];
  moves = createMoves({
    announce({ link, mac, addresses }: Announcement) {
      told.push(`${link} ${mac} ${addresses.map(formatAddress).join(' ')}`);
      return Promise.resolve();
    },
    view: () => Promise.resolve({ links: [{ name: 'bt1', index: 7 }] } as unknown as HostView),
  });
});

test('an address that comes back with another MAC is announced on our link, and no other is', async () => {
  moves.left('shop', neighbour(first, '10.1.0.1', 'fd00::1'));
  moves.left('shop', neighbour(first, '10.1.0.2'));
  await moves.came('shop', 'bt1', [neighbour(second, '10.1.0.1', 'fd00::1', '10.1.0.9'), neighbour(first, '10.1.0.2')]);
  assert.deepEqual(told, ['7 02:00:00:00:00:77 10.1.0.1 fd00::1']);
  await moves.came('shop', 'bt1', [neighbour(second, '10.1.0.1')]);
  assert.equal(told.length, 1, 'once');
  moves.left('shop', neighbour(second, '10.1.0.1'));
  await moves.came('shop', 'bt1', [neighbour(first, '10.1.0.1')]);
  assert.equal(told.at(-1), '7 02:02:0a:01:00:01 10.1.0.1', 'and back');
});

test('what went from another segment, or when nobody was there, or with a link that is gone, is told to nobody', async () => {
  moves.left('shop', neighbour(first, '10.1.0.1'));
  await moves.came('club', 'bt1', [neighbour(second, '10.1.0.1')]);
  await moves.came('shop', 'bt2', [neighbour(second, '10.1.0.1')]);
  moves.left('shop', neighbour(first, '10.1.0.1'));
  moves.forget('shop');
  await moves.came('shop', 'bt1', [neighbour(second, '10.1.0.1')]);
  assert.deepEqual(told, []);
});

test('the last thousand are remembered', async () => {
  for (let n = 0; n <= 1000; n++) moves.left('shop', neighbour(first, `10.1.${n >> 8}.${n & 255}`));
  await moves.came('shop', 'bt1', [neighbour(second, '10.1.0.0'), neighbour(second, '10.1.0.1')]);
  assert.deepEqual(told, ['7 02:00:00:00:00:77 10.1.0.1']);
});
