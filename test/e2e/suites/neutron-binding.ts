/**
 * Two hosts by Neutron's books: `h1` has a Linux bridge agent, `h2` an Open vSwitch agent, and a real Open vSwitch. Nobody wires but
 * Berth; what an agent would set or report is done by the tests.
 */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, afterEach, before } from 'node:test';
import { type Bed, openBed } from '../bed/bed.ts';
import type { Host } from '../bed/host.ts';
import type { Lan } from '../bed/lan.ts';
import { type OpenVswitch, openVswitch } from '../bed/open-vswitch.ts';
import { type OpenStack, startOpenStack } from '../bed/openstack/openstack.ts';
import { waitFor } from '../bed/process.ts';
import { kuryrConf, neutronHost, startNeutronAgent } from './neutron.ts';

export interface BindingStage {
  readonly bed: Bed;
  readonly stack: OpenStack;
  readonly lan: Lan;
  readonly h1: Host;
  readonly h2: Host;
  readonly ovs: OpenVswitch;
}

export interface Port {
  readonly id: string;
  readonly mac_address: string;
  readonly status: string;
  readonly device_owner: string;
  readonly device_id: string;
  readonly fixed_ips: readonly { readonly ip_address: string }[];
  readonly allowed_address_pairs: readonly { readonly ip_address: string; readonly mac_address: string }[];
  readonly 'binding:vif_type': string;
  readonly 'binding:vif_details': Readonly<Record<string, unknown>>;
}

/** What the agent of h2 tells of itself. */
export const NETDEV = { datapath_type: 'netdev' } as const;
export const BINDIR = '/etc/kuryr-bin';

/** As Neutron's agents begin the names of links. @param id of a port or a network. */
export const short = (id: string): string => id.slice(0, 11);

/** Sets the stage for the tests of a file; each finds it without containers, and with Neutron as it was. @returns it, from the first test on. */
export function setBindingStage(): () => BindingStage {
  let stage: BindingStage | undefined;
  before(async () => {
    stage = await bindingStage();
  });
  afterEach(async () => {
    const { stack, h1, h2 } = stage!;
    stack.calls.heal();
    // One that failed leaves nothing in the way of the next.
    stack.addFakeAgent('h1');
    stack.addFakeAgent('h2', { kind: 'ovs', configurations: NETDEV });
    for (const host of [h1, h2]) {
      const all = (await host.docker('ps', '-aq')).split('\n').filter(Boolean);
      if (all.length > 0) await host.docker('rm', '-f', ...all);
    }
  });
  after(() => stage?.bed[Symbol.asyncDispose]());
  return () => stage!;
}

