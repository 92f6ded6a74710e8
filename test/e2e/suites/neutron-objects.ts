/** What Neutron has, as tests look at it: past the product, as an administrator. */

import assert from 'node:assert/strict';
import type { Host } from '../bed/host.ts';
import type { OpenStack } from '../bed/openstack/openstack.ts';
import type { Resource } from '../bed/openstack/rest.ts';
import { CommandError, waitFor } from '../bed/process.ts';
import { ask } from './agent.ts';
import { inspectNetwork } from './containers.ts';

export interface PortSeen extends Resource {
  readonly name: string;
  readonly status: string;
  readonly mac_address: string;
  readonly network_id: string;
  readonly device_id: string;
  readonly device_owner: string;
  readonly security_groups: readonly string[];
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address: string }[];
  readonly 'binding:host_id': string;
}

export interface SubnetSeen extends Resource {
  readonly name: string;
  readonly cidr: string;
  readonly gateway_ip: string | null;
  readonly ip_version: 4 | 6;
  readonly subnetpool_id: string | null;
  readonly allocation_pools: readonly { readonly start: string; readonly end: string }[];
}

export interface NetworkSeen extends Resource {
  readonly name: string;
  readonly project_id: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly mtu: number;
}

/** Ports of containers and machines on a network, without those of Neutron's own agents. */
export async function portsOn(stack: OpenStack, network: Pick<Resource, 'id'>): Promise<readonly PortSeen[]> {
  const all = await stack.neutron.get<PortSeen[]>(`/ports?network_id=${network.id}`);
  return all.filter(({ device_owner }) => !device_owner.startsWith('network:'));
}

/** The one port of a network that has an address. */
export async function portWith(
  stack: OpenStack,
  network: Pick<Resource, 'id'>,
  address: string | undefined,
): Promise<PortSeen> {
  const all = await portsOn(stack, network);
  const found = all.filter(({ fixed_ips }) => fixed_ips.some(({ ip_address }) => ip_address === address));
  assert.equal(found.length, 1, `${found.length} ports have ${address}: ${JSON.stringify(all)}`);
  return found[0]!;
}

export const subnetsOf = (stack: OpenStack, network: Pick<Resource, 'id'>): Promise<SubnetSeen[]> =>
  stack.neutron.get<SubnetSeen[]>(`/subnets?network_id=${network.id}`);

/** What is a Docker network in Neutron, where Berth has made it. */
export async function networkBehind(stack: OpenStack, host: Host, docker: string): Promise<NetworkSeen> {
  const { Id } = await inspectNetwork(host, docker);
  const key = encodeURIComponent(`berth/${host.name}/${Id.slice(0, 12)}`);
  const found = await stack.neutron.get<NetworkSeen[]>(`/networks?description=${key}`);
  assert.equal(found.length, 1, `${found.length} networks of Neutron are ${docker}`);
  return found[0]!;
}

/** A network, its subnets and its ports, without what Neutron counts and dates: to be compared with what they are later. */
export async function stateOf(stack: OpenStack, { id }: Pick<Resource, 'id'>): Promise<unknown> {
  const [network, subnets, ports] = await Promise.all([
    stack.neutron.get<Resource>(`/networks/${id}`),
    stack.neutron.get(`/subnets?network_id=${id}`),
    stack.neutron.get(`/ports?network_id=${id}`),
  ]);
  return [network, ...sorted(subnets), ...sorted(ports)].map((object) =>
    Object.fromEntries(Object.entries(object).filter(([name]) => !['revision_number', 'updated_at'].includes(name))),
  );
}

const sorted = (objects: readonly Resource[]) => objects.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** Waits until a host has no removal left to do. Unlike Neutron, it is quick to be asked. */
export async function settled(host: Host): Promise<void> {
  await waitFor(
    `${host.name} to have removed what it has to`,
    async () => (await ask(host, '/v1/status')).neutron?.waiting.count === 0,
    60_000,
    50,
  );
}

/** Waits until a network is as it was; then compares, so that a difference is shown. */
export async function becomes(stack: OpenStack, network: Pick<Resource, 'id'>, before: unknown): Promise<void> {
  let now: unknown;
  await waitFor(
    'the network of Neutron to be as it was',
    async () => {
      now = await stateOf(stack, network);
      return JSON.stringify(now) === JSON.stringify(before);
    },
    30_000,
    200,
  ).catch(() => {});
  assert.deepEqual(now, before);
}

/** Waits until Neutron has nothing that a host has made. Removals are made in the background. */
export async function nothingMadeBy(stack: OpenStack, host: Host): Promise<void> {
  await settled(host);
  let left: readonly string[] = [];
  await waitFor(
    () => `Neutron to have nothing of ${host.name}: ${left.join(', ')}`,
    async () => {
      const found = await Promise.all(
        ['networks', 'subnets', 'ports'].map(async (kind) => {
          const all = await stack.neutron.get<(Resource & { description?: string; tags?: string[] })[]>(`/${kind}`);
          const isMade = (description: string) => `${description}/`.startsWith(`berth/${host.name}/`);
          const isMarked = (tag: string) => tag.startsWith(`berth:${host.name}:`);
          return all
            .filter(({ description = '', tags = [] }) => isMade(description) || tags.some(isMarked))
            .map(({ id, description }) => `${kind} ${id} (${description})`);
        }),
      );
      left = found.flat();
      return left.length === 0;
    },
    30_000,
    200,
  );
}

/** For an agent whose Neutron is slow: what is without an owner between two of Docker's calls is not forgotten yet. */
export const patient = ['--gc-grace', '20'] as const;

/**
 * Repeats what a Neutron that is busy with other suites has not answered in the time that Docker has. Nothing is left of the attempt
 * before: a second one would be refused, or show in what the test looks at.
 */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const isSlow = error instanceof CommandError && error.result.stderr.includes('no answer within');
      if (!isSlow || attempt === 5) throw error;
    }
  }
}
