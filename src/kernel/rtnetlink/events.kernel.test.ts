import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { isolate } from '../isolate.ts';
import { type KernelObject, objectKey } from '../objects.ts';
import { openRtnetlinkDriver, type RtnetlinkDriver } from './driver.ts';
import { openRtnetlinkEvents, type RtnetlinkEvent, type RtnetlinkEvents } from './events.ts';
import { address, mac, on, prefix, run } from './testing.ts';

let driver: RtnetlinkDriver;
let events: RtnetlinkEvents;

type Touched = Extract<RtnetlinkEvent, { kind: string }>;

before(() => {
  isolate();
  run('ip link add old type bridge');
  driver = openRtnetlinkDriver();
  events = openRtnetlinkEvents();
});

after(() => {
  events.close();
  driver.close();
});

function drained(): Touched[] {
  return events.drain().filter((event): event is Touched => 'kind' in event);
}

const br0 = { kind: 'link', type: 'bridge', name: 'br0', up: true } as const;
const bv1 = { kind: 'link', type: 'veth', name: 'bv1', up: true, peer: { name: 'bp1' } } as const;

test('every kind of object is heard of, by the key under which it was declared', async () => {
  const objects: KernelObject[] = [
    br0,
    { ...bv1, master: 'br0' },
    { kind: 'link', type: 'vxlan', name: 'vx1', vni: 5, local: address('127.0.0.1') },
    { kind: 'link', type: 'adopted', name: 'bp1', up: true },
    { kind: 'address', link: 'br0', address: on('10.1.0.1/24') },
    { kind: 'address', link: 'br0', address: on('fd00::1/64') },
    { kind: 'route', destination: prefix('10.9.0.0/16'), via: address('10.1.0.9'), link: 'br0' },
    { kind: 'route', destination: prefix('fd09::/64'), via: address('fd00::9'), link: 'br0', table: 1000 },
    { kind: 'rule', family: 4, priority: 100, table: 1000 },
    { kind: 'rule', family: 6, priority: 100, table: 1000 },
    { kind: 'rule', family: 4, priority: 101, table: 1000, inputLink: 'br0' },
    { kind: 'rule', family: 6, priority: 101, table: 1000, mark: 0xbe700001 },
    { kind: 'neighbour', link: 'br0', address: address('10.1.0.7'), mac: mac('02:42:0a:01:00:07') },
    { kind: 'neighbour', link: 'br0', address: address('fd00::7'), mac: mac('02:42:0a:01:00:07') },
    { kind: 'fdb', link: 'bv1', mac: mac('02:42:0a:01:00:07') },
    { kind: 'fdb', link: 'vx1', mac: '00:00:00:00:00:00', dst: address('10.0.0.2') },
    { kind: 'qdisc', link: 'bv1', parent: 'root', handle: '1:', discipline: { type: 'htb' } },
    { kind: 'class', link: 'bv1', parent: '1:', classid: '1:1', rate: 1e8 },
    { kind: 'filter', link: 'bv1', parent: '1:', priority: 3, action: { classid: '1:1' } },
    { kind: 'filter', link: 'bv1', parent: 'root', priority: 4, action: { classid: '1:1' } },
    { kind: 'qdisc', link: 'bp1', parent: 'clsact', discipline: { type: 'clsact' } },
    { kind: 'filter', link: 'bp1', parent: 'ingress', priority: 3, action: { redirect: 'bv1' } },
  ];
  events.drain();
  for (const object of objects) {
    driver.make(object);
    await heard(object, false);
  }
  for (const object of objects.toReversed()) {
    if (object.kind === 'link' && object.type === 'adopted') continue;
    driver.unmake(object);
    await heard(object, true);
  }
});

