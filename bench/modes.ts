/** Each way onto the LAN against what it replaces: the same thing made by hand, in a shell. */

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openBed } from '../test/e2e/bed/bed.ts';
import { startDhcp } from '../test/e2e/bed/dhcp.ts';
import type { Host } from '../test/e2e/bed/host.ts';
import { openVswitch } from '../test/e2e/bed/open-vswitch.ts';
import { type Benchmark, type Context, onHost } from './benchmark.ts';
import { bridgePort, bridgePortByDhcp, dhcpScript, type HandMade, macvlan, nic, ovsPort } from './by-hand.ts';
import type { Row, Table } from './result.ts';
import { type Measured, rounds, timed } from './rounds.ts';

const BY_HAND = 'by hand';
const NETWORK = 'berth-lan';
const ATTACH = 'berth attach';
const FRESH = 'start, an address that nobody had';
/** The third number of the segment's subnet. */
const LAN = 159;

interface Mode {
  readonly name: string;
  /** The third number of its subnet, 192.168.x.0/24. */
  readonly net: number;
  readonly create: readonly string[];
  /** Flags of `berth attach` besides the address; absent: not measured. */
  readonly attach?: readonly string[];
  readonly byHand: (name: string, net: number) => HandMade;
  /** A container that stays: each network in use has one. A NIC is for one only. */
  readonly companion: boolean;
}

const address = (net: number, last: number) => `192.168.${net}.${last}/24`;
const place = (name: string, net: number) => ({ name, address: address(net, 250), gateway: `192.168.${net}.1` });

const modes: readonly Mode[] = [
  {
    name: 'bridge',
    net: LAN,
    create: ['-o', 'bridge=br0'],
    attach: ['--bridge', 'br0'],
    byHand: (name, net) => bridgePort('br0', place(name, net)),
    companion: true,
  },
  {
    name: 'bridge from a NIC',
    net: 160,
    create: ['-o', 'parent=eth2', '-o', 'confirm=none'],
    byHand: (name, net) => bridgePort('hand', place(name, net)),
    companion: true,
  },
  {
    name: 'macvlan',
    net: 161,
    create: ['-o', 'mode=macvlan', '-o', 'parent=eth3'],
    attach: ['--mode', 'macvlan', '--parent', 'eth3'],
    byHand: (name, net) => macvlan('eth3', place(name, net)),
    companion: true,
  },
  {
    name: 'nic',
    net: 162,
    create: ['-o', 'mode=nic', '-o', 'nic=eth4'],
    attach: ['--mode', 'nic', '-o', 'nic=eth5'],
    byHand: (name, net) => nic('eth6', place(name, net)),
    companion: false,
  },
  {
    name: 'ovs',
    net: 163,
    create: ['-o', 'mode=ovs', '-o', 'bridge=ovsbr0'],
    attach: ['--mode', 'ovs', '--bridge', 'ovsbr0'],
    byHand: (name, net) => ovsPort('ovsbr0', place(name, net)),
    companion: true,
  },
];

interface Variant {
  readonly name: string;
  run(): Promise<Measured>;
}

export const modesBenchmark: Benchmark = {
  name: 'modes',
  about: 'docker run and berth attach in each mode, against --network none and a shell script',
  run: async (context) => {
    await using bed = await openBed('bench');
    const host = await bed.host('a', { engine: context.engine });
    const segment = await bed.lan({ subnet: `192.168.${LAN}.0/24`, gateway: `192.168.${LAN}.1` });
    await segment.plug(host, { name: 'eth1', bridge: 'br0', addresses: [address(LAN, 10)] });
    for (const [index, net] of [160, 161, 162, 162, 162].entries()) {
      const addresses = net === 162 ? [] : [address(net, 10)];
      await segment.plug(host, { name: `eth${index + 2}`, addresses });
    }
    await segment.plug(host, { name: 'eth7' });
    await host.ip('link add hand type bridge', 'link set eth7 master hand up', 'link set hand up');
    const { vsctl } = await openVswitch(host);
    await vsctl('add-br', 'ovsbr0', '--', 'set', 'bridge', 'ovsbr0', 'datapath_type=netdev');
    const server = await segment.machine('dhcp', address(LAN, 5));
    await startDhcp(server, {
      range: [`192.168.${LAN}.100`, `192.168.${LAN}.240`],
      gateway: `192.168.${LAN}.1`,
      lease: 120,
    });
    await host.startBerth();
    return await onHost(host, () => measure(host, context));
  },
};

