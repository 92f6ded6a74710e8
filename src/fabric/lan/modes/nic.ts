/**
 * A whole NIC, or a virtual function of one (SR-IOV), goes into the container and comes back as it was. Nothing of the host's
 * is between the container and the wire.
 */

import * as z from 'zod';
import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import { BerthError } from '../../../model/errors.ts';
import { type Mac, parseMac } from '../../../model/mac.ts';
import type { Endpoint, Json } from '../../../model/network.ts';
import { printable } from '../../options.ts';
import { endpointAlias, pluggedAt } from '../../veth.ts';
import type { LanMode } from '../mode.ts';
import { readCommon } from '../options.ts';
import type { NicSettings } from '../settings.ts';

/** What a container has taken, and how it was: so it goes back. */
const Taken = z.object({
  nic: z.string(),
  mac: z.string().transform((text) => parseMac(text)!),
  mtu: z.number(),
  up: z.boolean(),
  alias: z.string(),
});

const Lent = z.object({ lent: Taken });

const takenBy = (settings: Json) => Lent.parse(settings).lent;

export const nic: LanMode<NicSettings> = {
  name: 'nic',
  options: [
    {
      name: 'nic',
      values: 'names, PCI addresses or MAC addresses, separated by commas',
      default: 'none',
      help: 'The NICs, or virtual functions, that containers get: each takes the first that is free, such as `eth2`, `0000:03:00.1` or `52:54:00:12:34:56`. A NIC with an address of the host is refused.',
    },
  ],

  plan({ options, host }) {
    if (options.has('parent'))
      throw new BerthError('BAD_OPTION', "the option 'parent' does not go with mode=nic: name the NICs with -o nic=");
    if (options.has('vlan')) {
      throw new BerthError(
        'BAD_OPTION',
        "the option 'vlan' does not go with mode=nic: that of a virtual function is set where it belongs, as in 'ip link set eth2 vf 0 vlan 120', and of a whole NIC use -o mode=macvlan -o vlan=",
      );
    }
    const nics = (options.get('nic') ?? '')
      .split(',')
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .map((text) => parseMac(text) ?? text);
    if (nics.length === 0) throw new BerthError('BAD_OPTION', 'mode=nic needs the NICs to give: -o nic=');
    for (const name of nics) {
      const link = named(name, host);
      if (link !== undefined) checkFree(link, host);
      // One that a container has at the moment is not here.
      else if (nics.length === 1) throw unknown(name);
    }
    return { ...readCommon(options), mode: 'nic', nics };
  },

  wire: () => undefined,
  check: () => undefined,
  mtu: () => undefined,

  planEndpoint({ settings }, context) {
    const others = context.networks.flatMap(({ id, fabric }) => (fabric === 'lan' ? context.endpointsOf(id) : []));
    const taken = new Set(others.flatMap((endpoint) => Lent.safeParse(endpoint.settings).data?.lent.nic ?? []));
    const here = settings.nics.flatMap((name) => named(name, context.host) ?? []);
    const link = here.find(({ name }) => !taken.has(name));
    if (link === undefined) {
      if (here.length === 0 && taken.size === 0) throw unknown(settings.nics.join(', '));
      throw new BerthError(
        'INTERFACE_UNSUITABLE',
        `each NIC of this network (${settings.nics.join(', ')}) is in a container, or not there`,
      );
    }
    checkFree(link, context.host);
    return { lent: { nic: link.name, mac: link.mac!, mtu: link.mtu, up: link.up, alias: link.alias ?? '' } };
  },

  defaultMac: (settings): Mac => takenBy(settings).mac,

  sourceLink: (endpoint) => takenBy(endpoint.settings).nic,

  network: () => [],

  endpoint: ({ settings }, endpoint: Endpoint) => {
    const { nic: name, ...before } = takenBy(endpoint.settings);
    return [
      {
        kind: 'link',
        type: 'nic',
        name,
        ...(settings.mtu === undefined ? {} : { mtu: settings.mtu }),
        alias: endpointAlias(endpoint),
        plugged: pluggedAt(endpoint),
        before,
      },
    ];
  },
};

/** By its name, its MAC address, or the address of its device on the PCI bus. */
function named(text: string, host: HostView): HostLink | undefined {
  return host.links.find(({ name, mac, device }) => name === text || mac === text || device === text.toLowerCase());
}

/** Kinds of links that stand on another, and would be left in the air. */
const stacked: ReadonlySet<string> = new Set(['vlan', 'macvlan', 'ipvlan', 'macvtap']);

/** @throws BerthError INTERFACE_UNSUITABLE */
function checkFree({ index, name, mac, loopback, master, type }: HostLink, host: HostView): void {
  const fail = (why: string) =>
    new BerthError('INTERFACE_UNSUITABLE', `${name} cannot be given to a container: ${why}`);
  if (loopback || mac === undefined) throw fail('it is no Ethernet interface');
  if (type === 'bridge') throw fail('it is a bridge');
  if (master !== undefined) throw fail(`it is a port of ${master}`);
  const held = host.addresses.find(({ link, scope }) => link === name && scope === 'global');
  if (held !== undefined) throw fail('it has an address of the host, which would be cut off; remove that first');
  const above = host.links.find(({ type: kind, linkIndex }) => linkIndex === index && stacked.has(kind ?? ''));
  if (above !== undefined) throw fail(`${above.name} stands on it`);
}

function unknown(name: string): BerthError {
  return new BerthError('INTERFACE_UNKNOWN', `there is no interface ${printable(name)} on this host`);
}
