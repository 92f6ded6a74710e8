/** What `berth attach` asks for: from JSON and text to values. */

import * as z from 'zod';
import { type Address, formatAddress, parseAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import { isLinkName } from '../model/ids.ts';
import { type Mac, macFromText, parseMac } from '../model/mac.ts';
import { parseInterfaceAddress } from '../model/prefix.ts';

const options = z.record(z.string(), z.string()).default({});

const Body = z.strictObject({
  container: z.string().min(1).max(255),
  interface: z.string().optional(),
  network: z.string().optional(),
  addresses: z.array(z.string()).max(2).default([]),
  noAddress: z.boolean().default(false),
  gateways: z.array(z.string()).default([]),
  mac: z.string().optional(),
  keep: z.boolean().default(false),
  options,
  endpointOptions: options,
});

/** An address, with the length of its subnet where that does not follow from the network. */
export interface WantedAddress {
  readonly address: Address;
  readonly length?: number;
}

export interface AttachRequest {
  readonly container: string;
  readonly interface?: string;
  /** Name or id of a network whose settings it shall have. */
  readonly network?: string;
  readonly addresses: readonly WantedAddress[];
  readonly noAddress: boolean;
  readonly gateways: readonly Address[];
  readonly mac?: Mac;
  readonly keep: boolean;
  /** Of the network, where none is named. */
  readonly options: Readonly<Record<string, string>>;
  readonly endpointOptions: Readonly<Record<string, string>>;
  /** All of it but the container, as one text: the same for the same request. */
  readonly canonical: string;
}

/** @throws BerthError BAD_REQUEST, BAD_ADDRESS, BAD_OPTION */
export function readAttachRequest(body: unknown): AttachRequest {
  const parsed = Body.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new BerthError('BAD_REQUEST', `${issue.path.join('.') || 'the request'}: ${issue.message}`);
  }
  const { container, interface: link, network, mac, noAddress, keep, options, endpointOptions } = parsed.data;
  if (link !== undefined && !isLinkName(link)) {
    throw new BerthError('BAD_OPTION', `'${shown(link)}' cannot be the name of an interface`);
  }
  const given = parsed.data.addresses.map(readAddress);
  const gateways = [...given.flatMap(({ gateway }) => gateway ?? []), ...parsed.data.gateways.map(readGateway)];
  checkFamilies(given, gateways);
  if (noAddress && given.length > 0) throw new BerthError('BAD_OPTION', 'an address is given, and none is wanted');
  const chosen = mac === undefined ? undefined : readMac(mac);
  const request = {
    ...(link === undefined ? {} : { interface: link }),
    ...(network === undefined ? {} : { network }),
    addresses: given.map(({ address, length }) => ({ address, ...(length === undefined ? {} : { length }) })),
    noAddress,
    gateways,
    ...(chosen === undefined ? {} : { mac: chosen }),
    keep,
    options,
    endpointOptions,
  };
  return { container, ...request, canonical: canonicalText(request) };
}

/** `ADDRESS/LENGTH`, as pipework takes it also with `@GATEWAY`; in a network whose subnets are known, also `ADDRESS`. */
function readAddress(text: string): WantedAddress & { readonly gateway?: Address } {
  const [on = '', via, ...more] = text.split('@');
  const parsed = parseInterfaceAddress(on) ?? { address: parseAddress(on) };
  const gateway = via === undefined ? undefined : parseAddress(via);
  if (parsed.address === undefined || more.length > 0 || (via !== undefined && gateway === undefined)) {
    throw new BerthError('BAD_ADDRESS', `'${shown(text)}' is not an address such as 192.168.1.200/24`);
  }
  return { ...parsed, address: parsed.address, ...(gateway === undefined ? {} : { gateway }) };
}

function readGateway(text: string): Address {
  const address = parseAddress(text);
  if (address === undefined) throw new BerthError('BAD_ADDRESS', `the gateway '${shown(text)}' is not an address`);
  return address;
}

/** `U:text`, as pipework has it, is a MAC address that follows from the text. */
function readMac(text: string): Mac {
  const mac = text.startsWith('U:') ? macFromText(text.slice(2)) : parseMac(text);
  if (mac === undefined) {
    throw new BerthError(
      'BAD_ADDRESS',
      `'${shown(text)}' is not the MAC address of an interface, such as 0a:00:00:00:00:05`,
    );
  }
  return mac;
}

/** @throws BerthError BAD_ADDRESS */
function checkFamilies(addresses: readonly WantedAddress[], gateways: readonly Address[]): void {
  for (const family of [4, 6] as const) {
    const of = addresses.filter(({ address }) => address.family === family);
    const through = gateways.filter((gateway) => gateway.family === family);
    if (of.length > 1) throw new BerthError('BAD_ADDRESS', `two IPv${family} addresses are given`);
    if (through.length > 1) throw new BerthError('BAD_ADDRESS', `two IPv${family} gateways are given`);
  }
}

function canonicalText(request: object): string {
  return JSON.stringify(request, (_key, value: unknown) => {
    if (isAddress(value)) return formatAddress(value);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function isAddress(value: unknown): value is Address {
  return typeof value === 'object' && value !== null && 'family' in value && 'value' in value;
}

function shown(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?').slice(0, 64);
}
