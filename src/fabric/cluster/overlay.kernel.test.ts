/** Two hosts in network namespaces with a wire between them, and a container on each. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { isolate } from '../../kernel/isolate.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { openKernel } from '../../kernel/linux.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import { type Address, parseAddress } from '../../model/address.ts';
import { type Mac, parseMac } from '../../model/mac.ts';
import { overlayLink, overlayObjects, type RemoteEndpoint } from './overlay.ts';

const address = (text: string): Address => parseAddress(text)!;
const mac = (text: string): Mac => parseMac(text)!;
const NETWORK = 'overlay-test';
const vx = overlayLink(NETWORK);

/** Of each side: the host's namespace, its container's, its VTEP, and what the other side knows of the container. */
const sides = (['a', 'b'] as const).map((side, index) => ({
  host: `ot-${process.pid}-${side}`,
  box: `ot-${process.pid}-${side}-box`,
  vtep: `10.9.0.${index + 1}`,
  remote: {
    mac: mac(`02:02:0a:67:01:0${index + 1}`),
    addresses: [address(`10.103.1.${index + 1}`), address(`fd00:103::${index + 1}`)],
    vtep: address(`10.9.0.${index + 1}`),
  } satisfies RemoteEndpoint,
}));
const [here, there] = sides as [(typeof sides)[0], (typeof sides)[0]];

let kernel: Kernel;

function run(line: string): string {
  const [program, ...words] = line.split(' ');
  return execFileSync(program!, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

before(async () => {
  isolate();
  kernel = await openKernel();
  for (const { host, box, vtep, remote } of sides) {
    run(`ip netns add ${host}`);
    run(`ip netns add ${box}`);
    run(`ip -n ${host} link add br0 address 02:02:0a:67:01:fe type bridge`);
    run(`ip -n ${host} link set br0 up`);
    run(`ip -n ${host} link add p0 master br0 type veth peer name eth0 netns ${box} address ${remote.mac}`);
    run(`ip -n ${host} link set p0 up`);
    for (const one of remote.addresses) {
      const text = one.family === 4 ? `10.103.1.${vtep.slice(-1)}/24` : `fd00:103::${vtep.slice(-1)}/64 nodad`;
      run(`ip -n ${box} address add ${text} dev eth0`);
    }
    run(`ip -n ${box} link set eth0 mtu 1450 up`);
  }
  run(`ip -n ${here.host} link add wire type veth peer name wire netns ${there.host}`);
  for (const { host, vtep } of sides) {
    run(`ip -n ${host} address add ${vtep}/24 dev wire`);
    run(`ip -n ${host} link set wire up`);
  }
});

after(async () => {
  for (const { host, box } of sides) {
    run(`ip netns del ${box}`);
    run(`ip netns del ${host}`);
  }
  await kernel.close();
});

async function declare(side: (typeof sides)[0], remotes: readonly RemoteEndpoint[]): Promise<void> {
  const overlay = { network: NETWORK, vni: 10001, vtep: address(side.vtep), bridge: 'br0', mtu: 1450 };
  const netns = `/run/netns/${side.host}`;
  await kernel.apply(
    side.host,
    overlayObjects(overlay, remotes).map((object): KernelObject => ({ ...object, netns })),
  );
}

function pings(from: string, to: string, size = 56): boolean {
  try {
    run(`ip netns exec ${from} busybox ping -c 1 -W 1 -s ${size} ${to}`);
    return true;
  } catch {
    return false;
  }
}

/** Counts the frames that come out of the tunnel at a side, of the kind that an nft expression describes; returns how many came. */
function counting(side: (typeof sides)[0], what: string): () => number {
  const rules = `add table bridge t; flush table bridge t
    add chain bridge t in { type filter hook prerouting priority 0; }
    add rule bridge t in iifname "${vx}" ${what} counter`;
  execFileSync('ip', ['netns', 'exec', side.host, 'nft', '-f', '-'], { input: rules });
  return () => Number(/packets (\d+)/.exec(run(`ip netns exec ${side.host} nft list table bridge t`))?.[1]);
}

test('containers on two hosts reach each other, in packets as large as the tunnel takes', async () => {
  await declare(here, [there.remote]);
  await declare(there, [here.remote]);
  assert.ok(pings(there.box, 'fd00:103::1'));
  const arrived = counting(there, 'ip daddr 10.103.1.2');
  assert.ok(pings(here.box, '10.103.1.2', 1450 - 28));
  assert.equal(arrived(), 1, 'in one piece');
});

test('neighbours are answered at home, and what is for nobody does not travel', () => {
  const asked = counting(there, 'ether type arp');
  run(`ip -n ${here.box} neighbour flush dev eth0`);
  assert.ok(pings(here.box, '10.103.1.2'));
  assert.equal(asked(), 0);
  const arrived = counting(there, 'ether daddr 02:02:0a:67:01:77');
  run(`ip -n ${here.box} neighbour replace 10.103.1.77 lladdr 02:02:0a:67:01:77 dev eth0`);
  assert.ok(!pings(here.box, '10.103.1.77'));
  assert.equal(arrived(), 0);
});

test('what everybody is asked goes to the hosts of the network', () => {
  const asked = counting(there, 'ether type arp');
  assert.ok(!pings(here.box, '10.103.1.99'));
  assert.ok(asked() > 0);
});

test('a container that has moved is found at its new host at once, and one that is gone is gone', async () => {
  await declare(here, []);
  run(`ip -n ${here.box} neighbour flush dev eth0`);
  assert.ok(!pings(here.box, '10.103.1.2'));
  await declare(here, [{ ...there.remote, vtep: address('10.9.0.9') }]);
  assert.ok(!pings(here.box, '10.103.1.2'));
  await declare(here, [there.remote]);
  assert.ok(pings(here.box, '10.103.1.2'));
});
