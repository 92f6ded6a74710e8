/** What Neutron is asked for containers in a virtual machine, and what happens when somebody else is quicker. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HeldPort } from '../../fabric/neutron/port-state.ts';
import type { Fastened } from '../../fabric/neutron/records.ts';
import type { HostLink } from '../../kernel/kernel.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId, PoolId } from '../../model/ids.ts';
import { parseMac } from '../../model/mac.ts';
import { parseInterfaceAddress } from '../../model/prefix.ts';
import { within } from '../../openstack/bounds.ts';
import type { Port } from '../../openstack/neutron/objects.ts';
import { createNested, type NestedConfig, type NestedParts, unfasten } from './nested.ts';

const card = parseMac('fa:16:3e:00:00:01')!;
const own = parseMac('02:00:00:00:00:07')!;
const links = [{ index: 2, name: 'eth0', mac: card, mtu: 1400 }] as unknown as readonly HostLink[];
const pair = (ip_address: string, mac_address: string = own) => ({ ip_address, mac_address });
const port: HeldPort = {
  key: 'k',
  phase: 'held',
  origin: 'created',
  network: 'a'.repeat(64) as NetworkId,
  port: 'p1',
  mac: own,
  addresses: [{ pool: 'x' as PoolId, on: parseInterfaceAddress('10.0.0.7/24')!, taken: true }],
  binding: { type: 'unbound', details: {}, nic: 'normal' },
  createdAt: 0,
};

/** The machine's port, which somebody else changes right before our first change where `disturbed`. */
function machine(given: Partial<Port>, disturbed?: (port: Port) => Port) {
  let current = { id: 'm1', name: '', network_id: 'n1', mac_address: card, revision_number: 1, ...given } as Port;
  const calls: string[] = [];
  let disturbance = disturbed;
  const disturb = () => {
    if (disturbance === undefined) return;
    current = { ...disturbance(current), revision_number: current.revision_number! + 1 };
    disturbance = undefined;
  };
  const ports = {
    list: () => Promise.resolve([current]),
    get: () => Promise.resolve(current),
    update(id: string, change: object, { ifRevision }: { ifRevision?: number } = {}) {
      calls.push(`PUT ${id} ${JSON.stringify(change)}`);
      if (id !== 'm1') return Promise.resolve(current);
      disturb();
      if (ifRevision !== undefined && ifRevision !== current.revision_number)
        return Promise.reject(new BerthError('NEUTRON_CHANGED', 'another revision'));
      current = { ...current, ...change, revision_number: current.revision_number! + 1 };
      return Promise.resolve(current);
    },
  };
  const subports = () => current.trunk_details!.sub_ports;
  const trunks = {
    addSubports(trunk: string, [wanted]: { port_id: string; segmentation_id: number }[]) {
      disturb();
      calls.push(`add to ${trunk}`);
      if (subports().some(({ segmentation_id }) => segmentation_id === wanted!.segmentation_id))
        return Promise.reject(
          new BerthError('NEUTRON_CONFLICT', 'taken', { cause: { type: 'DuplicateSubPort', mayBeDone: false } }),
        );
      subports().push({ ...wanted!, segmentation_type: 'vlan', mac_address: undefined });
      return Promise.resolve({});
    },
    removeSubports(trunk: string, [id]: string[]) {
      calls.push(`remove ${id} from ${trunk}`);
      const at = subports().findIndex(({ port_id }) => port_id === id);
      if (at >= 0) subports().splice(at, 1);
      return at >= 0
        ? Promise.resolve({})
        : Promise.reject(new BerthError('NEUTRON_NOT_FOUND', 'none', { cause: { status: 404, mayBeDone: false } }));
    },
  };
  return {
    neutron: { ports, trunks } as unknown as NestedParts['neutron'],
    calls,
    pairs: () => current.allowed_address_pairs,
    subports,
  };
}

function nestedIn(neutron: NestedParts['neutron'], driver: NestedConfig['driver']) {
  const written: (Fastened | undefined)[] = [];
  const ports = {
    fasten: (_key: string, fastened: Fastened | undefined) => Promise.resolve(void written.push(fastened)),
  };
  return { ...createNested({ driver, link: 'eth0', neutron, ports }), written };
}
const settings = { network: 'n1', mtu: 1450 };
const bounds = () => within(5000);