/** An IPv6 address is announced a moment after the system call (addrconf_dad_work). */
async function heard(object: KernelObject, removed: boolean): Promise<void> {
  const deadline = performance.now() + 2000;
  const all: Touched[] = [];
  for (;;) {
    all.push(...drained());
    if (all.some((event) => event.key === objectKey(object) && event.removed === removed)) return;
    const keys = all.map((event) => `${event.removed ? '-' : '+'} ${event.key}`).join(', ');
    assert.ok(performance.now() < deadline, `${objectKey(object)} ${removed ? 'unmade' : 'made'}: ${keys}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('looking is not heard: it would never end', async () => {
  driver.make(br0);
  driver.make({ ...bv1, master: 'br0' });
  const objects: KernelObject[] = [
    { kind: 'qdisc', link: 'bv1', parent: 'root', handle: '1:', discipline: { type: 'htb' } },
    { kind: 'class', link: 'bv1', parent: '1:', classid: '1:1', rate: 1e8 },
    { kind: 'filter', link: 'bv1', parent: '1:', priority: 3, action: { classid: '1:1' } },
    { kind: 'fdb', link: 'bv1', mac: mac('02:42:0a:01:00:07') },
    { kind: 'address', link: 'br0', address: on('10.1.0.1/24') },
    { kind: 'neighbour', link: 'br0', address: address('10.1.0.7'), mac: mac('02:42:0a:01:00:07') },
    { kind: 'route', destination: prefix('10.9.0.0/16'), via: address('10.1.0.9'), link: 'br0' },
    { kind: 'rule', family: 4, priority: 100, table: 1000 },
    br0,
    bv1,
  ];
  driver.makeAll(objects);
  // What the kernel has yet to say of the making comes within the time of its own address detection.
  await new Promise((resolve) => setTimeout(resolve, 100));
  events.drain();
  assert.equal(driver.find(objects, undefined).size, objects.length);
  driver.view();
  assert.deepEqual(events.drain(), []);
  driver.unmakeAll([...objects].reverse());
});

test('of a link it is heard how it is now', () => {
  driver.make(br0);
  driver.make(bv1);
  events.drain();
  run('ip link set bv1 alias ours');
  run('ip link set bv1 mtu 1400');
  run('ip link set bv1 address 02:42:0a:01:00:05');
  run('ip link set bv1 master br0');
  const state = drained()
    .filter((event) => event.key === 'link bv1' && event.state !== undefined)
    .at(-1)!.state!;
  const { name, type, mtu, alias, mac: found, master, up } = state;
  assert.deepEqual(
    { name, type, mtu, alias, mac: found, master, up },
    { name: 'bv1', type: 'veth', mtu: 1400, alias: 'ours', mac: '02:42:0a:01:00:05', master: 'br0', up: true },
  );
  run('ip link set bv1 nomaster');
  const heard = drained().filter((event) => event.key === 'link bv1');
  assert.ok(
    heard.every((event) => !event.removed),
    'leaving its bridge, it is still there',
  );
  assert.equal(heard.findLast((event) => event.state !== undefined)!.state!.master, null);
});

test('a link that is renamed is gone under its old name, also when it is older than the listener', () => {
  events.drain();
  run('ip link set old name new');
  assert.deepEqual(
    // Others go on telling of themselves.
    drained()
      .filter(({ key }) => key === 'link old' || key === 'link new')
      .map(({ key, removed }) => [key, removed]),
    [
      ['link old', true],
      ['link new', false],
    ],
  );
});

test('what was on a link that went is heard of with it', () => {
  driver.make(br0);
  driver.make({ kind: 'address', link: 'br0', address: on('fd00::1/64') });
  events.drain();
  run('ip link del br0');
  const gone = drained()
    .filter((event) => event.removed)
    .map(({ key }) => key as string);
  assert.ok(gone.includes('link br0') && gone.includes('address br0 fd00::1/64'), gone.join(', '));
});

test('when too much happened, that is said', () => {
  events.drain();
  // Each change of a link is a message of more than a kilobyte; the buffer holds some thousand.
  const lines = Array.from({ length: 15_000 }, (_, number) => `link set lo mtu ${65_000 + (number % 2)}`);
  execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') });
  const heard = events.drain();
  assert.ok(heard.some((event) => 'lost' in event && event.lost === true));
  assert.deepEqual(events.drain(), []);
  run('ip link set lo mtu 65536');
  assert.equal(drained()[0]?.key, 'link lo', 'and then it goes on');
});

test('the event loop is told, and no thread waits', async () => {
  events.drain();
  const heard = new Promise<readonly RtnetlinkEvent[]>((resolve) => events.onReadable(() => resolve(events.drain())));
  setTimeout(() => run('ip link set lo mtu 65000'), 20);
  const [first] = (await heard) as Touched[];
  assert.equal(first?.key, 'link lo');
});

test('the event loop is told of what comes after too much happened, too', async () => {
  events.drain();
  const heard: RtnetlinkEvent[] = [];
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      told = resolve;
    });
  let told = (): void => {};
  events.onReadable(() => {
    heard.push(...events.drain());
    told();
  });
  const lines = Array.from({ length: 15_000 }, (_, number) => `link set lo mtu ${65_000 + (number % 2)}`);
  execFileSync('ip', ['-batch', '-'], { input: lines.join('\n') });
  while (!heard.some((event) => event.lost === true)) await next();
  heard.length = 0;
  run('ip link set lo mtu 65535');
  while (heard.length === 0) await next();
});
