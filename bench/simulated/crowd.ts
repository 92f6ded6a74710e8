/**
 * A host that has many containers on one network, as far as the others are told: `node crowd.ts ETCD NETWORK COUNT` writes `told` when they
 * have been, and stays until it is ended.
 */

import { joinCluster } from '../../src/agent/cluster/membership.ts';
import { createPublisher } from '../../src/agent/cluster/publisher.ts';
import { parseAddress } from '../../src/model/address.ts';
import { openEtcdStore } from '../../src/store/etcd/store.ts';

const [url, network, count] = process.argv.slice(2) as [string, string, string];
const host = 'crowd';
const events = { emit: () => undefined };
const store = await openEtcdStore({ endpoints: [{ url }], prefix: '/' });
const hex = (byte: number): string => (byte & 255).toString(16).padStart(2, '0');
const endpoints = Array.from({ length: Number(count) }, (_, n) => ({
  id: n.toString(16).padStart(64, '0'),
  network,
  host,
  // From the upper half of a /16.
  addresses: [`10.31.${128 + (n >> 8)}.${n & 255}`],
  mac: `02:02:0a:1f:${hex(128 + (n >> 8))}:${hex(n)}`,
  containerId: n.toString(16).padStart(64, '0'),
  containerName: `crowd-${n}`,
}));
await joinCluster({
  store,
  away: () => false,
  host,
  events,
  describe: () => ({ identity: host, berth: 'bench', vtep: parseAddress('10.8.65.250')! }),
});
await createPublisher({
  store,
  host,
  events,
  // Nobody leases addresses here.
  wanted: () => endpoints.map((endpoint) => ({ endpoint, leases: new Map() })),
  owns: () => true,
  monotonic: () => performance.now(),
}).update();
console.log('told');
// Whatever else keeps it alive.
setInterval(() => undefined, 1 << 30);