async function measure(host: Host, context: Context): Promise<Table> {
  const image = await host.image();
  const variants: Variant[] = [];
  const compared: { readonly what: string; readonly ours: string; readonly hand: string }[] = [];
  const compare = (what: readonly string[], ours: Variant, hand: Variant) => {
    variants.push(ours, hand);
    for (const one of what) compared.push({ what: one, ours: ours.name, hand: hand.name });
  };
  for (const [index, mode] of modes.entries()) {
    const { name, net, create } = mode;
    const network = `m${net}`;
    const subnet = [
      '--subnet',
      `192.168.${net}.0/24`,
      '--ip-range',
      `192.168.${net}.64/27`,
      '--gateway',
      `192.168.${net}.1`,
    ];
    await host.docker('network', 'create', '-d', NETWORK, '--ipam-driver', NETWORK, ...create, ...subnet, network);
    if (mode.companion) await host.docker('run', '-d', '--network', network, image, 'sleep', '100000');
    compare(
      [`start, ${name}`, `remove, ${name}`],
      byNetwork(host, image, `network ${name}`, network, name),
      byScript(host, image, `script ${name}`, mode.byHand(`s${index}`, net), name),
    );
    if (mode.attach === undefined) continue;
    const container = async (who: string) => {
      await host.docker('run', '-d', '--network', 'none', '--name', who, image, 'sleep', '100000');
      return who;
    };
    compare(
      [`plug in, ${name}`, `unplug, ${name}`],
      // Another NIC would be another segment with the same subnet.
      attaching(
        host,
        await container(`a${index}`),
        `attach ${name}`,
        mode.attach,
        mode.companion ? net : net + 20,
        name,
      ),
      plugging(host, await container(`p${index}`), `plug ${name}`, mode.byHand(`p${index}`, net), name),
    );
  }
  await host.docker('network', 'create', '-d', NETWORK, '--ipam-driver', 'null', '-o', 'dhcp=true', 'dhcp');
  const script = join(host.dir, 'udhcpc');
  writeFileSync(script, dhcpScript);
  chmodSync(script, 0o755);
  const dhcp = bridgePortByDhcp('br0', script, { name: 'dhcp' });
  compare(
    ['start, DHCP', 'remove, DHCP'],
    byNetwork(host, image, 'network DHCP', 'dhcp', 'DHCP'),
    byScript(host, image, 'script DHCP', dhcp, 'DHCP'),
  );
  variants.push(...(await newAddresses(host, image)));
  context.say(`${variants.length} variants are ready`);

  const results = await rounds(variants, async (variant) => variant.run(), {
    rounds: context.runs ?? 10,
    pause: 500,
    say: context.say,
  });
  const samples = (variant: string, what: string) => results.get(variant)!.get(what)!;
  const rows = compared.flatMap(({ what, ours, hand }): Row[] => {
    const name = ours.startsWith('attach') ? ATTACH : NETWORK;
    return [
      { what, name: BY_HAND, unit: 'ms', samples: samples(hand, what) },
      { what, name, unit: 'ms', samples: samples(ours, what), peer: BY_HAND },
    ];
  });
  return {
    title: `Each way onto the LAN with Docker ${context.engine}`,
    notes: [
      'start: `docker run -d --network lan`, against `docker run -d --network none` and a shell script of `ip` and `nsenter` in one go',
      'remove: `docker rm -f`; by hand, with what the container does not take with it',
      'plug in: `berth attach`, against the script alone, in a container that runs; unplug: `berth detach`',
      'by hand nothing is checked, recorded, announced or repaired, and the container runs before it has its network',
      'DHCP: dnsmasq, which gives addresses without a ping first; by hand, `udhcpc` in the container, which is not there to renew afterwards',
      'the bridge made from a NIC stands since the network was created',
      'an address that nobody had: each start gets another; the LAN is asked for it for 200 ms, with conflict_check=false not',
    ],
    rows: [
      ...rows,
      {
        what: FRESH,
        name: 'conflict_check=false',
        unit: 'ms',
        samples: samples('unchecked', FRESH),
      },
      { what: FRESH, name: NETWORK, unit: 'ms', samples: samples('checked', FRESH), peer: 'conflict_check=false' },
    ],
  };
}

