/** What carries a network between hosts, and how large a packet it leaves for containers. */

import type { HostView } from '../../kernel/kernel.ts';
import { type Address, sameAddress } from '../../model/address.ts';
import type { Network } from '../../model/network.ts';
import type { FabricContext } from '../fabric.ts';
import { LEAST_MTU, linkMtu, overhead, uplinkMtu } from '../mtu.ts';
import { settingsOf } from './settings.ts';

/** The NIC that VLAN networks of the cluster stand on; undefined when this host has none. */
export function vlanUplink({ cluster, host }: Pick<FabricContext, 'cluster' | 'host'>): string | undefined {
  return cluster?.uplinks.find((name) => host.links.some((link) => link.name === name));
}

/** MTU of a network's bridge, tunnel and containers, in bytes. */
export function mtuOf(network: Pick<Network, 'settings'>, context: Pick<FabricContext, 'cluster' | 'host'>): number {
  const { mtu, cluster } = settingsOf(network);
  return mtu ?? Math.max(LEAST_MTU, greatestMtu(cluster?.encapsulation, context));
}

/** What fits, on this host. */
export function greatestMtu(
  encapsulation: 'vxlan' | 'vlan' | undefined,
  context: Pick<FabricContext, 'cluster' | 'host'>,
): number {
  const { host, cluster } = context;
  switch (encapsulation) {
    case undefined:
      return uplinkMtu(host) - overhead.none[4];
    case 'vlan': {
      const uplink = vlanUplink(context);
      // A tag is not counted in the MTU (IEEE 802.1Q; VLAN_ETH_DATA_LEN, linux/if_vlan.h).
      return (uplink === undefined ? undefined : linkMtu(host, uplink)) ?? uplinkMtu(host);
    }
    case 'vxlan': {
      const vtep = cluster?.vtep;
      const under = vtep === undefined ? undefined : mtuOfAddress(host, vtep);
      return (under ?? uplinkMtu(host)) - overhead.vxlan[vtep?.family ?? 4];
    }
  }
}

function mtuOfAddress(host: HostView, address: Address): number | undefined {
  const link = host.addresses.find((held) => sameAddress(held.address.address, address))?.link;
  return link === undefined ? undefined : linkMtu(host, link);
}
