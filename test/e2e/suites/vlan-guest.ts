/** Contiv's system tests in their VLAN variant, under their names; run in the guest by `cluster-vlan.test.ts`. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../bed/process.ts';
import {
  createNetwork,
  type PluginContainer,
  type PluginNetwork,
  removeNetwork,
  startContainer,
} from './plugin-calls.ts';
import { type Lab, type LabHost, openVlanLab } from './vlan-lab.ts';

let lab: Lab;

interface Made {
  readonly on: readonly (readonly [LabHost, PluginNetwork])[];
  readonly key: string;
}

const network = (tenant: string, name: string, tag: number, more: object) => {
  const body = { tenantName: tenant, networkName: name, encap: 'vlan', pktTag: tag, ...more };
  return lab.object(`networks/${tenant}:${name}`, body);
};

/** What each agent has its engine do for a network, or a group on it, of the cluster. */
async function onAllHosts(
  key: string,
  subnets: Parameters<typeof createNetwork>[1],
  options: Readonly<Record<string, string>>,
): Promise<Made> {
  const on: [LabHost, PluginNetwork][] = [];
  for (const host of lab.hosts) on.push([host, await createNetwork(host, subnets, options)]);
  return { key, on };
}

async function gone({ on, key }: Made): Promise<void> {
  for (const [host, made] of on) await removeNetwork(host, made);
  await lab.remove(key);
}

let counted = 0;
/** A container on each host. One after the other: the guest has one processor, and a call ten seconds. */
async function spread({ on }: Made): Promise<PluginContainer[]> {
  counted += 1;
  const containers: PluginContainer[] = [];
  for (const [host, made] of on) containers.push(await startContainer(host, `c${counted}`, made));
  return containers;
}

async function removeAll(containers: readonly PluginContainer[]): Promise<void> {
  for (const one of containers) await one.remove();
}

/** Those of the addresses that do not answer a ping from a namespace, each asked once. */
async function unanswered(netns: string, addresses: readonly string[]): Promise<string[]> {
  const probes = addresses.map((address) => {
    const ping = address.includes(':') ? 'ping6' : 'ping';
    return `(busybox ${ping} -c 1 -W 2 ${address} >/dev/null 2>&1 || echo ${address}) &`;
  });
  const script = [...probes, 'wait'].join('\n');
  const said = await lab.sh(`ip netns exec ${netns} sh <<'END'\n${script}\nEND`);
  return said.split('\n').filter((line) => line !== '');
}

async function reachAll(namespaces: readonly string[], addresses: readonly string[]): Promise<void> {
  for (const netns of namespaces) {
    let left = addresses;
    await waitFor(
      () => `${netns} to reach ${left.join(', ')}`,
      async () => {
        left = await unanswered(netns, left);
        return left.length === 0;
      },
      20_000,
      50,
    );
  }
}

const addressesOf = (containers: readonly PluginContainer[]) => containers.flatMap(({ addresses }) => addresses);

const allReach = (containers: readonly PluginContainer[]) =>
  reachAll(
    containers.map(({ name }) => name),
    addressesOf(containers),
  );

/** No host may have a link of ours: neither a bridge nor a VLAN. */
async function nothingLeft(): Promise<void> {
  for (const host of lab.hosts) {
    let left = '';
    await waitFor(
      () => `nothing to be left on ${host.name}: ${left}`,
      async () => {
        left = await lab.sh(`ip -n ${host.name} -o link | grep -E "eth1\\.|bond0\\.| b[tvl][0-9a-f]{13}[@:]" || true`);
        return left === '';
      },
      20_000,
      200,
    );
  }
}

const ten = (third: number, gateway = true) => ({
  subnet: `10.1.${third}.0/24`,
  ...(gateway ? { gateway: `10.1.${third}.254` } : {}),
});

/** Several networks with a container on each host: all reach all on a network, and nobody on another. */
async function addDelete(gateway: boolean, count: number): Promise<void> {
  const made: { readonly network: Made; readonly containers: PluginContainer[] }[] = [];
  for (let n = 0; n < count; n++) {
    const four = ten(n, gateway);
    // Odd ones have both families.
    const six = n === 1 && gateway ? { subnet: '1001:1::/120', gateway: '1001:1::fe' } : undefined;
    await network('default', `net${n}`, 1001 + n, {
      ...four,
      ...(six === undefined ? {} : { ipv6Subnet: six.subnet, ipv6Gateway: six.gateway }),
    });
    const subnets = six === undefined ? [four] : [four, six];
    const here = await onAllHosts(`networks/default:net${n}`, subnets, { tenant: 'default', network: `net${n}` });
    made.push({ network: here, containers: await spread(here) });
  }
  for (const { containers } of made) {
    await allReach(containers);
    const others = made.flatMap((other) => (other.containers === containers ? [] : addressesOf(other.containers)));
    for (const { name } of containers) {
      assert.deepEqual((await unanswered(name, others)).toSorted(), others.toSorted(), `what ${name} does not reach`);
    }
  }
  for (const { containers } of made) await removeAll(containers);
  for (const { network: here } of made) await gone(here);
}

