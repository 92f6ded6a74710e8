/** Two hosts whose containers are ports of one Neutron, without engines: where faults of kuryr-libnetwork are shown to be absent. */

import { after, afterEach, before } from 'node:test';
import { type Bed, openBed } from '../bed/bed.ts';
import type { Host } from '../bed/host.ts';
import { type OpenStack, startOpenStack } from '../bed/openstack/openstack.ts';
import type { Resource } from '../bed/openstack/rest.ts';
import { type EngineCalls, type EngineNetwork, engineCalls, type WantedNetwork } from './engine-calls.ts';
import { neutronHost, warmUp } from './neutron.ts';
import { agree, nothing } from './neutron-agreement.ts';

export interface KuryrStage {
  readonly stack: OpenStack;
  readonly h1: Host;
  readonly h2: Host;
  /** Their engines, which use the plugin `kuryr`. */
  readonly one: EngineCalls;
  readonly two: EngineCalls;
  /** Makes something in Neutron itself, until the end of the test. */
  make(path: string, attributes: Readonly<Record<string, unknown>>): Promise<Resource>;
  /** A network of Neutron with subnets, as its owner made them. */
  theirs(...subnets: readonly Readonly<Record<string, unknown>>[]): Promise<Resource>;
  /** Without what every change changes. */
  asItIs(path: string): Promise<unknown>;
  /** Ports of containers on a network of Neutron. */
  containersOn(network: string): Promise<readonly Resource[]>;
  /** What Berth has made of a network. */
  neutronsOf(network: EngineNetwork): Promise<Resource>;
}

export const on = (network: Resource): Pick<WantedNetwork, 'options'> => ({
  options: { 'neutron.net.uuid': network.id },
});

/** Sets up the tests of a file. After each, nothing must be left of Berth. @returns the stage, from the first test on. */
export function kuryrStage(name: string): () => KuryrStage {
  let bed: Bed;
  let stage: KuryrStage;
  const made: string[] = [];
  before(async () => {
    bed = await openBed(name);
    const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
    const hosts = { h1: {}, h2: {}, h3: { kind: 'ovs', configurations: DPDK } } as const;
    const stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts });
    await warmUp(stack);
    const [h1, h2] = await Promise.all([
      neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { start: false }),
      neutronHost(bed, lan, 'h2', '10.8.65.80/24', stack, { start: false }),
    ]);
    async function make(path: string, attributes: Readonly<Record<string, unknown>>): Promise<Resource> {
      const object = await stack.neutron.post(path, attributes);
      made.push(`${path}/${object.id}`);
      return object;
    }
    stage = {
      stack,
      h1,
      h2,
      one: engineCalls(h1, 'kuryr'),
      two: engineCalls(h2, 'kuryr'),
      make,
      async theirs(...subnets) {
        const network = await make('/networks', { name: 'theirs' });
        for (const subnet of subnets) await make('/subnets', { network_id: network.id, ip_version: 4, ...subnet });
        return network;
      },
      async asItIs(path) {
        const { revision_number: _revision, updated_at: _time, ...rest } = await stack.neutron.get<Resource>(path);
        return rest;
      },
      containersOn: async (network) =>
        (await stack.neutron.get(`/ports?network_id=${network}`)).filter((port) =>
          String(port.device_owner).startsWith('compute:kuryr'),
        ),
      neutronsOf: async ({ id }) => (await stack.neutron.get(`/networks?name=kuryr-net-${id.slice(0, 8)}`))[0]!,
    };
  });
  afterEach(async () => {
    const { stack, h1, h2 } = stage;
    stack.calls.heal();
    await Promise.all([agree(stack, h1, nothing), agree(stack, h2, nothing)]);
    for (const path of made.splice(0).toReversed()) await stack.neutron.delete(path);
  });
  after(() => bed[Symbol.asyncDispose]());
  return () => stage;
}

/** What the agent of `h3` tells of itself: its ports go into machines by sockets (`vhostuser`). */
const DPDK = { datapath_type: 'netdev', ovs_capabilities: { iface_types: ['dpdkvhostuser'] } };
