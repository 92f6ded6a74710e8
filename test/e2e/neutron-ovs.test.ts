/** Ports of a real Neutron in a real Open vSwitch, and those that a program of the administrator's wires. What the agent does is done by the test. */

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { waitFor } from './bed/process.ts';
import { addressOf, cannotReach, dockerFails, enter, reaches, start } from './suites/containers.ts';
import {
  auditIsClean,
  BINDIR,
  createNetwork,
  NETDEV,
  noPorts,
  onlyLinks,
  onlyPort,
  portsOf,
  removeNetwork,
  restartWith,
  setBindingStage,
  short,
} from './suites/neutron-binding.ts';

const stage = setBindingStage();

describe('ovs', () => {
  const wiredAs = (configurations: Readonly<Record<string, unknown>>) =>
    stage().stack.addFakeAgent('h2', { kind: 'ovs', configurations: { ...NETDEV, ...configurations } });
  const portIn = async (bridge: string, name: string) =>
    (await stage().ovs.vsctl('list-ports', bridge)).split('\n').includes(name);
  const none = () =>
    waitFor('no port to be left in the switch', async () => {
      const lists = await Promise.all(['br-int', 'br-other'].map((bridge) => stage().ovs.vsctl('list-ports', bridge)));
      return lists.join('') === '';
    });

  test('plain: the port has its id, the agent’s VLAN is not contradicted, and a lost port comes back', async () => {
    const { stack, h2, ovs } = stage();
    const network = await createNetwork(stack, h2, 'blue', '10.41.0.0/24');
    await start(h2, 'ca', '--network blue');
    const { id, mac_address, ...bound } = await onlyPort(stack, network);
    assert.equal(bound['binding:vif_type'], 'ovs');
    const tap = `tap${short(id)}`;
    assert.ok(await portIn('br-int', tap));
    const ids = await ovs.vsctl('get', 'interface', tap, 'external_ids');
    for (const [name, value] of [
      ['iface-id', id],
      ['attached-mac', mac_address],
      ['iface-status', 'active'],
    ])
      assert.match(ids, new RegExp(`${name}="?${value}`));
    await start(h2, 'cb', '--network blue');
    await start(h2, 'cc', '--network blue', 'httpd -f -p 80 -h /bin');
    const [b, c] = [await addressOf(h2, 'cb'), await addressOf(h2, 'cc')];
    await reaches([h2, 'ca'], b);
    // Segments with checksums that somebody has computed.
    const { stdout } = await enter(h2, 'ca', 'busybox', 'sh', '-c', `busybox wget -q -O - http://${c}/busybox | wc -c`);
    assert.ok(Number(stdout) > 500_000, stdout);

    // As the agent separates networks on one host.
    const tapOf = async (address: string) => {
      const found = (await portsOf(stack, network)).find(({ fixed_ips }) => fixed_ips[0]!.ip_address === address);
      return `tap${short(found!.id)}`;
    };
    const tags = [
      [tap, 5],
      [await tapOf(b), 6],
      [await tapOf(c), 5],
    ] as const;
    for (const [name, tag] of tags)
      await ovs.vsctl('set', 'port', name, `tag=${tag}`, `other_config:net_uuid=${network}`);
    await cannotReach([h2, 'ca'], b);
    await reaches([h2, 'ca'], c);
    await auditIsClean(h2);
    await restartWith(stack, h2);
    await auditIsClean(h2);
    for (const [name, tag] of tags) assert.equal(await ovs.vsctl('get', 'port', name, 'tag'), String(tag));

    await ovs.vsctl('del-port', 'br-int', tap);
    await waitFor('the port to come back', () => portIn('br-int', tap));
    await ovs.vsctl('set', 'port', tap, 'tag=5');
    await reaches([h2, 'ca'], c);
    await h2.docker('rm', '-f', 'ca', 'cb', 'cc');
    await noPorts(stack, network);
    await none();
    await onlyLinks(h2);
    await removeNetwork(stack, h2, 'blue', network);
  });

  test('hybrid: a bridge in between, for iptables', async () => {
    const { stack, h2 } = stage();
    wiredAs({ ovs_hybrid_plug: true });
    const network = await createNetwork(stack, h2, 'mixed', '10.42.0.0/24');
    await start(h2, 'ca', '--network mixed');
    const id = short((await onlyPort(stack, network)).id);
    await onlyLinks(h2, `qbr${id}`, `qvb${id}`, `qvo${id}`, `tap${id}`);
    assert.ok(await portIn('br-int', `qvo${id}`));
    await start(h2, 'cb', '--network mixed');
    await reaches([h2, 'ca'], await addressOf(h2, 'cb'));
    await auditIsClean(h2);
    await h2.net(['ip', 'link', 'del', `qvb${id}`]);
    await waitFor('the pair to come back, with its port', async () => {
      const { stdout } = await h2.net(['ip', '-o', 'link', 'show', `qvb${id}`], { check: false });
      return stdout.includes(`master qbr${id}`) && (await portIn('br-int', `qvo${id}`));
    });
    await reaches([h2, 'ca'], await addressOf(h2, 'cb'));
    await auditIsClean(h2);
    await h2.docker('rm', '-f', 'ca', 'cb');
    await noPorts(stack, network);
    await none();
    await onlyLinks(h2);
    await removeNetwork(stack, h2, 'mixed', network);
  });

  test('another bridge, as the agent says', async () => {
    const { stack, h2 } = stage();
    wiredAs({ integration_bridge: 'br-other' });
    const network = await createNetwork(stack, h2, 'other', '10.43.0.0/24');
    await start(h2, 'ca', '--network other');
    const { id } = await onlyPort(stack, network);
    assert.ok(await portIn('br-other', `tap${short(id)}`));
    await h2.docker('rm', '-f', 'ca');
    await noPorts(stack, network);
    await none();
    await removeNetwork(stack, h2, 'other', network);
  });

  test('a type that Berth does not wire goes to the program of that name, and is undone when that fails', async () => {
    const { stack, h2 } = stage();
    const dpdk = { iface_types: ['dpdkvhostuser'] };
    wiredAs({ ovs_capabilities: dpdk });
    const network = await createNetwork(stack, h2, 'odd', '10.44.0.0/24');
    const run = async () => dockerFails(h2, `run --rm --network odd ${await h2.image()} true`);
    assert.match(await run(), /as 'vhostuser' \(normal\), which Berth cannot wire/);
    await noPorts(stack, network);

    await restartWith(stack, h2);
    await mkdir(h2.path(BINDIR), { recursive: true });
    const program = (text: string) =>
      writeFileSync(h2.path(`${BINDIR}/vhostuser`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const calls = async () => (await readFile(h2.path('/etc/calls'), 'utf8')).trim().split('\n');
    const tell = 'for each; do printf "%s|" "$each"; done >>/etc/calls; echo >>/etc/calls';
    program(`${tell}\n[ "$1" = unbind ] || { echo "no such switch" >&2; exit 4; }`);
    assert.match(await run(), /vhostuser bind of the port .* failed with status 4: no such switch/);
    await noPorts(stack, network);
    await onlyLinks(h2);
    assert.deepEqual(
      (await calls()).map((line) => line.split('|')[0]),
      ['bind', 'unbind'],
    );

    // It finds the link, and plugs it in its own way.
    program(`${tell}\ncase $1 in
      bind) ovs-vsctl --timeout=5 add-port br-int "$3" || exit 1 ;;
      unbind) ip link show "$3" >/dev/null && ovs-vsctl --timeout=5 del-port br-int "$3" ;;
    esac`);
    const id = await h2.docker('run', '-d', '--name', 'ca', '--network', 'odd', await h2.image(), 'sleep', '1000000');
    const port = await onlyPort(stack, network);
    const tap = `tap${short(port.id)}`;
    assert.ok(await portIn('br-int', tap));
    await auditIsClean(h2);
    const { project_id } = await stack.neutron.get<{ project_id: string }>(`/ports/${port.id}`);
    const [, , bind] = await calls();
    const endpoint = (
      JSON.parse(await h2.docker('inspect', id)) as {
        NetworkSettings: { Networks: Record<string, { EndpointID: string }> };
      }[]
    )[0]!.NetworkSettings.Networks.odd!.EndpointID;
    const words = bind!.split('|');
    assert.deepEqual(words.slice(0, 7), ['bind', port.id, tap, endpoint, port.mac_address, network, project_id]);
    assert.match(words[7]!, /^\{.*'datapath_type': 'netdev'.*\}$/);
    await h2.docker('rm', '-f', 'ca');
    await noPorts(stack, network);
    await none();
    await onlyLinks(h2);
    const [, , , unbind, ...others] = await calls();
    assert.deepEqual(others, []);
    const undone = unbind!.split('|');
    assert.deepEqual(undone.slice(0, 5), ['unbind', port.id, tap, endpoint, port.mac_address]);
    assert.deepEqual(undone.slice(5, 7), [words[7], network]);
    wiredAs({});
    await removeNetwork(stack, h2, 'odd', network);
  });
});
