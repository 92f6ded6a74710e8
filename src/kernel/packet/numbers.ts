/** Numbers of the protocols that are spoken in raw frames. */

// linux/if_ether.h, which has them from IEEE 802
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_ALL = 0x0003;

// linux/in.h, linux/in6.h
export const UDP = 17;
export const ICMPV6 = 58;

// RFC 2131 §4.1, RFC 8415 §7.2
export const DHCP_CLIENT_PORT = 68;
export const DHCP6_CLIENT_PORT = 546;
/** RFC 6762 §3: 224.0.0.251, and ff02::fb as four words. */
export const MDNS_GROUP = 0xe00000fb;
export const MDNS_GROUP6: readonly number[] = [0xff020000, 0, 0, 0xfb];
export const MDNS_PORT = 5353;
