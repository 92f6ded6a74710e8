/**
 * A NIC whose address is leased by a DHCP client of the host. The client goes on to ask on the NIC, but a bridge takes the frames of
 * its ports before most sockets of a port see them (the receive handler comes before those for one protocol, see
 * __netif_receive_skb_core): systemd-networkd, NetworkManager and udhcpc ask for IPv4 alone (ETH_P_IP) and would hear no answer, so the
 * host would lose its lease; dhclient and dhcpcd hear it.
 */

import type { HostView } from '../../../kernel/kernel.ts';
import type { NftTable } from '../../../kernel/objects.ts';
import type { Mac } from '../../../model/mac.ts';
import { findDhcpClients } from './managers/dhcp-clients.ts';
import { runningPrograms } from './managers/manager.ts';

/**
 * Whether a DHCP client of the host cares for a NIC, or cares for the bridge that was made from it.
 *
 * @param root of the file system.
 */
export async function isLeased(nic: string, bridge: string, host: HostView, root = '/'): Promise<boolean> {
  const ends = host.addresses.some(
    ({ link, address, validSeconds }) =>
      (link === nic || link === bridge) && address.address.family === 4 && validSeconds !== undefined,
  );
  if (ends) return true;
  const link = host.links.find(({ name }) => name === nic);
  const named = { name: nic, index: link?.index ?? 0, mac: link?.mac ?? '' };
  return findDhcpClients(named, bridge, await runningPrograms(root)).length > 0;
}

/**
 * Leaves to the NIC what a DHCP server says to its client. A bridge takes no frame to the group 01:80:C2:00:00:0F, which is one of
 * those that stay on a wire (IEEE 802.1Q, table 8-1): it goes up as the port's own (br_handle_frame). Frames for VLANs have another
 * type, and those to containers another client in them (`chaddr`, RFC 2131 §2, 28 bytes into the message, after 8 of UDP).
 */
export function leaseAnswers(nic: string, mac: Mac): NftTable {
  return {
    kind: 'nft-table',
    family: 'netdev',
    name: `berth-${nic}`,
    body: `
	chain ingress {
		type filter hook ingress device "${nic}" priority 0; policy accept;
		ether type ip udp sport 67 udp dport 68 @th,288,48 0x${mac.replaceAll(':', '')} ether daddr set 01:80:c2:00:00:0f meta pkttype set host
	}
`,
  };
}
