/** Classic BPF programs (linux/filter.h, linux/bpf_common.h) that let only those frames pass that a port wants to hear. */

import type { Hearing } from '../packets.ts';
import { littleEndian } from '../rtnetlink/attributes.ts';
import {
  DHCP_CLIENT_PORT,
  DHCP6_CLIENT_PORT,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ICMPV6,
  MDNS_GROUP,
  MDNS_GROUP6,
  MDNS_PORT,
  UDP,
} from './numbers.ts';

// What is loaded into the accumulator: an absolute offset, or one behind the IPv4 header, whose length is in X.
const LD_W = 0x20;
const LD_H = 0x28;
const LD_B = 0x30;
const LD_H_X = 0x48;
const LDX_HEADER_LENGTH = 0xb1;
const AND = 0x54;
const JEQ = 0x15;
const JSET = 0x45;
const RET = 0x06;

// Not bytes of the frame but what the kernel knows about it.
const PACKET_TYPE = 0xfffff000 + 4;
const VLAN_TAG = 0xfffff000 + 44;
const VLAN_TAG_PRESENT = 0xfffff000 + 48;
const PACKET_OUTGOING = 4;
const VLAN_ID = 0xfff;

/** As much of the frame as there is. */
const ALL = 0x40000;

interface Instruction {
  readonly code: number;
  readonly k: number;
  /** How many instructions are skipped when the comparison is true, and when it is false; `fail`: to the end of the block. */
  readonly yes?: number | 'fail';
  readonly no?: number | 'fail';
}

const load = (code: number, k: number): Instruction => ({ code, k });
const mustBe = (k: number): Instruction => ({ code: JEQ, k, no: 'fail' });
const etherType = (type: number): Instruction[] => [load(LD_H, 12), mustBe(type)];
const icmp6 = [...etherType(ETH_P_IPV6), load(LD_B, 20), mustBe(ICMPV6), load(LD_B, 54)];

/** Offsets count from the start of the frame: the IP header begins at 14, and that of IPv6 has 40 bytes. */
const blocks: Readonly<Record<Hearing, readonly Instruction[]>> = {
  arp: etherType(ETH_P_ARP),
  neighbours: [...icmp6, { code: JEQ, k: 135, yes: 1 }, mustBe(136)],
  'router-advertisements': [...icmp6, mustBe(134)],
  dhcp4: [
    ...etherType(ETH_P_IP),
    load(LD_B, 23),
    mustBe(UDP),
    // More fragments, or not the first.
    load(LD_H, 20),
    { code: JSET, k: 0x3fff, yes: 'fail' },
    load(LDX_HEADER_LENGTH, 14),
    load(LD_H_X, 16),
    mustBe(DHCP_CLIENT_PORT),
  ],
  mdns: [
    ...etherType(ETH_P_IP),
    load(LD_B, 23),
    mustBe(UDP),
    load(LD_W, 30),
    mustBe(MDNS_GROUP),
    load(LD_H, 20),
    { code: JSET, k: 0x3fff, yes: 'fail' },
    load(LDX_HEADER_LENGTH, 14),
    load(LD_H_X, 16),
    mustBe(MDNS_PORT),
  ],
  mdns6: [
    ...etherType(ETH_P_IPV6),
    load(LD_B, 20),
    mustBe(UDP),
    ...MDNS_GROUP6.flatMap((word, position) => [load(LD_W, 38 + 4 * position), mustBe(word)]),
    load(LD_H, 56),
    mustBe(MDNS_PORT),
  ],
  dhcp6: [...etherType(ETH_P_IPV6), load(LD_B, 20), mustBe(UDP), load(LD_H, 56), mustBe(DHCP6_CLIENT_PORT)],
};

const accept = load(RET, ALL);
const refuse = load(RET, 0);

/**
 * The program, as an array of `struct sock_filter`. It refuses what the link itself sends, and what belongs to a VLAN: the
 * kernel has taken the tag off by then, so that it would look like any other frame of the link.
 */
export function filterProgram(hears: readonly Hearing[]): Uint8Array {
  const always: Instruction[] = [
    load(LD_W, PACKET_TYPE),
    { code: JEQ, k: PACKET_OUTGOING, no: 1 },
    refuse,
    // Linux before 6.2 leaves the number behind on the VLAN's own link, where it means nothing (__vlan_hwaccel_clear_tag).
    load(LD_W, VLAN_TAG_PRESENT),
    { code: JEQ, k: 0, yes: 4 },
    load(LD_W, VLAN_TAG),
    load(AND, VLAN_ID),
    { code: JEQ, k: 0, yes: 1 },
    refuse,
  ];
  return encode([...always, ...hears.flatMap((hearing) => placed([...blocks[hearing], accept])), refuse]);
}

/** The same with `fail` as a distance: to what follows the block. */
function placed(block: readonly Instruction[]): Instruction[] {
  return block.map((instruction, position) => {
    const distance = (target: number | 'fail' | undefined): number =>
      target === 'fail' ? block.length - position - 1 : (target ?? 0);
    return { ...instruction, yes: distance(instruction.yes), no: distance(instruction.no) };
  });
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  for (const [position, { code, yes, no, k }] of program.entries()) {
    bytes.setUint16(position * 8, code, littleEndian);
    bytes.setUint8(position * 8 + 2, yes === 'fail' ? 0 : (yes ?? 0));
    bytes.setUint8(position * 8 + 3, no === 'fail' ? 0 : (no ?? 0));
    bytes.setUint32(position * 8 + 4, k, littleEndian);
  }
  return new Uint8Array(bytes.buffer);
}
