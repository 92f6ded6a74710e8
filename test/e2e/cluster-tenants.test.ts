/** Two tenants with the same subnet, gateway and addresses of containers, on two hosts with engines of their own. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Cluster } from './bed/cluster.ts';
import { outside4, outside6 } from './bed/lan.ts';
import type { Machine } from './bed/machine.ts';
import { allReach, ipv4, networksAppear, noneReaches, type Placed, spread } from './suites/cluster.ts';
import { setClusterStage } from './suites/cluster-stage.ts';
import { inspect, start } from './suites/containers.ts';

const TENANTS = ['red', 'blue'] as const;
const SUBNETS = '-s 10.1.0.0/24 -g 10.1.0.254 -s6 fd01::/64 -g6 fd01::fe';

/** Tells each of two clients what it said, once both are connected. */
const SERVER = `
  const clients = [];
  require('node:net').createServer((socket) => socket.once('data', (name) => {
    clients.push({ socket, name });
    if (clients.length < 2) return;
    for (const { socket, name } of clients.splice(0)) socket.end(name + ' from ' + socket.remoteAddress);
  })).listen(8080, '::', () => console.log('ready'));
`;
const CLIENT = `
  const [host, name] = process.argv.slice(1);
  const socket = require('node:net').connect({ host, port: 8080, localPort: 40000 }, () => socket.write(name));
  socket.on('data', (data) => process.stdout.write(data));
  socket.setTimeout(5000, () => socket.destroy(new Error('nothing came')));
`;

/** Runs the client in the networks of two containers at once. @returns what came back to each. */
async function speakAtOnce(clients: readonly (readonly [...Placed, name: string])[], to: string): Promise<string[]> {
  return Promise.all(
    clients.map(async ([host, container, name]) => {
      const { State } = await inspect(host, container);
      const node = [process.execPath, '-e', CLIENT, to, name];
      return (await host.exec(['nsenter', '-t', `${State.Pid}`, '-n', '--', ...node])).stdout;
    }),
  );
}

async function listen(machine: Machine): Promise<void> {
  const server = await machine.spawn([process.execPath, '-e', SERVER], { name: 'server' });
  await server.waitForOutput(/ready/);
}

/** A container of each tenant on each host: those of one host have one and the same address. */
async function populate(cluster: Cluster, name: string): Promise<Map<string, Placed[]>> {
  const placed = new Map<string, Placed[]>();
  for (const tenant of TENANTS) {
    const networks = `${name}/${tenant}`;
    await networksAppear(cluster.hosts, networks);
    const [first] = await spread(cluster.hosts.slice(0, 1), [`${tenant}-1`], networks);
    const [second] = await spread(cluster.hosts.slice(1), [`${tenant}-2`], networks);
    placed.set(tenant, [first!, second!]);
    assert.deepEqual(await ipv4(placed.get(tenant)!), ['10.1.0.1', '10.1.0.2']);
  }
  return placed;
}

describe('tenants with the same subnet', () => {
  const stage = setClusterStage('tenants', { engines: ['28.5', '20.10'], agentFlags: ['--audit-interval', '2'] });

  async function make(...more: readonly string[]): Promise<Cluster> {
    const cluster = stage();
    for (const tenant of TENANTS) {
      await cluster.netctl(`tenant create ${tenant}`);
      for (const line of [`${SUBNETS} shop`, ...more]) await cluster.netctl(`network create -t ${tenant} ${line}`);
    }
    return cluster;
  }

  test('each has its containers at the same addresses; they reach their own, their gateway and the outside', async () => {
    const cluster = await make();
    const placed = await populate(cluster, 'shop');
    for (const group of placed.values()) {
      await allReach(group);
      await allReach(group, ['10.1.0.254', 'fd01::fe', outside4, outside6]);
    }
    // Nobody else's: an address that only the other tenant has.
    await start(cluster.hosts[0]!, 'blue-3', ['--network', 'shop/blue']);
    const blue: Placed = [cluster.hosts[0]!, 'blue-3'];
    const addresses = await ipv4([blue]);
    assert.deepEqual(addresses, ['10.1.0.3']);
    await allReach(placed.get('blue')!, addresses);
    await noneReaches(placed.get('red')!, addresses);

    await listen(cluster.underlay.outside);
    for (const [n, host] of cluster.hosts.entries()) {
      const clients = TENANTS.map((tenant) => [host, `${tenant}-${n + 1}`, tenant] as const);
      for (const to of [outside4, outside6]) {
        const heard = await speakAtOnce(clients, to);
        assert.deepEqual(
          heard.map((said) => said.split(' from ')[0]),
          TENANTS,
          `${host.name} ${to}`,
        );
      }
    }
  });

  test('networks of a tenant are routed among each other, and not to those of another', async () => {
    const cluster = stage();
    await cluster.netctl('global set --fwd-mode routing');
    await make('-s 10.2.0.0/24 -g 10.2.0.254 stock');
    const placed = await populate(cluster, 'shop');
    const [, h2] = cluster.hosts;
    for (const tenant of TENANTS) {
      await networksAppear(cluster.hosts, `stock/${tenant}`);
      await start(h2!, `${tenant}-stock`, ['--network', `stock/${tenant}`]);
    }
    await start(h2!, 'blue-more', ['--network', 'stock/blue']);
    for (const group of placed.values()) await allReach(group, ['10.2.0.1', '10.1.0.1', '10.1.0.2']);
    await allReach(placed.get('blue')!, ['10.2.0.2']);
    await noneReaches(placed.get('red')!, ['10.2.0.2']);
  });

  test('an address is reserved for one tenant, whichever has the subnet too', async () => {
    const cluster = await make();
    const h1 = cluster.hosts[0]!;
    await networksAppear(cluster.hosts, 'shop/red', 'shop/blue');
    const reserve = async (...words: readonly string[]) => {
      const { code, stdout, stderr } = await h1.berth(...words);
      return code === 0 ? stdout : stderr;
    };
    assert.match(
      await reserve('reserve', '10.1.0.1'),
      /10\.1\.0\.1 lies in 10\.1\.0\.0\/24 of (red|blue):shop and 10\.1\.0\.0\/24 of (red|blue):shop: name the network/,
    );
    assert.equal(
      await reserve('reserve', '10.1.0.1', '--network', 'shop/red'),
      '10.1.0.1 of red:shop is reserved for who asks for it\n',
    );
    assert.match(await reserve('reserve', '10.1.0.1', '--network', 'blue:shop', '--for', 'kept'), /of blue:shop is/);
    assert.match(await reserve('unreserve', '10.1.0.1'), /10\.1\.0\.1 is reserved in .* and .*: name the network/);
    assert.match(await reserve('unreserve', '10.1.0.1', '--network', 'shop/blue'), /of blue:shop is not reserved/);
    const red = await spread(cluster.hosts, ['kept-red'], 'shop/red');
    const blue = await spread(cluster.hosts, ['kept-blue'], 'shop/blue');
    assert.deepEqual(await ipv4([...red, ...blue]), ['10.1.0.2', '10.1.0.1']);
    assert.match(await reserve('unreserve', '10.1.0.1'), /of red:shop is not reserved/);
    assert.equal(await reserve('reservation', 'ls', '--json'), '[]\n');
  });
});
