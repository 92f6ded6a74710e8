/** Virtual functions of a NIC, in a tree as /sys/bus/pci/devices has it: no machine of these tests has such a NIC. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { HostLink } from '../../../kernel/kernel.ts';
import { parseMac } from '../../../model/mac.ts';
import type { Endpoint, Network } from '../../../model/network.ts';
import { checkBinding, endpointWiring, networkWiring, sourceLink } from '../binding.ts';
import type { Binding } from '../records.ts';
import { planVirtualFunction } from './virtual-function.ts';

const root = mkdtempSync(join(tmpdir(), 'berth-pci-'));
after(() => rmSync(root, { recursive: true }));

const NIC = '0000:03:00.0';
const functions = ['0000:03:10.0', '0000:03:10.2', '0000:03:10.4'] as const;
for (const [device, name] of [
  [NIC, 'eth4'],
  [functions[0], 'eth4v0'],
  [functions[1], 'eth4v1'],
] as const)
  mkdirSync(join(root, device, 'net', name), { recursive: true });
mkdirSync(join(root, functions[2]));
for (const [number, device] of functions.entries()) {
  symlinkSync(`../${NIC}`, join(root, device, 'physfn'));
  symlinkSync(`../${device}`, join(root, NIC, `virtfn${number}`));
}

const mac = parseMac('52:54:00:00:00:01')!;
const links = [
  { name: 'eth4v0', mac, mtu: 1500, up: false, master: 'br0' },
  { name: 'eth4v1', mac, mtu: 1500, up: true, alias: 'mine' },
] as unknown as readonly HostLink[];
const binding = (slot: string | undefined, vlan: Binding['details'][string] = '120'): Binding => ({
  type: 'hw_veb',
  nic: 'direct',
  details: { vlan, port_filter: false },
  ...(slot && { slot }),
});
const plan = (slot: string | undefined, vlan?: Binding['details'][string]) =>
  planVirtualFunction(binding(slot, vlan), links, root);

describe('a virtual function', () => {
  it('is found by its slot, with the NIC that it is of, its number, and how it was', async () => {
    const expected = {
      physical: 'eth4',
      number: 1,
      vlan: 120,
      nic: 'eth4v1',
      before: { mac, mtu: 1500, up: true, alias: 'mine' },
    };
    assert.deepEqual(await plan(functions[1]), expected);
    assert.deepEqual(await plan(functions[1].toUpperCase(), 0), { ...expected, vlan: 0 });
  });

  const refused = [
    [undefined, 'INTERFACE_UNKNOWN', /pci_slot/],
    ['../../etc', 'INTERFACE_UNKNOWN', /pci_slot/],
    ['0000:09:00.0', 'INTERFACE_UNKNOWN', /no PCI device 0000:09:00.0/],
    [NIC, 'INTERFACE_UNSUITABLE', /no virtual function/],
    [functions[0], 'INTERFACE_UNSUITABLE', /port of br0/],
    [functions[2], 'INTERFACE_UNSUITABLE', /in a container, or its driver is for a virtual machine/],
  ] as const;
  for (const [slot, code, message] of refused)
    it(`is refused: ${slot ?? 'none'}`, () => assert.rejects(plan(slot), { code, message }));

  it('goes into the container, and its NIC is told its MAC address and VLAN', async () => {
    const own = parseMac('02:00:00:00:00:07')!;
    const network = {
      settings: { network: 'n1', mtu: 1450, interfacePrefix: 'eth', subnets: [] },
    } as unknown as Network;
    const endpoint = {
      id: 'e'.repeat(64),
      mac: own,
      settings: { port: 'p1', vif: binding(functions[1]), virtualFunction: await plan(functions[1]) },
    } as unknown as Endpoint;
    assert.equal(sourceLink(endpoint), 'eth4v1');
    assert.deepEqual(networkWiring(network, [endpoint]), []);
    const [told, nic, ...others] = endpointWiring(network, endpoint);
    assert.deepEqual(told, { kind: 'virtual-function', link: 'eth4', number: 1, mac: own, vlan: 120 });
    assert.ok(nic?.kind === 'link' && nic.type === 'nic' && nic.name === 'eth4v1' && nic.plugged === 'somewhere');
    assert.equal(nic.before.alias, 'mine');
    assert.deepEqual(others, []);
  });

  it('is nothing that a machine would have instead', () => {
    checkBinding(binding(functions[1]), 'h1', false, []);
    for (const nic of ['macvtap', 'direct-physical', 'normal'])
      assert.throws(() => checkBinding({ ...binding(functions[1]), nic }, 'h1', false, []), {
        code: 'PORT_UNSUPPORTED',
      });
  });
});