describe('macvlan and ipvlan', () => {
  it('let the address through at the port of the machine, beside what it had, and take only that away again', async () => {
    const { neutron, pairs, calls } = machine({ allowed_address_pairs: [pair('10.0.0.9')] });
    const { fasten, written } = nestedIn(neutron, 'macvlan');
    assert.deepEqual(await fasten(port, settings, links, bounds()), { driver: 'macvlan', parent: 'eth0', mtu: 1400 });
    assert.deepEqual(pairs(), [pair('10.0.0.9'), pair('10.0.0.7')]);
    assert.deepEqual(written, [{ by: 'pairs', port: 'm1', pairs: [pair('10.0.0.7')] }]);
    const [fastened] = written as [Extract<Fastened, { by: 'pairs' }>];
    await unfasten(neutron, 'p1', fastened, bounds());
    assert.deepEqual(pairs(), [pair('10.0.0.9')]);
    await unfasten(neutron, 'p1', fastened, bounds());
    assert.equal(calls.length, 2, 'what is gone is not asked for again');
  });

  it('share the MAC address of the card with ipvlan only', async () => {
    const { neutron, pairs } = machine({});
    const { fasten, sharedMac } = nestedIn(neutron, 'ipvlan');
    assert.equal(sharedMac(links), card);
    assert.equal(nestedIn(neutron, 'macvlan').sharedMac(links), undefined);
    await fasten(port, settings, links, bounds());
    assert.deepEqual(pairs(), [pair('10.0.0.7', card)]);
  });

  it('keep what somebody else enters at the same moment', async () => {
    const theirs = pair('10.0.0.66');
    const { neutron, pairs, calls } = machine({}, (now) => ({ ...now, allowed_address_pairs: [theirs] }));
    await nestedIn(neutron, 'macvlan').fasten(port, settings, links, bounds());
    assert.deepEqual(pairs(), [theirs, pair('10.0.0.7')]);
    assert.equal(calls.length, 2);
  });

  it('leave a pair that was there already', async () => {
    const { neutron, calls } = machine({ allowed_address_pairs: [pair('10.0.0.7')] });
    const { fasten, written } = nestedIn(neutron, 'macvlan');
    await fasten(port, settings, links, bounds());
    assert.deepEqual([calls, written], [[], []]);
  });

  it('are refused on another network than the machine’s, and without the card', async () => {
    const { fasten, written } = nestedIn(machine({ network_id: 'other' }).neutron, 'macvlan');
    await assert.rejects(fasten(port, settings, links, bounds()), { code: 'NEUTRON_NOT_FOUND', message: /network n1/ });
    await assert.rejects(fasten(port, settings, [], bounds()), { code: 'INTERFACE_UNKNOWN', message: /eth0/ });
    assert.deepEqual(written, []);
  });
});

describe('vlan', () => {
  const trunk = (...taken: number[]) => ({
    trunk_details: {
      trunk_id: 't1',
      sub_ports: taken.map((segmentation_id) => ({
        port_id: `o${segmentation_id}`,
        segmentation_type: 'vlan',
        segmentation_id,
        mac_address: undefined,
      })),
    },
  });
  const allBut = (...free: number[]) =>
    Array.from({ length: 4094 }, (_, index) => index + 1).filter((vlan) => !free.includes(vlan));

  it('makes it a subport of the trunk with a VLAN that is free there now, and none again', async () => {
    const { neutron, calls, subports } = machine(trunk(...allBut(77)));
    const { fasten, written } = nestedIn(neutron, 'vlan');
    const made = await fasten(port, settings, links, bounds());
    assert.deepEqual(made, { driver: 'vlan', parent: 'eth0', mtu: 1400, vlan: 77 });
    assert.deepEqual(written, [{ by: 'trunk', trunk: 't1' }]);
    assert.deepEqual(calls, ['PUT p1 {"device_id":""}', 'add to t1']);
    // Repeated, it is that one.
    assert.equal((await fasten(port, settings, links, bounds())).vlan, 77);
    const fastened = { by: 'trunk', trunk: 't1' } as const;
    await unfasten(neutron, 'p1', fastened, bounds());
    await unfasten(neutron, 'p1', fastened, bounds());
    assert.equal(subports().length, 4093);
  });

  it('takes another VLAN when somebody else was quicker', async () => {
    const { neutron, calls } = machine(trunk(...allBut(77)), (now) => ({ ...now, ...trunk(...allBut(78)) }));
    assert.equal((await nestedIn(neutron, 'vlan').fasten(port, settings, links, bounds())).vlan, 78);
    assert.deepEqual(calls.slice(1), ['add to t1', 'add to t1']);
  });

  it('is refused where the machine has no trunk, or its trunk is full', async () => {
    const none = nestedIn(machine({}).neutron, 'vlan');
    await assert.rejects(none.fasten(port, settings, links, bounds()), {
      code: 'NEUTRON_NOT_FOUND',
      message: /of a trunk/,
    });
    const full = nestedIn(machine(trunk(...allBut())).neutron, 'vlan');
    await assert.rejects(full.fasten(port, settings, links, bounds()), { code: 'NEUTRON_QUOTA' });
  });
});
