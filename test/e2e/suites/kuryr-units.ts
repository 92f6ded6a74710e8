/** One host without an engine, whose plugin `kuryr` is called as an engine calls it, and a real Neutron behind it. */

import { randomBytes } from 'node:crypto';
import { type Bed, openBed } from '../bed/bed.ts';
import type { Host } from '../bed/host.ts';
import { type OpenStack, startOpenStack } from '../bed/openstack/openstack.ts';
import type { Resource } from '../bed/openstack/rest.ts';
import { waitFor } from '../bed/process.ts';
import { type EngineCalls, type EngineNetwork, engineCalls } from './engine-calls.ts';
import { neutronHost, warmUp } from './neutron.ts';
import { agree, nothing } from './neutron-agreement.ts';
import type { NetworkSeen, PortSeen } from './neutron-objects.ts';

let bed: Bed;
export let stack: OpenStack;
export let host: Host;
export let engine: EngineCalls;

export async function open(): Promise<void> {
  bed = await openBed('neutron-kuryr-units');
  const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
  stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1'] });
  await warmUp(stack);
  host = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { start: false });
  engine = engineCalls(host, 'kuryr');
}
export const close = async (): Promise<void> => {
  await bed[Symbol.asyncDispose]();
};
/** What a test has made in Neutron itself. */
const made: string[] = [];

export async function make<Kind extends Resource = Resource>(path: string, attributes: object): Promise<Kind> {
  const object = await stack.neutron.post<Kind>(path, { ...attributes });
  made.push(`${path}/${object.id}`);
  return object;
}
/** After each group: what it has begun has ended, and only what was there before is left. */
export async function clean(): Promise<void> {
  await agree(stack, host, nothing);
  for (const path of made.splice(0).toReversed()) await stack.neutron.delete(path);
}

/** A network of Neutron's, with subnets, as its owner made them. */
export async function theirs(
  name: string,
  ...subnets: readonly Readonly<Record<string, unknown>>[]
): Promise<NetworkSeen> {
  const network = await make<NetworkSeen>('/networks', { name });
  for (const one of subnets)
    await make('/subnets', { network_id: network.id, ip_version: String(one.cidr).includes(':') ? 6 : 4, ...one });
  return network;
}
export const neutronsOf = async ({ id }: EngineNetwork): Promise<NetworkSeen> =>
  (await stack.neutron.get<NetworkSeen[]>(`/networks?name=kuryr-net-${id.slice(0, 8)}`))[0]!;
export const isGone = (path: string) =>
  waitFor(`${path} to go`, async () => (await stack.neutron.call('GET', path)).status === 404, 30_000, 50);
export const random = () => randomBytes(32).toString('hex');
export const bare = (address: string | undefined) => address?.replace(/\/.*/, '');
export const inNeutron = ({ fixed_ips }: PortSeen) => fixed_ips.map(({ ip_address }) => ip_address).toSorted();
export const request = (PoolID: string, Address = '', mac?: string) =>
  engine.call('IpamDriver.RequestAddress', {
    PoolID,
    Address,
    Options: mac === undefined ? {} : { 'com.docker.network.endpoint.macaddress': mac },
  });
export const poolOf = async (Pool: string, Options: Readonly<Record<string, string>> = {}, V6 = false) => {
  const asked = { AddressSpace: 'neutron', Pool, SubPool: '', Options, V6 };
  const { PoolID, Pool: subnet } = await engine.call('IpamDriver.RequestPool', asked);
  return { PoolID: PoolID as string, subnet: subnet as string };
};
