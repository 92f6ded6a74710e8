import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { isolate } from '../isolate.ts';
import { openSyscalls } from '../syscalls.ts';
import { type TableChange, type TableEvents, watchTables } from './events.ts';
import { type Nftables, openNftables } from './library.ts';

before(() => {
  isolate();
});

function nft(...args: string[]): void {
  execFileSync('nft', args);
}

interface Fixture {
  readonly events: TableEvents;
  readonly ours: Nftables;
  readonly seen: TableChange[];
  readonly losses: () => number;
  /** Waits until something was reported. */
  readonly next: () => Promise<void>;
  /** What was reported since the last time, once each. */
  readonly take: () => string[];
}

async function watching(work: (fixture: Fixture) => Promise<void>, receiveBuffer?: number): Promise<void> {
  const seen: TableChange[] = [];
  let losses = 0;
  const events = watchTables(
    openSyscalls(),
    {
      changed: (changes) => seen.push(...changes),
      lost: () => {
        losses += 1;
      },
    },
    receiveBuffer,
  );
  const ours = openNftables();
  const take = () => {
    const all = seen
      .splice(0)
      .map((one) => [one.family, one.name, ...(one.chain === undefined ? [] : [one.chain])].join(' '));
    return [...new Set(all)].sort();
  };
  const next = async () => {
    for (let waited = 0; seen.length + losses === 0 && waited < 2000; waited += 5) await setTimeout(5);
  };
  try {
    await work({ events, ours, seen, losses: () => losses, next, take });
  } finally {
    events.close();
    ours.close();
    nft('flush', 'ruleset');
  }
}

test('what somebody changes is reported with its table and chain', () =>
  watching(async ({ next, take }) => {
    nft('add', 'table', 'inet', 'a');
    await next();
    assert.deepEqual(take(), ['inet a']);
    nft('add', 'chain', 'inet', 'a', 'c');
    await next();
    assert.deepEqual(take(), ['inet a c']);
    nft('add', 'rule', 'inet', 'a', 'c', 'drop');
    await next();
    assert.deepEqual(take(), ['inet a c']);
    nft('add table ip6 b; add set ip6 b s { type ifname; }');
    await next();
    assert.deepEqual(take(), ['ip6 b']);
    nft('add', 'element', 'ip6', 'b', 's', '{ "x" }');
    await next();
    assert.deepEqual(take(), ['ip6 b']);
    nft('delete', 'table', 'inet', 'a');
    await next();
    assert.ok(take().includes('inet a'));
  }));

test('our own writes are not reported, others’ to the same and to other tables are', () =>
  watching(async ({ events, ours, next, take }) => {
    const table = { family: 'inet', name: 'ours' } as const;
    events.ownWrite([table], () => ours.run('table inet ours { set s { type ifname; }; chain c { drop; }; }'));
    for (const name of ['a', 'b']) {
      events.ownWrite([table], () => ours.run(`add element inet ours s { "${name}" }`));
    }
    await setTimeout(100);
    assert.deepEqual(take(), []);
    nft('delete', 'element', 'inet', 'ours', 's', '{ "a" }');
    await next();
    assert.deepEqual(take(), ['inet ours']);
    events.ownWrite([table], () => {
      ours.run('add element inet ours s { "a" }');
      nft('add', 'table', 'inet', 'other');
    });
    assert.deepEqual(take(), ['inet other']);
  }));

test('somebody’s change of the very table that we write, at the same time, is reported', () =>
  watching(async ({ events, ours, take }) => {
    const table = { family: 'inet', name: 'ours' } as const;
    nft('add', 'table', 'inet', 'ours');
    events.ownWrite([table], () => {
      ours.run('add set inet ours s { type ifname; }');
      nft('add', 'chain', 'inet', 'ours', 'c');
    });
    assert.ok(take().includes('inet ours c'));
  }));

test('what was changed before our own write is not taken for ours', () =>
  watching(async ({ events, ours, take }) => {
    nft('add', 'table', 'inet', 'ours');
    events.ownWrite([{ family: 'inet', name: 'ours' }], () => ours.run('add set inet ours s { type ifname; }'));
    assert.deepEqual(take(), ['inet ours']);
  }));

test('a failed write of our own leaves the events in order', () =>
  watching(async ({ events, ours, take, next }) => {
    assert.throws(() => events.ownWrite([{ family: 'inet', name: 'none' }], () => ours.run('flush chain inet none c')));
    nft('add', 'table', 'inet', 'a');
    await next();
    assert.deepEqual(take(), ['inet a']);
  }));

test('more than the socket holds is reported as lost', () =>
  watching(async ({ ours, losses, next }) => {
    ours.run('table inet big { set s { type ipv4_addr; }; }');
    const elements = Array.from({ length: 500 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
    ours.run(`add element inet big s { ${elements.join(',')} }`);
    await next();
    assert.ok(losses() > 0);
  }, 4096));
