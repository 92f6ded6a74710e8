import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { macFromAddress } from '../model/mac.ts';
import { announceTwice } from './announcing.ts';

const address = parseAddress('192.0.2.9')!;
const announcement = { netns: '/ns', link: 2, mac: macFromAddress(address), addresses: [address] };

test('an address is announced twice, two seconds apart, whatever becomes of it', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const sent: unknown[] = [];
  const announce = (given: unknown) => {
    sent.push(given);
    return Promise.reject(new BerthError('KERNEL_REFUSED', 'the link is gone'));
  };
  await announceTwice({ announce }, announcement);
  assert.deepEqual(sent, [announcement]);
  t.mock.timers.tick(1999);
  assert.equal(sent.length, 1);
  t.mock.timers.tick(1);
  assert.deepEqual(sent, [announcement, announcement]);
});
