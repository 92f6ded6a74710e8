/** As much of the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) as etcd's messages use. */

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

/** Seven bytes of a varint carry 49 bits, which a number holds exactly. */
const EXACT = 7;

/** A message of the fields given, in their order. */
export function message(...fields: readonly Buffer[]): Buffer {
  return Buffer.concat(fields);
}

/** A whole number that is not negative, or a truth; zero and false are the same as no field. */
export function intField(field: number, value: number | boolean | undefined): Buffer {
  return value === undefined || Number(value) === 0 ? NONE : Buffer.from([...tag(field, VARINT), ...varint(+value)]);
}

/** An id that uses all of its 64 bits. */
export function idField(field: number, value: bigint | undefined): Buffer {
  return value === undefined || value === 0n ? NONE : Buffer.from([...tag(field, VARINT), ...varint64(value)]);
}

/** Text, bytes or a message. Nothing at all when empty, as protobuf has it; an empty message is a field all the same. */
export function bytesField(field: number, value: string | Buffer): Buffer {
  return value.length === 0 ? NONE : messageField(field, value);
}

export function messageField(field: number, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.from([...tag(field, LENGTH), ...varint(bytes.length)]), bytes]);
}

const NONE = Buffer.alloc(0);

function tag(field: number, wire: number): number[] {
  return varint(field * 8 + wire);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  bytes.push(value);
  return bytes;
}

function varint64(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}

/** What a message holds, by the numbers of its fields. A field that is absent reads as zero, false, or nothing. */
export interface Fields {
  int(field: number): number;
  id(field: number): bigint;
  bool(field: number): boolean;
  text(field: number): string;
  message(field: number): Fields | undefined;
  messages(field: number): readonly Fields[];
}

/**
 * Reads a message. Fields that nobody asks for are passed over: a newer server has more of them.
 *
 * @throws RangeError for bytes that are no message.
 */
export function readMessage(bytes: Buffer): Fields {
  const found = new Map<number, (number | bigint | Buffer)[]>();
  let at = 0;

  const readVarint = (): number | bigint => {
    const start = at;
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || at - start > 10) throw new RangeError('a number in a message has no end');
      value += (byte & 0x7f) * scale;
      scale *= 0x80;
      if (byte < 0x80) break;
    }
    if (at - start <= EXACT) return value;
    let exact = 0n;
    for (let end = at - 1; end >= start; end--) exact = (exact << 7n) | BigInt(bytes[end]! & 0x7f);
    return BigInt.asIntN(64, exact);
  };
  const skip = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('a message ends in the middle of a field');
    at += length;
    return bytes.subarray(at - length, at);
  };

  while (at < bytes.length) {
    const key = Number(readVarint());
    const field = Math.floor(key / 8);
    let value: number | bigint | Buffer;
    switch (key % 8) {
      case VARINT:
        value = readVarint();
        break;
      case LENGTH:
        value = skip(Number(readVarint()));
        break;
      case FIXED64:
        value = skip(8);
        break;
      case FIXED32:
        value = skip(4);
        break;
      default:
        throw new RangeError(`a message has a field of the unknown kind ${key % 8}`);
    }
    const values = found.get(field);
    if (values === undefined) found.set(field, [value]);
    else values.push(value);
  }

  const number = (field: number): number | bigint => {
    const value = found.get(field)?.at(-1);
    return typeof value === 'number' || typeof value === 'bigint' ? value : 0;
  };
  const messages = (field: number) => (found.get(field) ?? []).filter((value) => Buffer.isBuffer(value));
  return {
    int: (field) => Number(number(field)),
    id: (field) => BigInt(number(field)),
    bool: (field) => Number(number(field)) !== 0,
    text: (field) => messages(field).at(-1)?.toString('utf8') ?? '',
    message(field) {
      const value = messages(field).at(-1);
      return value === undefined ? undefined : readMessage(value);
    },
    messages: (field) => messages(field).map(readMessage),
  };
}
