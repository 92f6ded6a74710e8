/** Which kernel objects stand for a port, by how Neutron binds it. That they work is shown end to end. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KernelObject } from '../../../kernel/objects.ts';
import { parseMac } from '../../../model/mac.ts';
import type { Endpoint, Json, Network } from '../../../model/network.ts';
import { checkBinding, endpointWiring, networkWiring, sourceLink } from '../binding.ts';

const port = '12345678-9abc-def0-1234-56789abcdef0';
const network = {
  settings: { network: 'fedcba98-7654-3210-fedc-ba9876543210', mtu: 1450, interfacePrefix: 'eth', subnets: [] },
} as unknown as Network;
const endpointOf = (type: string, details: Json = {}, more: object = {}) =>
  ({
    id: 'e'.repeat(64),
    mac: parseMac('02:00:00:00:00:07')!,
    settings: { port, vif: { type, details, nic: 'normal' } },
    ...more,
  }) as unknown as Endpoint;

const named = (objects: readonly KernelObject[]) =>
  Object.fromEntries(objects.map((object) => [`${object.kind} ${'name' in object ? object.name : ''}`, object]));

describe('bridge', () => {
  it('is a port of the bridge that the network has for all', () => {
    const endpoint = endpointOf('bridge');
    const [bridge, ...others] = networkWiring(network, [endpoint, endpointOf('bridge'), endpointOf('ovs')]);
    assert.deepEqual(others, []);
    assert.ok(bridge?.kind === 'link' && bridge.type === 'bridge' && bridge.common === true);
    assert.deepEqual([bridge.name, bridge.mtu], ['brqfedcba98-76', 1450]);
    const { 'link tap12345678-9a': tap } = named(endpointWiring(network, endpoint));
    assert.ok(tap?.kind === 'link' && tap.type === 'veth');
    assert.deepEqual([tap.master, tap.mtu, tap.peer.mtu, tap.peer.name], [bridge.name, 1450, 1450, 't_c12345678-9a']);
    assert.equal(sourceLink(endpoint), 't_c12345678-9a');
  });

  it('has its other end made in the container, once that is known', () => {
    const [tap] = endpointWiring(network, endpointOf('bridge', {}, { sandbox: '/run/ns', sandboxInterface: 'eth0' }));
    assert.ok(tap?.kind === 'link' && tap.type === 'veth');
    assert.deepEqual([tap.peer.netns, tap.peer.name], ['/run/ns', 'eth0']);
  });
});

describe('ovs', () => {
  it('is a port of br-int, known by the id of the port, whose tag is nobody’s but the agent’s', () => {
    const objects = named(endpointWiring(network, endpointOf('ovs')));
    assert.deepEqual(Object.keys(objects), ['link tap12345678-9a', 'ovs-port tap12345678-9a']);
    const found = objects['ovs-port tap12345678-9a'];
    assert.ok(found?.kind === 'ovs-port');
    assert.deepEqual(Object.keys(found), ['kind', 'name', 'bridge', 'externalIds']);
    assert.equal(found.bridge, 'br-int');
    assert.equal(found.externalIds['iface-id'], port);
    assert.deepEqual(networkWiring(network, [endpointOf('ovs')]), []);
  });

  it('is of the bridge that the details name', () => {
    const found = endpointWiring(network, endpointOf('ovs', { bridge_name: 'br-trunk7' })).at(-1);
    assert.ok(found?.kind === 'ovs-port' && found.bridge === 'br-trunk7');
  });

  it('computes checksums for the datapath in user space only', () => {
    const checksum = (details: Json) => {
      const tap = named(endpointWiring(network, endpointOf('ovs', details)))['link tap12345678-9a'];
      return tap?.kind === 'link' && tap.type === 'veth' ? tap.peer.txChecksum : 'no pair';
    };
    assert.equal(checksum({ datapath_type: 'netdev' }), false);
    assert.equal(checksum({ datapath_type: 'netdev', ovs_hybrid_plug: true }), false);
    assert.equal(checksum({ datapath_type: 'system' }), undefined);
  });

  it('has a bridge in between where the agent filters with iptables', () => {
    const objects = named(endpointWiring(network, endpointOf('ovs', { ovs_hybrid_plug: true })));
    assert.deepEqual(Object.keys(objects), [
      'link qbr12345678-9a',
      'link qvb12345678-9a',
      'link qvo12345678-9a',
      'link tap12345678-9a',
      'ovs-port qvo12345678-9a',
    ]);
    for (const name of ['tap', 'qvb']) {
      const link = objects[`link ${name}12345678-9a`];
      assert.ok(link?.kind === 'link' && link.master === 'qbr12345678-9a' && link.mtu === 1450);
    }
  });
});

describe('in a virtual machine', () => {
  const inside = (nested: object, more: object = {}) => {
    const endpoint = endpointOf('unbound', {}, more);
    return { ...endpoint, settings: { ...(endpoint.settings as object), nested } } as unknown as Endpoint;
  };
  const card = { parent: 'eth0', mtu: 1400 };

  it('a container has a link on its card, which the engine moves', () => {
    for (const driver of ['macvlan', 'ipvlan', 'vlan']) {
      const endpoint = inside({ driver, ...card, vlan: 77 });
      const [link, ...others] = endpointWiring(network, endpoint);
      assert.deepEqual(others, []);
      assert.ok(link?.kind === 'link' && 'parent' in link && 'plugged' in link);
      assert.deepEqual(
        [link.type, link.parent, link.mtu, link.plugged, link.name],
        [driver, 'eth0', 1400, 'somewhere', sourceLink(endpoint)],
      );
      // One that shares its parent's cannot be given another.
      assert.equal(link.mac, driver === 'ipvlan' ? undefined : endpoint.mac);
    }
  });

  it('nothing else is needed, and the link is missed where it has been put', () => {
    const endpoint = inside({ driver: 'vlan', ...card, vlan: 77 }, { sandbox: '/run/ns', sandboxInterface: 'eth0' });
    assert.deepEqual(networkWiring(network, [endpoint]), []);
    const [link] = endpointWiring(network, endpoint);
    assert.ok(link?.kind === 'link' && link.type === 'vlan' && link.vlan === 77);
    assert.deepEqual(link.plugged, { netns: '/run/ns', name: 'eth0' });
  });
});

describe('a port that cannot be wired', () => {
  const binding = (type: string, nic = 'normal') => ({ type, details: {}, nic });

  it('is told with the host and its agents when nobody has bound it', () => {
    for (const type of ['unbound', 'binding_failed'])
      assert.throws(() => checkBinding(binding(type), 'h9', true, ['Open vSwitch agent (not alive)']), {
        code: 'PORT_UNBOUND',
        message: /on the host 'h9' .*Open vSwitch agent \(not alive\)/,
      });
    assert.throws(() => checkBinding(binding('unbound'), 'h9', false, []), { message: /no agent there/ });
  });

  it('is told when it is of another kind', () => {
    assert.throws(() => checkBinding(binding('vhostuser'), 'h1', false, []), { code: 'PORT_UNSUPPORTED' });
    // Of a switch in the NIC: a pair would be a port that nothing comes in at.
    assert.throws(() => checkBinding(binding('ovs', 'direct'), 'h1', true, []), { code: 'PORT_UNSUPPORTED' });
    for (const type of ['bridge', 'ovs', 'tap']) checkBinding(binding(type), 'h1', false, []);
    checkBinding(binding('midonet'), 'h1', true, []);
  });
});
