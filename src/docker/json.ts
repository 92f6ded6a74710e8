/** Reads the JSON of a request body more strictly than `JSON.parse`, because its two readers must not disagree. */

import { BerthError } from '../model/errors.ts';
import { printable, shown } from './text.ts';

/** Far deeper than anything that an engine sends (5), far shallower than what exhausts a stack. */
const MAX_DEPTH = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Parses one JSON value. Beyond what `JSON.parse` refuses, refuses bytes that are not UTF-8, nesting deeper than 32, an
 * object with the same key twice (RFC 8259 §4: which one counts differs between readers) and the key `__proto__`.
 *
 * @throws BerthError BAD_REQUEST
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new BerthError('BAD_REQUEST', 'the body is not UTF-8');
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BerthError('BAD_REQUEST', `the body is not JSON: ${printable((error as Error).message, 120)}`);
  }
  checkStructure(text);
  return value;
}

/** Walks the text, known to be valid JSON, and checks nesting and keys. */
function checkStructure(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let lastString = '';
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '"': {
        const end = endOfString(text, i);
        lastString = text.slice(i, end + 1);
        i = end;
        break;
      }
      case ':':
        addKey(open.at(-1)!, JSON.parse(lastString) as string);
        break;
      case '{':
      case '[':
        open.push(text[i] === '{' ? new Set() : undefined);
        if (open.length > MAX_DEPTH)
          throw new BerthError('BAD_REQUEST', `the body is nested deeper than ${MAX_DEPTH} levels`);
        break;
      case '}':
      case ']':
        open.pop();
        break;
      default:
    }
  }
}

function addKey(keys: Set<string>, key: string): void {
  if (key === '__proto__') throw new BerthError('BAD_REQUEST', 'the body has the key "__proto__"');
  if (keys.has(key)) throw new BerthError('BAD_REQUEST', `the body has the key ${shown(key)} twice in one object`);
  keys.add(key);
}

/** Position of the quote that closes the string which opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; ; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '"') return i;
  }
}