/** Two tenants with networks of the same names, as in `cluster-network.test.ts`. */
async function tenants(networks: number): Promise<void> {
  const made: { readonly network: Made; readonly containers: PluginContainer[] }[] = [];
  for (const tenant of [0, 1]) {
    await lab.object(`tenants/tenant${tenant}`, { tenantName: `tenant${tenant}` });
    for (let n = 0; n < networks; n++) {
      const subnet = { subnet: `10.${tenant}.${n}.0/24`, gateway: `10.${tenant}.${n}.254` };
      await network(`tenant${tenant}`, `net${n}`, 0, subnet);
      const options = { tenant: `tenant${tenant}`, network: `net${n}` };
      const here = await onAllHosts(`networks/tenant${tenant}:net${n}`, [subnet], options);
      const containers = await spread(here);
      assert.deepEqual(
        addressesOf(containers).toSorted(),
        [1, 2, 3].map((last) => `10.${tenant}.${n}.${last}`),
      );
      made.push({ network: here, containers });
    }
  }
  for (const { containers } of made) await allReach(containers);
  for (const { containers } of made) await removeAll(containers);
  for (const { network: here } of made) await gone(here);
  for (const tenant of [0, 1]) await lab.remove(`tenants/tenant${tenant}`);
}

describe('on VLANs', () => {
  before(async () => {
    lab = await openVlanLab();
  });
  // Where it could not be opened, it has closed itself.
  after(() => (lab as Lab | undefined)?.close());

  test('TestBasicStartRemoveContainerVLAN', async () => {
    const subnet = { subnet: '10.1.0.0/16', gateway: '10.1.1.254' };
    await network('default', 'private', 1001, subnet);
    const made = await onAllHosts('networks/default:private', [subnet], { tenant: 'default', network: 'private' });
    const body = { tenantName: 'default', networkName: 'private', groupName: 'epg1', ipPool: '10.1.0.11-10.1.0.20' };
    await lab.object('endpointGroups/default:epg1', body);
    const options = { tenant: 'default', network: 'private', group: 'epg1' };
    const group = await onAllHosts('endpointGroups/default:epg1', [subnet], options);
    for (const [where, first, rounds] of [
      [made, 1, 2],
      [group, 11, 1],
    ] as const) {
      for (let round = 0; round < rounds; round++) {
        const containers = await spread(where);
        assert.deepEqual(
          addressesOf(containers).toSorted(),
          [0, 1, 2].map((n) => `10.1.0.${first + n}`),
        );
        await allReach(containers);
        await removeAll(containers);
      }
    }
    await gone(group);
    await gone(made);
    await nothingLeft();
  });

  test('TestBasicStartStopContainerVLAN', async () => {
    await network('default', 'private', 1001, ten(1));
    const made = await onAllHosts('networks/default:private', [ten(1)], { tenant: 'default', network: 'private' });
    // A container that stays, for the network to be in use all the time.
    const [stays] = await spread({ ...made, on: made.on.slice(0, 1) });
    for (let round = 0; round < 2; round++) {
      const containers = await spread(made);
      await allReach([stays!, ...containers]);
      assert.match(await lab.sh('ip -n h2 -d link show eth1.1001'), /vlan protocol 802\.1Q id 1001/);
      await removeAll(containers);
    }
    await stays!.remove();
    await gone(made);
    await nothingLeft();
  });

  test('TestInfraNetworkAddDeleteVLAN', async () => {
    const made: Made[] = [];
    for (const n of [0, 1, 2]) {
      await network('default', `infra${n}`, 1001 + n, { ...ten(n), nwType: 'infra' });
      const options = { tenant: 'default', network: `infra${n}` };
      made.push(await onAllHosts(`networks/default:infra${n}`, [ten(n)], options));
    }
    for (const n of [0, 1, 2]) {
      await reachAll(
        lab.hosts.map(({ name }) => name),
        [1, 2, 3].map((last) => `10.1.${n}.${last}`),
      );
    }
    for (const here of made) await gone(here);
    await nothingLeft();
  });

  test('TestNetworkAddDeleteVLAN', async () => {
    await addDelete(true, 3);
    await nothingLeft();
  });

  test('TestNetworkAddDeleteNoGatewayVLAN', async () => {
    await addDelete(false, 2);
    await nothingLeft();
  });

  test('TestNetworkAddDeleteTenantVLAN', async () => {
    await tenants(2);
    await nothingLeft();
  });

  test('TestNetworkAddDeleteTenantArpModeChangeVLAN', async () => {
    // As the mode was is how the test before has been.
    await lab.object('globals/global', { name: 'global', arpMode: 'flood' });
    await tenants(1);
    await lab.object('globals/global', { name: 'global', arpMode: 'proxy' });
    await nothingLeft();
  });

  test('TestTriggerNetpluginUplinkUpgrade', async () => {
    await network('default', 'private', 1001, ten(1));
    const made = await onAllHosts('networks/default:private', [ten(1)], { tenant: 'default', network: 'private' });
    const containers = await spread(made);
    await allReach(containers);
    const [first] = lab.hosts as [LabHost];
    const upgrade = async (uplink: string, script: string) => {
      await first.stopAgent();
      await lab.sh(`ip -n ${first.name} -batch - <<END\n${script}\nEND`);
      await first.startAgent(uplink);
      // What the other uplink had would close a loop.
      await waitFor(`${first.name} to have one VLAN only`, async () => {
        const left = await lab.sh(`ip -n ${first.name} -o link show type vlan`);
        return left.trim().split('\n').length === 1 && left.includes(` ${uplink}.1001@`);
      });
      await allReach(containers);
    };
    await upgrade(
      'bond0',
      `link add bond0 type bond mode active-backup miimon 100
      link set eth1 down
      link set eth1 master bond0
      link set eth2 master bond0
      link set bond0 up`,
    );
    const more = await spread(made);
    await allReach([...containers, ...more]);
    await upgrade('eth1', 'link set eth1 nomaster\nlink set eth2 down\nlink set eth2 nomaster\nlink set bond0 down');
    await removeAll([...containers, ...more]);
    await gone(made);
    await nothingLeft();
  });
});
