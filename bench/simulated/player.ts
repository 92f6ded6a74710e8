/** A process that plays many hosts: the cluster's part of an agent for each, without a kernel or an engine. */

import { createEndpoints } from '../../src/agent/cluster/endpoints.ts';
import { createHosts } from '../../src/agent/cluster/hosts.ts';
import { joinCluster, type Membership } from '../../src/agent/cluster/membership.ts';
import { createPublisher } from '../../src/agent/cluster/publisher.ts';
import type { ClusterEndpoint } from '../../src/objects/codec.ts';
import { openEtcdStore } from '../../src/store/etcd/store.ts';
import { clock, type FromPlayer, networksOf, type Orders, type Scale, type ToPlayer } from './messages.ts';

const say = (message: FromPlayer): void => void process.send!(message);
const events = { emit: () => undefined };

interface Player {
  change(mark: string): Promise<void>;
  end(): Promise<void>;
}

const players = new Map<number, Player>();
let awaited: string | undefined;

async function play(number: number, { etcd, scale }: Orders): Promise<Player> {
  const host = `host-${number}`;
  // What a busy machine makes late is asked for again.
  const store = await openEtcdStore({ endpoints: [{ url: etcd }], prefix: 'bench/', deadline: 20_000, unasked: true });
  const stop = new AbortController();
  let own = endpointsOf(number, scale);
  const expected = [...new Set(networksOf(number, scale))];
  const membership: Membership = await joinCluster({
    store,
    away: () => false,
    host,
    events,
    describe: () => ({ identity: host, berth: 'bench' }),
  });
  const hosts = createHosts({ store, host, events, answers: () => Promise.resolve(true), now: Date.now });
  const endpoints = createEndpoints(store, events);
  const publisher = createPublisher({
    store,
    host,
    events,
    // Nobody leases addresses here.
    wanted: () => own.map((endpoint) => ({ endpoint, leases: new Map() })),
    owns: () => true,
    monotonic: () => performance.now(),
  });
  const counts = new Map(Object.entries(countEndpoints(scale)));
  let converged = false;
  endpoints.onChange((network) => {
    const now = endpoints.on(network) ?? [];
    if (awaited !== undefined && now.some(({ containerName }) => containerName === awaited)) {
      say({ said: 'seen', mark: awaited, at: clock() });
    }
    if (converged || now.length !== counts.get(network)) return;
    if (expected.every((one) => endpoints.on(one)?.length === counts.get(one))) {
      converged = true;
      say({ said: 'converged', host: number, at: clock() });
    }
  });
  const following = hosts.follow(stop.signal);
  endpoints.carry(new Set(expected));
  void publisher.update();
  return {
    async change(mark) {
      own = own.map((one, index) => (index === 0 ? { ...one, containerName: mark } : one));
      await publisher.update();
      say({ said: 'published', mark, at: clock() });
    },
    async end() {
      publisher.close();
      stop.abort();
      await following;
      await endpoints.close();
      await membership.leave();
      await store.close();
    },
  };
}

function endpointsOf(host: number, scale: Scale): ClusterEndpoint[] {
  const networks = networksOf(host, scale);
  return Array.from({ length: Math.floor(scale.endpoints / scale.hosts) }, (_, n) => {
    const id = (host * 1000 + n).toString(16).padStart(64, '0');
    return {
      id,
      network: networks[n % networks.length]!,
      host: `host-${host}`,
      addresses: [`10.${(host >> 8) & 255}.${host & 255}.${n & 255}`],
      mac: `02:42:00:${[host >> 8, host & 255, n & 255].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`,
      containerId: id,
      containerName: `shop-web-${n}`,
      interface: 'bv0123456789abc',
    };
  });
}

let counted: Record<string, number> | undefined;
function countEndpoints(scale: Scale): Record<string, number> {
  if (counted === undefined) {
    counted = {};
    for (let host = 0; host < scale.hosts; host++) {
      for (const { network } of endpointsOf(host, scale)) counted[network] = (counted[network] ?? 0) + 1;
    }
  }
  return counted;
}

/** Hosts that are started at the same time. */
const AT_ONCE = 5;

async function act(order: ToPlayer): Promise<void> {
  switch (order.do) {
    case 'start':
      for (let first = order.first; first <= order.last; first += AT_ONCE) {
        const numbers = Array.from({ length: Math.min(AT_ONCE, order.last - first + 1) }, (_, n) => first + n);
        await Promise.all(numbers.map(async (number) => players.set(number, await play(number, order))));
      }
      break;
    case 'await':
      awaited = order.mark;
      break;
    case 'change':
      await players.get(order.host)?.change(order.mark);
      break;
    case 'end': {
      const residentMegabytes = process.memoryUsage.rss() / 2 ** 20;
      await Promise.all([...players.values()].map((player) => player.end()));
      say({ said: 'ended', residentMegabytes });
      process.disconnect();
      break;
    }
  }
}

process.on('message', (order: ToPlayer) => void act(order));
