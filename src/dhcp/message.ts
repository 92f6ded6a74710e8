/**
 * DHCPv4 messages as bytes: the fixed fields of RFC 2131 §2 and the options of RFC 2132, with long and overloaded options put
 * together (RFC 3396). Whoever is on the LAN can send these, so nothing here trusts a length or a value: what cannot be read
 * is `undefined`, never an exception.
 */

import { type Address, addressBytes, addressFromBytes } from '../model/address.ts';
import { type Mac, macBytes, macFromBytes } from '../model/mac.ts';

/** DHCP message types, RFC 2132 §9.6. */
export const messageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
} as const;

/** Option codes: RFC 2132, and RFC 4702 (81), 3397 (119), 3442 (121); 249 is Microsoft's number for 121 (MS-DHCPE §2.2.8). */
export const code = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domain: 15,
  mtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  messageType: 53,
  server: 54,
  parameters: 55,
  text: 56,
  largestMessage: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  clientId: 61,
  fqdn: 81,
  searchList: 119,
  classlessRoutes: 121,
  classlessRoutesMicrosoft: 249,
} as const;

export interface Message {
  readonly op: 'request' | 'reply';
  /** Chosen by the client, 32 bits; answers carry the same. */
  readonly transaction: number;
  /** Since the client began. */
  readonly seconds: number;
  /** The client cannot take unicast yet: answers are to be broadcast. */
  readonly broadcast: boolean;
  /** `ciaddr`: the address that the client has and answers for. */
  readonly current?: Address;
  /** `yiaddr`: the address that the server gives. */
  readonly yours?: Address;
  readonly mac: Mac;
  readonly options: ReadonlyMap<number, Uint8Array>;
}

const MAGIC = [0x63, 0x82, 0x53, 0x63] as const;
const FIXED = 236;
/** BOOTP messages have at least 300 bytes (RFC 1542 §2.1), and some relays drop shorter ones. */
const LEAST = 300;
const ETHERNET = 1;
const PAD = 0;
const END = 255;
const SERVER_NAME = { start: 44, end: 108 } as const;
const FILE = { start: 108, end: 236 } as const;

/** The bytes of a message, without overloading. Options longer than 255 bytes are split (RFC 3396 §5). */
export function encodeMessage(message: Message): Uint8Array {
  const options: number[] = [];
  for (const [option, value] of message.options) {
    for (let at = 0; at === 0 || at < value.length; at += 255) {
      const part = value.subarray(at, at + 255);
      options.push(option, part.length, ...part);
    }
  }
  const bytes = new Uint8Array(Math.max(LEAST, FIXED + MAGIC.length + options.length + 1));
  const view = new DataView(bytes.buffer);
  bytes[0] = message.op === 'request' ? 1 : 2;
  bytes[1] = ETHERNET;
  bytes[2] = 6;
  view.setUint32(4, message.transaction);
  view.setUint16(8, Math.min(message.seconds, 0xffff));
  view.setUint16(10, message.broadcast ? 0x8000 : 0);
  if (message.current !== undefined) bytes.set(addressBytes(message.current), 12);
  if (message.yours !== undefined) bytes.set(addressBytes(message.yours), 16);
  bytes.set(macBytes(message.mac), 28);
  bytes.set([...MAGIC, ...options, END], FIXED);
  return bytes;
}

/** @returns undefined for what is no DHCP message over Ethernet: too short, another hardware, no magic, options cut off. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length < FIXED + MAGIC.length) return undefined;
  const [op, hardware, hardwareLength] = bytes;
  if ((op !== 1 && op !== 2) || hardware !== ETHERNET || hardwareLength !== 6) return undefined;
  if (MAGIC.some((byte, index) => bytes[FIXED + index] !== byte)) return undefined;
  const options = new Map<number, Uint8Array>();
  if (!collect(bytes.subarray(FIXED + MAGIC.length), options)) return undefined;
  // Options may go on in the fields for a file's name and the server's (RFC 2132 §9.3), in this order (RFC 3396 §6).
  const overload = options.get(code.overload)?.[0] ?? 0;
  if ((overload & 1) !== 0 && !collect(bytes.subarray(FILE.start, FILE.end), options)) return undefined;
  if ((overload & 2) !== 0 && !collect(bytes.subarray(SERVER_NAME.start, SERVER_NAME.end), options)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const current = readAddress(bytes.subarray(12, 16));
  const yours = readAddress(bytes.subarray(16, 20));
  return {
    op: op === 1 ? 'request' : 'reply',
    transaction: view.getUint32(4),
    seconds: view.getUint16(8),
    broadcast: (view.getUint16(10) & 0x8000) !== 0,
    ...(current === undefined ? {} : { current }),
    ...(yours === undefined ? {} : { yours }),
    mac: macFromBytes(bytes.subarray(28, 34)),
    options,
  };
}

/** Adds a field's options; parts of one option follow each other. @returns false when the field ends within one. */
function collect(field: Uint8Array, options: Map<number, Uint8Array>): boolean {
  for (let at = 0; at < field.length; ) {
    const option = field[at]!;
    if (option === END) return true;
    at += 1;
    if (option === PAD) continue;
    const length = field[at];
    if (length === undefined || at + 1 + length > field.length) return false;
    const part = field.subarray(at + 1, at + 1 + length);
    const before = options.get(option);
    options.set(option, before === undefined ? Uint8Array.from(part) : Uint8Array.from([...before, ...part]));
    at += 1 + length;
  }
  // A field that is full needs no end (RFC 2131 §3 asks for one; servers forget it).
  return true;
}

/** @returns undefined for 0.0.0.0, which stands for none. */
export function readAddress(bytes: Uint8Array): Address | undefined {
  if (bytes.length !== 4) return undefined;
  const address = addressFromBytes(bytes);
  return address.value === 0n ? undefined : address;
}

export function typeOf(message: Message): number | undefined {
  const value = message.options.get(code.messageType);
  return value?.length === 1 ? value[0] : undefined;
}
