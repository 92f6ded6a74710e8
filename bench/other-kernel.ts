/** The data path of ipvlan and of VLANs, which this machine's kernel may lack: in User-Mode Linux. */

import { join } from 'node:path';
import { repository } from '../test/e2e/bed/machine.ts';
import { runInUml } from '../test/e2e/bed/uml.ts';
import type { Benchmark } from './benchmark.ts';
import type { Row } from './result.ts';
import { median, shuffled } from './statistics.ts';

/** As Berth makes them, and the same made by hand in the same two containers. */
const ways = ['ipvlan', 'vlan', 'macvlan'] as const;
const makers = ['berth attach', 'by hand'] as const;
const PING_PONG = join(repository, 'bench/peer/ping-pong.ts');

const net = (way: (typeof ways)[number], maker: (typeof makers)[number]): number =>
  100 + ways.indexOf(way) * 10 + makers.indexOf(maker);
const address = (way: (typeof ways)[number], maker: (typeof makers)[number], last: number) =>
  `10.${net(way, maker)}.0.${last}`;

const attached: Readonly<Record<(typeof ways)[number], string>> = {
  ipvlan: '--mode ipvlan --parent nic0',
  vlan: '--parent nic1 --vlan 120',
  macvlan: '--mode macvlan --parent nic2',
};

/** `$1`: the container's process, `$2`: 1 or 2. */
const byHand: Readonly<Record<(typeof ways)[number], string>> = {
  ipvlan: 'ip link add hand$2 link nic3 type ipvlan mode l2',
  vlan: `
    [ -e /sys/class/net/handbr ] || {
      ip link add link nic4 name nic4.120 type vlan id 120
      ip link add handbr type bridge
      ip link set nic4.120 master handbr up
      ip link set handbr up
    }
    ip link add hv$2 type veth peer name hand$2
    ip link set hv$2 master handbr up`,
  macvlan: 'ip link add hand$2 link nic5 type macvlan mode bridge',
};

const stage = `
  set -e
  ip netns add lan
  for n in 0 1 2 3 4 5; do
    ip link add nic$n type veth peer name port$n netns lan
    ip link set nic$n up
    ip -n lan link set port$n up
  done
  $BERTH_REPOSITORY/bin/berth agent --docker unix:///run/docker.sock >/run/berth.log 2>&1 &
  agent=$!
  for try in $(seq 100); do [ -S /run/berth/berth.sock ] && break; sleep 0.2; done
  for n in 1 2; do docker run -d --network none --name c$n bed-busybox sleep 100000 >/dev/null; done
  pid() { docker inspect -f '{{.State.Pid}}' $1; }
  p1=$(pid c1) p2=$(pid c2)
`;

const plugged = ways
  .map(
    (way) => `
  for n in 1 2; do
    $BERTH_REPOSITORY/bin/berth attach c$n ${attached[way]} -o conflict_check=false -o host_access=false --address 10.${net(way, 'berth attach')}.0.$n/24 >/dev/null ||
    $BERTH_REPOSITORY/bin/berth attach c$n ${attached[way]} -o conflict_check=false --address 10.${net(way, 'berth attach')}.0.$n/24 >/dev/null
  done
  make() { ${byHand[way]}
    ip link set hand$2 netns $1
    nsenter -t $1 -n ip link set hand$2 name ${way}h up
    nsenter -t $1 -n ip address add 10.${net(way, 'by hand')}.0.$2/24 dev ${way}h
  }
  make $p1 1
  make $p2 2`,
  )
  .join('\n');

export const otherKernel: Benchmark = {
  name: 'other-kernel',
  about: 'the data path of ipvlan and a VLAN in User-Mode Linux, against what is made by hand there',
  run: async (context) => {
    const rounds = context.runs ?? 8;
    const turns = Array.from({ length: rounds }, () =>
      shuffled(ways.flatMap((way) => makers.map((maker) => ({ way, maker })))),
    );
    const measure = turns.flat().map(({ way, maker }) => {
      const to = address(way, maker, 1);
      return `
  echo "stream ${way} $(nsenter -t $p2 -n iperf3 -c ${to} -t 1 -J | tr -d '\\n') ${maker}"
  echo "trip ${way} $(nsenter -t $p2 -n node ${PING_PONG} client ${to} 7007 0.5) ${maker}"`;
    });
    const { code, output } = await runInUml(
      `${stage}${plugged}
  nsenter -t $p1 -n iperf3 -s >/dev/null 2>&1 &
  iperf=$!
  nsenter -t $p1 -n node ${PING_PONG} server 7007 >/dev/null 2>&1 &
  pong=$!
  sleep 5
  ${measure.join('')}
  kill $iperf $pong $agent`,
      { docker: ['--bridge=none', '--iptables=false'], timeout: 1_200_000 },
    );
    if (code !== 0) throw new Error(output.slice(-4000));
    const samples = new Map<string, number[]>();
    for (const [, what, way, json, maker] of output.matchAll(/^(stream|trip) (\w+) (.*) (berth attach|by hand)$/gm)) {
      const value =
        what === 'stream'
          ? (JSON.parse(json!) as { end: { sum_received: { bits_per_second: number } } }).end.sum_received
              .bits_per_second / 1e6
          : median(JSON.parse(json!) as number[]);
      const key = `${what} ${way} ${maker}`;
      samples.set(key, [...(samples.get(key) ?? []), value]);
    }
    const rows = (['stream', 'trip'] as const).flatMap((what) =>
      ways.flatMap((way) =>
        makers.toReversed().map((maker): Row => {
          const stream = what === 'stream';
          return {
            what: `${stream ? 'TCP stream' : 'round trip'}, ${way}`,
            name: maker,
            unit: stream ? 'Mb/s' : 'µs',
            samples: samples.get(`${what} ${way} ${maker}`)!,
            ...(maker === 'by hand'
              ? {}
              : { peer: 'by hand', budgets: [stream ? { of: 'ratio', least: 0.97 } : { of: 'ratio', most: 1.03 }] }),
          };
        }),
      ),
    );
    return {
      title: 'Data path in User-Mode Linux (6.1)',
      notes: [
        'one processor, which both ends, the switch and all else share, and system calls that cost microseconds: only the ratio says something',
        'macvlan, which this machine measures too, shows what such a ratio is worth',
      ],
      rows,
    };
  },
};
