/**
 * `hw_veb`: the port is a virtual function of a NIC (SR-IOV), which goes into the container whole. The NIC is told which MAC address it
 * may send with, and puts its frames into the VLAN of the network; no switch of the host's is in between.
 */

import { readdir, readlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { HostLink } from '../../../kernel/kernel.ts';
import { BerthError } from '../../../model/errors.ts';
import { endpointAlias, pluggedAt } from '../../veth.ts';
import type { Binding } from '../records.ts';
import { endpointSettings, networkSettings, type VirtualFunctionSettings } from '../settings.ts';
import type { Wiring } from './wiring.ts';

export const virtualFunction: Wiring = {
  endpoint(network, endpoint) {
    const { physical, number, vlan, nic, before } = endpointSettings(endpoint).virtualFunction!;
    return [
      { kind: 'virtual-function', link: physical, number, mac: endpoint.mac, vlan },
      {
        kind: 'link',
        type: 'nic',
        name: nic,
        mtu: networkSettings(network).mtu,
        alias: endpointAlias(endpoint),
        plugged: pluggedAt(endpoint),
        before,
      },
    ];
  },
  sourceLink: (endpoint) => endpointSettings(endpoint).virtualFunction!.nic,
};

/** Domain, bus, device and function on the PCI bus. */
const SLOT = /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;

/**
 * The function that a port is to have, as it is now.
 *
 * @param links of this host. @param root Documentation/ABI/testing/sysfs-bus-pci
 * @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE
 */
export async function planVirtualFunction(
  { slot, details }: Binding,
  links: readonly HostLink[],
  root = '/sys/bus/pci/devices',
): Promise<VirtualFunctionSettings> {
  if (slot === undefined || !SLOT.test(slot))
    throw new BerthError(
      'INTERFACE_UNKNOWN',
      `the port does not say which function of a NIC it is to have: binding:profile needs pci_slot, such as 0000:03:10.1`,
    );
  const device = join(root, slot.toLowerCase());
  const fail = (why: string) => new BerthError('INTERFACE_UNSUITABLE', `the PCI device ${slot} ${why}`);
  const entries = await readdir(device).catch(() => undefined);
  if (entries === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no PCI device ${slot} on this host`);
  if (!entries.includes('physfn')) throw fail('is no virtual function of a NIC');
  const [physical] = await interfacesOf(join(device, 'physfn'));
  if (physical === undefined) throw fail('is of a NIC that has no interface here');
  const number = await numberOf(slot, join(device, 'physfn'));
  if (number === undefined) throw fail(`is not among the functions of ${physical}`);
  // Those of other namespaces are not shown.
  const [nic] = await interfacesOf(device);
  const link = links.find(({ name }) => name === nic);
  if (nic === undefined || link?.mac === undefined)
    throw fail('has no interface here: it is in a container, or its driver is for a virtual machine (vfio-pci)');
  if (link.master !== undefined) throw fail(`cannot be given to a container: ${nic} is a port of ${link.master}`);
  const vlan = Number(details.vlan ?? 0);
  const { mac, mtu, up, alias = '' } = link;
  return {
    physical,
    number,
    vlan: Number.isInteger(vlan) && vlan > 0 && vlan < 4095 ? vlan : 0,
    nic,
    before: { mac, mtu, up, alias },
  };
}

const interfacesOf = (device: string): Promise<readonly string[]> =>
  readdir(join(device, 'net')).then(
    (names) => names.toSorted(),
    () => [],
  );

/** The NIC's device has a link to each of its functions: `virtfn0`, `virtfn1`, … */
async function numberOf(slot: string, physical: string): Promise<number | undefined> {
  for (const name of await readdir(physical)) {
    const number = /^virtfn([0-9]+)$/.exec(name)?.[1];
    if (number === undefined) continue;
    const target = await readlink(join(physical, name)).catch(() => '');
    if (basename(target) === slot.toLowerCase()) return Number(number);
  }
  return undefined;
}