/** A container on a network. */
function byNetwork(host: Host, image: string, name: string, network: string, mode: string): Variant {
  return {
    name,
    async run() {
      let id = '';
      const start = await timed(async () => {
        id = await host.docker('run', '-d', '--network', network, image, 'sleep', '1000');
      });
      await delay(300);
      return { [`start, ${mode}`]: start, [`remove, ${mode}`]: await timed(() => host.docker('rm', '-f', id)) };
    },
  };
}

/** The same by hand, in one shell. */
function byScript(host: Host, image: string, name: string, { plug, cleanUp }: HandMade, mode: string): Variant {
  return {
    name,
    async run() {
      let id = '';
      const start = await timed(async () => {
        const { stdout } = await host.sh(`
  id=$(docker run -d --network none ${image} sleep 1000)
  ${pidOf('$id')}${plug}
  echo $id`);
        id = stdout.trim();
      });
      await delay(300);
      const tidy = cleanUp === undefined ? '' : `${pidOf(id)}\n${cleanUp}\n`;
      return {
        [`start, ${mode}`]: start,
        [`remove, ${mode}`]: await timed(() => host.sh(`${tidy}docker rm -f ${id}`)),
      };
    },
  };
}

const pidOf = (container: string) => `pid=$(docker inspect -f '{{.State.Pid}}' ${container})`;

function attaching(
  host: Host,
  container: string,
  name: string,
  flags: readonly string[],
  net: number,
  mode: string,
): Variant {
  const berth = async (...command: readonly string[]) => {
    const { code, stderr } = await host.berth(...command);
    if (code !== 0) throw new Error(`berth ${command.join(' ')}: ${stderr}`);
  };
  const { gateway } = place('', net);
  return {
    name,
    async run() {
      const to = ['--address', address(net, 249), '--gateway', gateway];
      const plug = await timed(() => berth('attach', container, ...flags, ...to));
      await delay(300);
      return { [`plug in, ${mode}`]: plug, [`unplug, ${mode}`]: await timed(() => berth('detach', container)) };
    },
  };
}

function plugging(host: Host, container: string, name: string, { plug, unplug }: HandMade, mode: string): Variant {
  const pid = pidOf(container);
  return {
    name,
    async run() {
      const plugged = await timed(() => host.sh(`${pid}${plug}`));
      await delay(300);
      return { [`plug in, ${mode}`]: plugged, [`unplug, ${mode}`]: await timed(() => host.sh(`${pid}\n${unplug}`)) };
    },
  };
}

/** Each run with an address that no container had, on the bridge. */
async function newAddresses(host: Host, image: string): Promise<readonly Variant[]> {
  const all: Variant[] = [];
  for (const [name, net, check] of [
    ['checked', 170, 'true'],
    ['unchecked', 171, 'false'],
  ] as const) {
    const create = ['-o', 'bridge=br0', '-o', `conflict_check=${check}`, '--subnet', `192.168.${net}.0/24`];
    await host.docker('network', 'create', '-d', NETWORK, '--ipam-driver', NETWORK, ...create, name);
    await host.docker('run', '-d', '--network', name, image, 'sleep', '100000');
    let last = 10;
    all.push({
      name,
      async run() {
        last += 1;
        let id = '';
        const start = await timed(async () => {
          const to = ['--network', name, '--ip', `192.168.${net}.${last}`];
          id = await host.docker('run', '-d', ...to, image, 'sleep', '1000');
        });
        await delay(300);
        await host.docker('rm', '-f', id);
        return { [FRESH]: start };
      },
    });
  }
  return all;
}
