/**
 * Cuts a stream of bytes into JSON objects. OVSDB puts nothing between its messages (RFC 7047 §4): where one ends is known
 * only from its brackets.
 */

/** What came is not OVSDB: nothing more that comes on this connection can be understood. */
export class ProtocolError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'ProtocolError';
  }
}

export interface JsonStream {
  /**
   * The objects that are complete now. The bytes are copied where they are kept.
   *
   * @throws ProtocolError; then the stream is of no more use.
   */
  push(bytes: Uint8Array): Readonly<Record<string, unknown>>[];
}

/** The first report of a monitor holds whole tables: 10,000 ports are some 5 MB. */
const GREATEST_MESSAGE = 64 * 1024 * 1024;
/** OVSDB nests less than ten deep. A parser that recurses could be exhausted by more. */
const GREATEST_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
// Asked of each byte of what may be megabytes: comparisons, not sets.
const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** @param greatest bytes of one message. */
export function createJsonStream(greatest = GREATEST_MESSAGE): JsonStream {
  let parts: Uint8Array[] = [];
  let size = 0;
  let depth = 0;
  let inString = false;
  let escaped = false;

  function take(part: Uint8Array): void {
    size += part.length;
    if (size > greatest) throw new ProtocolError(`a message is larger than ${greatest} bytes`);
    parts.push(part);
  }

  function finish(): Readonly<Record<string, unknown>> {
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    parts = [];
    size = 0;
    return parse(whole);
  }

  return {
    push(bytes) {
      const objects: Readonly<Record<string, unknown>>[] = [];
      let start = 0;
      for (let at = 0; at < bytes.length; at++) {
        const byte = bytes[at]!;
        if (inString) {
          if (escaped) escaped = false;
          else if (byte === BACKSLASH) escaped = true;
          else if (byte === QUOTE) inString = false;
        } else if (isOpening(byte)) {
          if (depth === 0) start = at;
          depth += 1;
          if (depth > GREATEST_DEPTH) throw new ProtocolError(`a message is nested more than ${GREATEST_DEPTH} deep`);
        } else if (depth === 0) {
          if (!isSpace(byte)) throw new ProtocolError('there is something between two messages');
        } else if (byte === QUOTE) {
          inString = true;
        } else if (isClosing(byte)) {
          depth -= 1;
          if (depth > 0) continue;
          take(bytes.subarray(start, at + 1));
          objects.push(finish());
        }
      }
      if (depth > 0) take(bytes.slice(start));
      return objects;
    },
  };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function parse(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw new ProtocolError(`a message is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(value)) throw new ProtocolError('a message is not an object');
  return value;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
