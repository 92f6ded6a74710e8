/**
 * Virtual functions of NICs, as the kernel takes and tells them. No machine of these tests has such a NIC: what the messages say is compared with
 * the layout of linux/if_link.h, and that the kernel understands them is seen from how it refuses them for a link without functions.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isolate } from '../isolate.ts';
import type { VirtualFunction } from '../objects.ts';
import { openRtnetlinkDriver } from './driver.ts';
import { drift, mac } from './testing.ts';
import { changeVirtualFunction, readVirtualFunctions } from './virtual-function.ts';

const OWN = mac('02:42:0a:01:00:05');

test('what is set is what is read, function by function', () => {
  // As `ip link set eth4 vf 3 mac … vlan 120` sends it; a description has the same attributes, one function after the other.
  const bodies = [3, 7].map((number) => changeVirtualFunction(9, number, { mac: OWN, vlan: 120 + number }).body);
  const [first, second] = bodies.map((body) => Buffer.from(body));
  assert.equal(first!.readUInt32LE(4), 9, 'ifi_index');
  const list = first!.subarray(16);
  assert.deepEqual([list.readUInt16LE(0), list.readUInt16LE(2) & 0x3fff], [list.length, 22], 'IFLA_VFINFO_LIST');
  const vlan = list.subarray(-12);
  assert.deepEqual(
    [0, 4, 8].map((at) => vlan.readUInt32LE(at)),
    [3, 123, 0],
    'struct ifla_vf_vlan',
  );
  const address = list.subarray(4 + 4 + 4);
  assert.deepEqual([list.readUInt16LE(8), address.readUInt32LE(0)], [4 + 4 + 32, 3], 'struct ifla_vf_mac');
  assert.equal(address.subarray(4, 10).toString('hex'), OWN.replaceAll(':', ''));
  assert.equal(second!.length, first!.length);
});

test('descriptions of several functions are read', () => {
  const attribute = (type: number, content: Buffer) => {
    const header = Buffer.alloc(4);
    header.writeUInt16LE(4 + content.length, 0);
    header.writeUInt16LE(type, 2);
    return Buffer.concat([header, content]);
  };
  const info = (number: number, vlan: number) => {
    const own = Buffer.alloc(36);
    own.writeUInt32LE(number, 0);
    Buffer.from(OWN.replaceAll(':', ''), 'hex').copy(own, 4);
    const tagged = Buffer.alloc(12);
    tagged.writeUInt32LE(number, 0);
    tagged.writeUInt32LE(vlan, 4);
    return attribute(1, Buffer.concat([attribute(1, own), attribute(2, tagged)]));
  };
  const body = Buffer.concat([Buffer.alloc(16), attribute(22, Buffer.concat([info(0, 0), info(1, 120)]))]);
  assert.deepEqual(
    [...readVirtualFunctions({ body })],
    [
      [0, { mac: OWN, vlan: 0 }],
      [1, { mac: OWN, vlan: 120 }],
    ],
  );
});

test('a link without functions is told from a message that is not understood', () => {
  isolate();
  const driver = openRtnetlinkDriver();
  driver.make({ kind: 'link', type: 'veth', name: 'eth4', up: true, peer: { name: 'other' } });
  const wanted: VirtualFunction = { kind: 'virtual-function', link: 'eth4', number: 1, mac: OWN, vlan: 120 };
  assert.equal(drift(driver, wanted), 'missing');
  // EOPNOTSUPP of do_setvfinfo, and not the EINVAL of a malformed one.
  assert.throws(() => driver.make(wanted), { code: 'KERNEL_LACKS', message: /virtual function 1 of eth4/ });
  driver.unmake(wanted);
  assert.throws(() => driver.make({ ...wanted, link: 'absent' }), { message: /absent/ });
  driver.close();
});
