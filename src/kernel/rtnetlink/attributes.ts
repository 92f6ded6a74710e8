/** Netlink attributes: length, type, payload, padded to four bytes (`struct nlattr`, linux/netlink.h). */

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const HEADER = 4;

/** netlink is host-endian. */
export const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

export const align4 = (length: number): number => (length + 3) & ~3;

/** Bytes that grow at the end: what a message and its attributes are written into. */
export class Writer {
  #bytes: Uint8Array;
  #view: DataView;
  length = 0;

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** What has been written. Valid until the next write. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  u8(value: number): this {
    const at = this.#take(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u16(value: number): this {
    const at = this.#take(2);
    this.#view.setUint16(at, value, littleEndian);
    return this;
  }

  u32(value: number): this {
    const at = this.#take(4);
    this.#view.setUint32(at, value, littleEndian);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#take(8);
    this.#view.setBigUint64(at, value, littleEndian);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.#take(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** Overwrites four bytes written before: lengths are known only at the end. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, littleEndian);
  }

  align(): this {
    this.#take(align4(this.length) - this.length);
    return this;
  }

  attribute(type: number, payload: Uint8Array): this {
    this.u16(HEADER + payload.length).u16(type);
    return this.raw(payload).align();
  }

  attributeU8(type: number, value: number): this {
    return this.u16(HEADER + 1)
      .u16(type)
      .u8(value)
      .align();
  }

  attributeU16(type: number, value: number): this {
    return this.u16(HEADER + 2)
      .u16(type)
      .u16(value)
      .align();
  }

  /** In network byte order. */
  attributeU16BE(type: number, value: number): this {
    return this.u16(HEADER + 2)
      .u16(type)
      .u8(value >>> 8)
      .u8(value & 255)
      .align();
  }

  attributeU32(type: number, value: number): this {
    return this.u16(HEADER + 4)
      .u16(type)
      .u32(value);
  }

  attributeU64(type: number, value: bigint): this {
    return this.u16(HEADER + 8)
      .u16(type)
      .u64(value);
  }

  /** A string with its terminating zero, as the kernel's NLA_NUL_STRING wants it. */
  attributeString(type: number, value: string): this {
    const text = utf8.encode(value);
    this.u16(HEADER + text.length + 1).u16(type);
    return this.raw(text).u8(0).align();
  }

  /** An attribute whose payload is attributes (or a structure and attributes), written by `content`. */
  nested(type: number, content: (writer: this) => void): this {
    const start = this.length;
    this.u16(0).u16(type | NLA_F_NESTED);
    content(this);
    this.#view.setUint16(start, this.length - start, littleEndian);
    return this.align();
  }

  #take(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

/** Attributes by type; where a type is repeated, the last one counts. Payloads are views of the message, not copies. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/**
 * Reads a row of attributes. A length that leaves the given bytes ends the row: the kernel does not send such a thing, and
 * half a message must not be read as a whole one.
 */
export function readAttributes(bytes: Uint8Array): Attributes {
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = readU16(bytes, at);
    if (length < HEADER || at + length > bytes.length) break;
    found.set(readU16(bytes, at + 2) & NLA_TYPE_MASK, bytes.subarray(at + HEADER, at + length));
    at += align4(length);
  }
  return found;
}

const none: Attributes = new Map();

/** The attributes within an attribute; none when it is not there. */
export function nestedAttributes(attributes: Attributes, type: number): Attributes {
  const payload = attributes.get(type);
  return payload === undefined ? none : readAttributes(payload);
}

// Reading by hand is several times faster than a DataView for each attribute, and a dump has a hundred thousand of them.
export function readU16(bytes: Uint8Array, at: number): number {
  return littleEndian ? bytes[at]! | (bytes[at + 1]! << 8) : (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readU32(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!];
  return (littleEndian ? a | (b << 8) | (c << 16) | (d << 24) : (a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

export function readU64(bytes: Uint8Array, at: number): bigint {
  const [first, second] = [BigInt(readU32(bytes, at)), BigInt(readU32(bytes, at + 4))];
  return littleEndian ? (second << 32n) | first : (first << 32n) | second;
}

export function getU8(attributes: Attributes, type: number): number | undefined {
  return attributes.get(type)?.[0];
}

export function getU16(attributes: Attributes, type: number): number | undefined {
  const payload = attributes.get(type);
  return payload === undefined || payload.length < 2 ? undefined : readU16(payload, 0);
}

/** From network byte order. */
export function getU16BE(attributes: Attributes, type: number): number | undefined {
  const payload = attributes.get(type);
  return payload === undefined || payload.length < 2 ? undefined : (payload[0]! << 8) | payload[1]!;
}

export function getU32(attributes: Attributes, type: number): number | undefined {
  const payload = attributes.get(type);
  return payload === undefined || payload.length < 4 ? undefined : readU32(payload, 0);
}

export function getU64(attributes: Attributes, type: number): bigint | undefined {
  const payload = attributes.get(type);
  return payload === undefined || payload.length < 8 ? undefined : readU64(payload, 0);
}

export function getString(attributes: Attributes, type: number): string | undefined {
  const payload = attributes.get(type);
  if (payload === undefined) return undefined;
  const end = payload.indexOf(0);
  return fromUtf8.decode(end < 0 ? payload : payload.subarray(0, end));
}
