/** What a NIC does for its virtual functions: IFLA_VFINFO_LIST (linux/if_link.h). */

import { type Mac, macBytes, macFromBytes } from '../../model/mac.ts';
import type { VirtualFunction } from '../objects.ts';
import { align4, readAttributes, readU16, readU32, type Writer } from './attributes.ts';
import {
  IFLA_EXT_MASK,
  IFLA_VF_INFO,
  IFLA_VF_MAC,
  IFLA_VF_VLAN,
  IFLA_VFINFO_LIST,
  RTEXT_FILTER_SKIP_STATS,
  RTEXT_FILTER_VF,
  RTM_GETLINK,
  RTM_SETLINK,
} from './constants.ts';
import { writeLinkHeader } from './link.ts';
import { type Request, request } from './message.ts';

/** MAX_ADDR_LEN, linux/netdevice.h: `struct ifla_vf_mac` has room for any address. */
const LONGEST_ADDRESS = 32;
/** Of an attribute. */
const HEADER = 4;

/** Asks for a link with its virtual functions. */
export function getVirtualFunctions(index: number): Request {
  return request(RTM_GETLINK, 0, (writer) => {
    writeLinkHeader(writer, { index });
    writer.attributeU32(IFLA_EXT_MASK, RTEXT_FILTER_VF | RTEXT_FILTER_SKIP_STATS);
  });
}

/** Sets what is given. Each in an element of its own, as iproute2 does: some drivers take no more at once. */
export function changeVirtualFunction(
  index: number,
  number: number,
  { mac, vlan }: Partial<Pick<VirtualFunction, 'mac' | 'vlan'>>,
): Request {
  const setting = (writer: Writer, type: number, fill: () => void) =>
    writer.nested(IFLA_VF_INFO, () => writer.nested(type, fill));
  return request(RTM_SETLINK, 0, (writer) => {
    writeLinkHeader(writer, { index });
    writer.nested(IFLA_VFINFO_LIST, () => {
      if (mac !== undefined) {
        setting(writer, IFLA_VF_MAC, () => {
          const bytes = macBytes(mac);
          writer
            .u32(number)
            .raw(bytes)
            .raw(new Uint8Array(LONGEST_ADDRESS - bytes.length));
        });
      }
      if (vlan !== undefined) setting(writer, IFLA_VF_VLAN, () => writer.u32(number).u32(vlan).u32(0));
    });
  });
}

/** Reads them from an RTM_NEWLINK message. */
export function readVirtualFunctions({
  body,
}: {
  readonly body: Uint8Array;
}): ReadonlyMap<number, { readonly mac: Mac; readonly vlan: number }> {
  const found = new Map<number, { mac: Mac; vlan: number }>();
  const list = readAttributes(body.subarray(16)).get(IFLA_VFINFO_LIST) ?? new Uint8Array();
  // All are attributes of the same type.
  for (let at = 0; at + HEADER <= list.length; ) {
    const length = readU16(list, at);
    if (length < HEADER || at + length > list.length) break;
    const info = readAttributes(list.subarray(at + HEADER, at + length));
    const [mac, vlan] = [info.get(IFLA_VF_MAC), info.get(IFLA_VF_VLAN)];
    if (mac !== undefined)
      found.set(readU32(mac, 0), {
        mac: macFromBytes(mac.subarray(4, 10)),
        vlan: vlan === undefined ? 0 : readU32(vlan, 4),
      });
    at += align4(length);
  }
  return found;
}
