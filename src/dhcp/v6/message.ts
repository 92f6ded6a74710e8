/**
 * DHCPv6 messages as bytes (RFC 8415 §8, §21). Whoever is on the LAN can send these, so nothing here trusts a length or a value: what
 * cannot be read is `undefined`, never an exception.
 */

/** Message types, RFC 8415 §7.3. */
export const messageType = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  information: 11,
} as const;

/** Option codes: RFC 8415 §21, and RFC 3646 (23, 24), 4704 (39). */
export const code = {
  clientId: 1,
  serverId: 2,
  identityAssociation: 3,
  address: 5,
  requested: 6,
  preference: 7,
  elapsed: 8,
  status: 13,
  rapidCommit: 14,
  dns: 23,
  searchList: 24,
  fqdn: 39,
  solicitMaxTime: 82,
} as const;

/** RFC 8415 §21.13. */
export const statusCode = {
  success: 0,
  unspecified: 1,
  noAddresses: 2,
  noBinding: 3,
  notOnLink: 4,
  useMulticast: 5,
} as const;

/** In the order of the message; some may be there several times. */
export interface Option {
  readonly code: number;
  readonly value: Uint8Array;
}

export interface Message {
  readonly type: number;
  /** Chosen by the client, 24 bits; answers carry the same. */
  readonly transaction: number;
  readonly options: readonly Option[];
}

const HEADER = 4;
const OPTION_HEADER = 4;

export function encodeMessage({ type, transaction, options }: Message): Uint8Array {
  return Uint8Array.of(
    type,
    (transaction >> 16) & 255,
    (transaction >> 8) & 255,
    transaction & 255,
    ...encodeOptions(options),
  );
}

/** @returns undefined for what is too short, or ends within an option. */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  if (bytes.length < HEADER) return undefined;
  const options = decodeOptions(bytes.subarray(HEADER));
  const transaction = (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!;
  return options && { type: bytes[0]!, transaction, options };
}

export function encodeOptions(options: readonly Option[]): Uint8Array {
  return Uint8Array.from(
    options.flatMap(({ code: option, value }) => [
      option >> 8,
      option & 255,
      value.length >> 8,
      value.length & 255,
      ...value,
    ]),
  );
}

/** Options within options are written in the same way. @returns undefined when one of them is cut off. */
export function decodeOptions(bytes: Uint8Array): readonly Option[] | undefined {
  const options: Option[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + OPTION_HEADER > bytes.length) return undefined;
    const length = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    const start = at + OPTION_HEADER;
    if (start + length > bytes.length) return undefined;
    options.push({ code: (bytes[at]! << 8) | bytes[at + 1]!, value: bytes.slice(start, start + length) });
    at = start + length;
  }
  return options;
}

/** The first option of a kind. */
export function option(options: readonly Option[], wanted: number): Uint8Array | undefined {
  return options.find((one) => one.code === wanted)?.value;
}

/** Big-endian, in as many bytes. */
export function number(value: number, bytes: 1 | 2 | 4): Uint8Array {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value);
  return new Uint8Array(view.buffer).slice(4 - bytes);
}

/** @returns undefined when it does not have exactly that many bytes. */
export function readNumber(value: Uint8Array | undefined, bytes: 1 | 2 | 4): number | undefined {
  if (value?.length !== bytes) return undefined;
  return value.reduce((total, byte) => total * 256 + byte, 0);
}
