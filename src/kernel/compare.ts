/** Compares a declared object with a found one. Pure. */

import { type Address, formatAddress } from '../model/address.ts';
import type { KernelObject } from './objects.ts';

/** Whether everything that was declared is found as declared. What was not declared is not compared. */
export function satisfies(declared: KernelObject, found: KernelObject): boolean {
  return declared === found || matches(declared, found);
}

/** The fields that differ, for a drift report. */
export function differences(
  declared: KernelObject,
  found: KernelObject,
): { readonly name: string; readonly declared: string; readonly found: string }[] {
  const fields: { name: string; declared: string; found: string }[] = [];
  const there = found as unknown as Readonly<Record<string, unknown>>;
  for (const [name, value] of Object.entries(declared)) {
    if (value !== undefined && !matches(value, there[name])) {
      fields.push({ name, declared: show(value), found: show(there[name]) });
    }
  }
  return fields;
}

function matches(declared: unknown, found: unknown): boolean {
  if (declared === undefined || declared === found) return true;
  if (typeof declared !== 'object' || declared === null || typeof found !== 'object' || found === null) return false;
  const there = found as Readonly<Record<string, unknown>>;
  return Object.entries(declared).every(([name, value]) => matches(value, there[name]));
}

/** Longer than this, a value is cut: a table's body may be a hundred lines. */
const SHOWN = 300;

function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'none';
  const line = text(value).replaceAll(/\s+/g, ' ').trim();
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}…` : line;
}

function text(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (isAddress(value)) return formatAddress(value);
  if ('address' in value && 'length' in value && isAddress(value.address)) {
    return `${formatAddress(value.address)}/${String(value.length)}`;
  }
  const parts = Object.entries(value).filter(([, part]) => part !== undefined);
  return parts.map(([name, part]) => `${name} ${text(part)}`).join(', ');
}

function isAddress(value: unknown): value is Address {
  return typeof value === 'object' && value !== null && 'family' in value && 'value' in value;
}