async function bindingStage(): Promise<BindingStage> {
  const bed = await openBed('binding');
  try {
    const lan = await bed.lan({ name: 'management', subnet: '10.8.66.0/24', gateway: '10.8.66.1' });
    const hosts = { h1: {}, h2: { kind: 'ovs', configurations: NETDEV } } as const;
    const stack = await startOpenStack({ on: { bed, lan, address: '10.8.66.11' }, hosts });
    // The first calls of a Neutron take seconds: it loads what it needs when it needs it.
    const { id } = await stack.neutron.post('/networks', { name: 'warm' });
    await stack.neutron.post('/subnets', { network_id: id, ip_version: 4, cidr: '10.99.0.0/24' });
    for (const host of ['h1', 'h2']) {
      const port = await stack.neutron.post('/ports', { network_id: id, 'binding:host_id': host });
      await stack.neutron.delete(`/ports/${port.id}`);
    }
    await stack.neutron.delete(`/networks/${id}`);
    const h1 = await neutronHost(bed, lan, 'h1', '10.8.66.71/24', stack);
    // The root of newer engines has no Open vSwitch.
    const h2 = await neutronHost(bed, lan, 'h2', '10.8.66.72/24', stack, { engine: '20.10' });
    // What an agent of Neutron does once it has looked at a port: the engine drops everything that is forwarded, also on a bridge.
    for (const host of [h1, h2])
      for (const bridge of ['brq+', 'qbr+'])
        await host.exec(['iptables', '-A', 'FORWARD', '-i', bridge, '-j', 'ACCEPT']);
    const ovs = await openVswitch(h2);
    for (const bridge of ['br-int', 'br-other'])
      await ovs.vsctl('add-br', bridge, '--', 'set', 'bridge', bridge, 'datapath_type=netdev');
    return { bed, stack, lan, h1, h2, ovs };
  } catch (error) {
    await bed[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts the agent of a host anew, with keys of the sections of kuryr.conf. */
export async function restartWith(
  stack: OpenStack,
  host: Host,
  sections: Readonly<Record<string, Readonly<Record<string, string>>>> = {},
  flags: readonly string[] = [],
): Promise<void> {
  await host.stopBerth();
  const { neutron = {}, ...others } = sections;
  const more = Object.entries(others).map(([section, keys]) =>
    [`[${section}]`, ...Object.entries(keys).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
  );
  const whole = `${kuryrConf(stack, neutron).replace('/usr/libexec/kuryr', BINDIR)}\n${more.join('\n')}`;
  writeFileSync(host.path('/etc/kuryr.conf'), whole, { mode: 0o600 });
  await startNeutronAgent(host, flags);
}

/** Docker's network of both plugins; its id in Neutron. */
export async function createNetwork(
  stack: OpenStack,
  host: Host,
  name: string,
  cidr: string,
  ...flags: readonly string[]
): Promise<string> {
  const driver = ['--driver', 'berth-neutron', '--ipam-driver', 'berth-neutron'];
  const id = await host.docker('network', 'create', ...driver, '--subnet', cidr, ...flags, name);
  const described = `/networks?description=berth/${host.name}/${id.slice(0, 12)}`;
  const tagged = `/networks?tags=berth:${host.name}:${id.slice(0, 12)}`;
  const [made] = [...(await stack.neutron.get(described)), ...(await stack.neutron.get(tagged))];
  assert.ok(made, `Neutron has the network ${name}`);
  return made.id;
}

/** Those of containers. */
export async function portsOf(stack: OpenStack, network: string): Promise<readonly Port[]> {
  const all = await stack.neutron.get<Port[]>(`/ports?network_id=${network}`);
  return all.filter(({ device_owner }) => device_owner === 'compute:kuryr');
}

export async function onlyPort(stack: OpenStack, network: string): Promise<Port> {
  const [port, ...others] = await portsOf(stack, network);
  assert.ok(port !== undefined && others.length === 0, `${others.length + (port ? 1 : 0)} ports`);
  return port;
}

export const noPorts = (stack: OpenStack, network: string) =>
  waitFor(
    'Neutron to have no port of a container',
    async () => (await portsOf(stack, network)).length === 0,
    30_000,
    100,
  );

/** Docker has no network any more, and Neutron neither. */
export async function removeNetwork(stack: OpenStack, host: Host, name: string, network: string): Promise<void> {
  await host.docker('network', 'rm', name);
  const there = async () => (await stack.neutron.get(`/networks?id=${network}`)).length;
  await waitFor(`Neutron to have no network ${name}`, async () => (await there()) === 0, 30_000, 100);
}

/** Links of Neutron's names in the host's namespace. */
export async function linksOf(host: Host): Promise<readonly string[]> {
  const { stdout } = await host.net(['ip', '-j', 'link']);
  return (JSON.parse(stdout) as { ifname: string }[])
    .map(({ ifname }) => ifname)
    .filter((name) => /^(tap|brq|t_c|qbr|qvb|qvo)/.test(name));
}

export const onlyLinks = (host: Host, ...names: readonly string[]) => {
  let left: readonly string[] = [];
  return waitFor(
    () => `only ${names.join(', ') || 'nothing'} to be left: ${left.join(', ')}`,
    async () => {
      left = await linksOf(host);
      return left.toSorted().join() === [...names].toSorted().join();
    },
    30_000,
    100,
  );
};

/** The agent's own audit finds nothing. */
export async function auditIsClean(host: Host): Promise<void> {
  const { stdout, stderr } = await host.berth('audit', '--json');
  assert.equal(stdout.replaceAll(/\s/g, ''), '[]', stderr);
}
