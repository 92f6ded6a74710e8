/** Rates and sizes as `tc` writes them (tc(8), "PARAMETERS"). */

import { BerthError } from '../model/errors.ts';
import { type OptionValues, printable } from './options.ts';

const decimal = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 } as const;
const binary = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 } as const;
/** Less than a full packet a second is no rate. */
const LEAST_RATE = 16_000;
const GREATEST_RATE = 1e12;

/**
 * Bits per second: `100mbit`, `12.5mbps` (bytes), `1gibit`; a number alone is bits.
 *
 * @throws BerthError BAD_OPTION
 */
export function rateOption(values: OptionValues, name: string): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,6})?)(?:([kmgt]i?)?(bit|bps))?$/i.exec(value);
  const factor = decimal[(match?.[2]?.toLowerCase() ?? '') as keyof typeof decimal];
  const rate = Math.round(Number(match?.[1]) * factor * (match?.[3]?.toLowerCase() === 'bps' ? 8 : 1));
  if (match === null || rate < LEAST_RATE || rate > GREATEST_RATE) {
    throw new BerthError(
      'BAD_OPTION',
      `the option '${name}' is a rate from 16kbit to 1tbit, such as 100mbit or 12.5mbps (bytes), not '${printable(value)}'`,
    );
  }
  return rate;
}

/**
 * Bytes: `64k` or `64kb`, `1mbit`; a number alone is bytes.
 *
 * @throws BerthError BAD_OPTION
 */
export function sizeOption(values: OptionValues, name: string, least: number, most: number): number | undefined {
  const value = values.get(name);
  if (value === undefined) return undefined;
  const match = /^([0-9]{1,12})(?:([kmg])?(b|bit)?)?$/i.exec(value);
  const factor = binary[(match?.[2]?.toLowerCase() ?? '') as keyof typeof binary];
  const size = Math.floor((Number(match?.[1]) * factor) / (match?.[3]?.toLowerCase() === 'bit' ? 8 : 1));
  if (match === null || size < least || size > most) {
    throw new BerthError(
      'BAD_OPTION',
      `the option '${name}' is a size from ${least} bytes to ${most / 2 ** 20}mb, such as 64kb, not '${printable(value)}'`,
    );
  }
  return size;
}
