/** Containers as they really are: read in their network namespaces, not from what the engine says of them. */

import assert from 'node:assert/strict';
import type { Host } from '../bed/host.ts';
import type { Machine } from '../bed/machine.ts';
import { CommandError, type Result, waitFor } from '../bed/process.ts';

/** One interface, as `ip -j address` shows it. */
export interface Interface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** With prefix lengths; link-local ones are left out. */
  readonly addresses: readonly string[];
}

interface IpLink {
  ifname: string;
  address?: string;
  mtu: number;
  addr_info: { local: string; prefixlen: number; scope: string }[];
}

interface Inspected {
  Id: string;
  State: { Pid: number; Running: boolean };
  RestartCount: number;
  NetworkSettings: {
    Networks: Record<string, { IPAddress: string; GlobalIPv6Address: string; MacAddress: string; EndpointID: string }>;
  };
}

/** Starts a container that sleeps, unless `command` says otherwise. */
export async function start(
  host: Host,
  name: string,
  flags: string | readonly string[],
  command: string | readonly string[] = 'sleep 1000000',
): Promise<void> {
  const words = (line: string | readonly string[]) => (typeof line === 'string' ? line.split(/\s+/) : line);
  await host.docker('run', '-d', '--name', name, ...words(flags), await host.image(), ...words(command));
}

/** The engine's view, through its API. */
export async function inspect(host: Host, container: string): Promise<Inspected> {
  const { status, body } = await host.api(`/containers/${container}/json`);
  assert.equal(status, 200, body);
  return JSON.parse(body) as Inspected;
}

/** Runs a program of the host in a container's network: `docker exec` costs ten times as much. */
export async function enter(host: Host, container: string, ...command: readonly string[]): Promise<Result> {
  const { State } = await inspect(host, container);
  assert.ok(State.Running, `container ${container} is not running`);
  return host.exec(['nsenter', '-t', `${State.Pid}`, '-n', '--', ...command], { check: false, timeout: 20_000 });
}

/** The interfaces of a container but `lo`, in the kernel's order. */
export async function interfaces(host: Host, container: string): Promise<Interface[]> {
  const { stdout } = await enter(host, container, 'ip', '-j', 'address');
  return readInterfaces(stdout).filter(({ name }) => name !== 'lo');
}

/** The addresses of an interface in a machine's own namespace, link-local ones left out. */
export async function machineAddresses(machine: Machine, name: string): Promise<readonly string[]> {
  const { stdout } = await machine.net(['ip', '-j', 'address']);
  return readInterfaces(stdout).find((link) => link.name === name)?.addresses ?? [];
}

function readInterfaces(json: string): Interface[] {
  return (JSON.parse(json) as IpLink[]).map((link) => ({
    name: link.ifname,
    mac: link.address ?? '',
    mtu: link.mtu,
    addresses: link.addr_info
      .filter(({ scope }) => scope === 'global')
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
  }));
}

/** The one interface of a container. */
export async function onlyInterface(host: Host, container: string): Promise<Interface> {
  const all = await interfaces(host, container);
  assert.equal(all.length, 1, `${container} has ${all.map(({ name }) => name).join(', ') || 'no interface'}`);
  return all[0]!;
}

/** The container's IPv4 address on its only interface, without its length. */
export async function addressOf(host: Host, container: string): Promise<string> {
  const { addresses } = await onlyInterface(host, container);
  const v4 = addresses.find((address) => !address.includes(':'));
  assert.ok(v4, `${container} has no IPv4 address, only ${addresses.join(', ')}`);
  return v4.replace(/\/.*/, '');
}

/** Next hop and interface of the default route, such as `10.1.0.1 eth0`; empty without one. */
export async function defaultRoute(host: Host, container: string, family: 4 | 6 = 4): Promise<string> {
  const { stdout } = await enter(host, container, 'ip', `-${family}`, '-j', 'route', 'show', 'default');
  return (JSON.parse(stdout || '[]') as { gateway?: string; dev: string }[])
    .map(({ gateway, dev }) => `${gateway ?? 'on-link'} ${dev}`)
    .join();
}

/** Whoever can send a ping: a machine, or a container of a host. */
export type Sender = Machine | readonly [host: Host, container: string];

function ping(from: Sender, to: string, flags: readonly string[]): Promise<Result> {
  const command = ['busybox', to.includes(':') ? 'ping6' : 'ping', ...flags, to];
  return isMachine(from) ? from.net(command, { check: false }) : enter(from[0], from[1], ...command);
}

/** Waits until an address answers a ping: neighbour discovery and a container's start take their time. */
export async function reaches(from: Sender, to: string, flags: readonly string[] = []): Promise<void> {
  let said = '';
  await waitFor(
    () => `${senderName(from)} to reach ${to}: ${said}`,
    async () => {
      const { code, stdout, stderr } = await ping(from, to, ['-c', '1', '-W', '1', ...flags]);
      said = `${stdout}${stderr}`.trim();
      return code === 0;
    },
    30_000,
    50,
  );
}

/** Fails when an address answers a ping. Let the same sender reach something first, or this shows nothing. */
export async function cannotReach(from: Sender, to: string): Promise<void> {
  const { code } = await ping(from, to, ['-c', '2', '-i', '0.2', '-W', '1']);
  assert.notEqual(code, 0, `${senderName(from)} reaches ${to}`);
}

function isMachine(from: Sender): from is Machine {
  return 'net' in from;
}

function senderName(from: Sender): string {
  return isMachine(from) ? from.name : from[1];
}

/** `docker` with its arguments as one line, in which none may hold a blank. Its standard output, trimmed. */
export function docker(host: Host, line: string): Promise<string> {
  return host.docker(...line.trim().split(/\s+/));
}

/** Fails unless the command, as for `docker`, fails; what it wrote. */
export async function dockerFails(host: Host, line: string): Promise<string> {
  try {
    await docker(host, line);
  } catch (error) {
    if (error instanceof CommandError) return `${error.result.stdout}${error.result.stderr}`;
    throw error;
  }
  return assert.fail(`docker ${line} succeeded`);
}

interface InspectedNetwork {
  Id: string;
  Driver: string;
  Internal: boolean;
  Attachable: boolean;
  EnableIPv6: boolean;
  Labels: Record<string, string>;
  Options: Record<string, string>;
  IPAM: {
    Driver: string;
    Options: Record<string, string> | null;
    Config: {
      Subnet: string;
      Gateway?: string;
      IPRange?: string;
      AuxAddress?: Record<string, string>;
      AuxiliaryAddresses?: Record<string, string>;
    }[];
  };
  Containers: Record<
    string,
    { Name: string; EndpointID: string; MacAddress: string; IPv4Address: string; IPv6Address: string }
  >;
}

export async function inspectNetwork(host: Host, network: string): Promise<InspectedNetwork> {
  const { status, body } = await host.api(`/networks/${network}`);
  assert.equal(status, 200, body);
  return JSON.parse(body) as InspectedNetwork;
}

/** What a user does about commands that failed in the middle: the engine believes that something is still connected. */
export async function disconnectStale(host: Host, networks: readonly string[]): Promise<void> {
  for (const network of networks) {
    const { Containers } = await inspectNetwork(host, network);
    for (const [id, { Name }] of Object.entries(Containers)) {
      if (id.startsWith('ep-')) await host.docker('network', 'disconnect', '-f', network, Name);
    }
  }
}
