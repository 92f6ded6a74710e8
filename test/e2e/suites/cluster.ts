/** What tests of a cluster do over and over: containers on several hosts, who reaches whom, and networks by netctl. */

import assert from 'node:assert/strict';
import type { Cluster, ClusterHost } from '../bed/cluster.ts';
import type { Host } from '../bed/host.ts';
import { waitFor } from '../bed/process.ts';
import { inspect, start } from './containers.ts';

/** A container, and where it is. */
export type Placed = readonly [host: Host, container: string];

/** The engine's view of a network; undefined when it has none of that name. */
export async function networkOn(
  host: Host,
  name: string,
): Promise<{ readonly Id: string; readonly Driver: string; readonly Scope: string } | undefined> {
  const filters = encodeURIComponent(JSON.stringify({ name: [name] }));
  const { body } = await host.api(`/networks?filters=${filters}`);
  const found = JSON.parse(body) as { Id: string; Name: string; Driver: string; Scope: string }[];
  return found.find((network) => network.Name === name);
}

/** Waits until every engine has these networks. */
export async function networksAppear(hosts: readonly Host[], ...names: readonly string[]): Promise<void> {
  await Promise.all(
    hosts.flatMap((host) =>
      names.map((name) => waitFor(`the network ${name} on ${host.name}`, () => networkOn(host, name), 30_000, 50)),
    ),
  );
}

/** Waits until no engine has any of these networks. */
export async function networksVanish(hosts: readonly Host[], ...names: readonly string[]): Promise<void> {
  await Promise.all(
    hosts.flatMap((host) =>
      names.map((name) =>
        waitFor(`${host.name} to lose the network ${name}`, async () => !(await networkOn(host, name)), 30_000, 50),
      ),
    ),
  );
}

/** Makes a network of the default tenant, and waits until the engines have it. @param line what follows `network create`: its name last. */
export async function createNetwork(cluster: Cluster, line: string): Promise<void> {
  await cluster.netctl(`network create ${line}`);
  await networksAppear(cluster.hosts, line.split(' ').at(-1)!);
}

/** Starts as many containers, one host after the other, all at once. @returns them, in order. */
export function spread(
  hosts: readonly ClusterHost[],
  names: readonly string[],
  network: string,
  flags: readonly string[] = [],
): Promise<Placed[]> {
  return Promise.all(
    names.map(async (name, n): Promise<Placed> => {
      const host = hosts[n % hosts.length]!;
      await start(host, name, ['--network', network, ...flags]);
      return [host, name];
    }),
  );
}

/** `prefix-0`, `prefix-1` … */
export const named = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

export async function removeAll(placed: readonly Placed[]): Promise<void> {
  await Promise.all(
    placed.map(async ([host, name]) => {
      const { status, body } = await host.api(`/containers/${name}?force=1&v=1`, { method: 'DELETE' });
      assert.equal(status, 204, body);
    }),
  );
}

/** What the engine says a container's addresses are, IPv4 and then IPv6 where there is one, on its only network. */
export async function addressesOf([host, container]: Placed): Promise<string[]> {
  const { NetworkSettings } = await inspect(host, container);
  const [only, another] = Object.values(NetworkSettings.Networks);
  assert.ok(only && !another, `${container} is on ${Object.keys(NetworkSettings.Networks).join(', ') || 'no network'}`);
  assert.ok(only.IPAddress, `${container} has no address`);
  return [only.IPAddress, only.GlobalIPv6Address].filter((address) => address !== '');
}

/** The IPv4 addresses of some containers, in their order. */
export async function ipv4(placed: readonly Placed[]): Promise<string[]> {
  return Promise.all(placed.map(async (one) => (await addressesOf(one))[0]!));
}

/** Those of the addresses that do not answer a ping from a container's network, each asked once, all at once. */
async function unanswered([host, container]: Placed, addresses: readonly string[]): Promise<string[]> {
  const { State } = await inspect(host, container);
  assert.ok(State.Running, `container ${container} is not running`);
  const probes = addresses.map((address) => {
    const ping = address.includes(':') ? 'ping6' : 'ping';
    return `(busybox ${ping} -c 1 -W 1 ${address} >/dev/null 2>&1 || echo ${address}) &`;
  });
  const script = [...probes, 'wait'].join('\n');
  const enter = ['nsenter', '-t', `${State.Pid}`, '-n', '--', 'sh', '-c', script];
  return (await host.exec(enter)).stdout.split('\n').filter((line) => line !== '');
}

/** Waits until each of the containers reaches each of the addresses. @param addresses default all of the containers' own. */
export async function allReach(
  placed: readonly Placed[],
  addresses?: readonly string[],
  timeout = 10_000,
): Promise<void> {
  const targets = addresses ?? (await Promise.all(placed.map(addressesOf))).flat();
  await Promise.all(
    placed.map(async (one) => {
      let left: readonly string[] = targets;
      await waitFor(
        () => `${one[1]} on ${one[0].name} to reach ${left.join(', ')}`,
        async () => {
          left = await unanswered(one, left);
          return left.length === 0;
        },
        timeout,
        50,
      );
    }),
  );
}

/** Fails when any of the containers reaches any of the addresses. They must be able to reach something, or it shows nothing. */
export async function noneReaches(placed: readonly Placed[], addresses: readonly string[]): Promise<void> {
  await Promise.all(
    placed.map(async (one) => {
      const silent = await unanswered(one, addresses);
      assert.deepEqual(silent.toSorted(), addresses.toSorted(), `what ${one[1]} on ${one[0].name} does not reach`);
    }),
  );
}

/** Waits until a name is resolved in a container and the answer reached. */
export async function reachesName(from: Placed, name: string): Promise<void> {
  const [host, container] = from;
  let said = '';
  await waitFor(
    () => `${container} on ${host.name} to ping ${name}: ${said}`,
    async () => {
      const ping = ['docker', 'exec', container, 'ping', '-c', '1', '-W', '1', name];
      const { code, stdout, stderr } = await host.exec(ping, { check: false });
      said = `${stdout}${stderr}`.trim();
      return code === 0;
    },
    30_000,
    100,
  );
}

interface Oper {
  readonly allocatedIPAddresses?: string;
  readonly availableIPAddresses?: string;
  readonly numEndpoints?: number;
  readonly [field: string]: unknown;
}

/** `netctl … inspect` of something. @param line such as `network inspect net1`. */
export async function inspectObject(
  cluster: Cluster,
  line: string,
): Promise<{ readonly Config: Readonly<Record<string, unknown>>; readonly Oper: Oper }> {
  return JSON.parse(await cluster.netctl(line)) as { Config: Record<string, unknown>; Oper: Oper };
}
