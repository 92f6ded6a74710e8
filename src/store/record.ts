/** Values as they stand behind a key: JSON with a version, from which memory has values and not text. */

import * as z from 'zod';
import { BerthError } from '../model/errors.ts';
import { SCHEMA_VERSION } from '../model/keys.ts';

/** For a schema: text that one of the model's parsers understands. */
export function parsed<Value>(parse: (text: string) => Value | undefined, what: string) {
  return z.string().transform((text, context): Value => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `'${text}' is not ${what}` });
    return z.NEVER;
  });
}

/**
 * The value behind a key.
 *
 * @throws BerthError STORE_NEWER when a later version of Berth wrote it, STORE_CORRUPT when it cannot be read; both name the key.
 */
export function decodeRecord<Value>(schema: z.ZodType<Value>, key: string, text: string): Value {
  const raw = parseRecord(key, text);
  const version = (raw as { version?: unknown } | null)?.version;
  if (typeof version === 'number' && version > SCHEMA_VERSION) {
    throw new BerthError(
      'STORE_NEWER',
      `the value of ${key} in the store has version ${version}, and this Berth knows up to ${SCHEMA_VERSION}`,
    );
  }
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue!.path.length === 0 ? '' : `${issue!.path.join('.')}: `;
  throw new BerthError('STORE_CORRUPT', `the value of ${key} in the store cannot be read: ${where}${issue!.message}`);
}

/** What only its writer knows the form of. @throws BerthError STORE_CORRUPT */
export function parseRecord(key: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BerthError('STORE_CORRUPT', `the value of ${key} in the store is not JSON`, { cause: error });
  }
}
