/** The options by which the containers on a LAN network are made known there by name. */

import * as z from 'zod';
import { readKeyFile } from '../../dns/key-file.ts';
import { type DomainName, parseName, ROOT } from '../../dns/name.ts';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NamingPolicy, OptionSpec } from '../fabric.ts';
import { booleanOption, integerOption, type OptionValues, printable } from '../options.ts';

export const namingOptions: readonly OptionSpec[] = [
  {
    name: 'mdns',
    values: 'true, false',
    default: 'false',
    help: 'Answer on the LAN for `NAME.local` of each container (multicast DNS). docs/lan-names.md says what NAME is.',
  },
  {
    name: 'dns_update',
    values: 'address of a DNS server, perhaps with `:PORT`',
    default: 'none',
    help: 'Register each container with this server, by dynamic updates (RFC 2136). Goes with dns_zone.',
  },
  {
    name: 'dns_zone',
    values: 'a domain, such as `home.example`',
    default: 'none',
    help: 'With dns_update: the domain that the names are in.',
  },
  {
    name: 'dns_reverse',
    values: 'auto, false, or a zone',
    default: 'auto',
    help: 'With dns_update: also register the names of the addresses (PTR): in the zone that the server has for them, not at all, or in this zone.',
  },
  {
    name: 'dns_key_file',
    values: 'absolute path',
    default: 'none',
    help: 'With dns_update: a file with the key that updates are signed with (TSIG), as `tsig-keygen` writes it. Only its owner and group may read it.',
  },
  {
    name: 'dns_ttl',
    values: '10 to 86400 seconds',
    default: '60',
    help: 'With dns_update: how long others may remember what they were told.',
  },
];

const DNS_PORT = 53;

/** As it is kept with the network; absent when its containers are not made known. */
export const Naming = z.object({
  mdns: z.boolean(),
  dns: z
    .object({
      server: z.string(),
      port: z.number(),
      zone: z.string(),
      reverse: z.string(),
      keyFile: z.string().optional(),
      ttl: z.number(),
    })
    .optional(),
});
type Naming = z.infer<typeof Naming>;

/** @throws BerthError BAD_OPTION */
export function readNaming(options: OptionValues): Naming | undefined {
  const mdns = booleanOption(options, 'mdns', false);
  const ttl = integerOption(options, 'dns_ttl', 10, 86_400) ?? 60;
  const given = options.get('dns_update');
  if (given === undefined) {
    const stray = ['dns_zone', 'dns_reverse', 'dns_key_file', 'dns_ttl'].find((name) => options.has(name));
    if (stray !== undefined) throw new BerthError('BAD_OPTION', `the option '${stray}' goes with 'dns_update'`);
    return mdns ? { mdns } : undefined;
  }
  const { address, port } = serverOption(given);
  const zone = options.get('dns_zone');
  if (zone === undefined) throw new BerthError('BAD_OPTION', "the option 'dns_update' needs a domain: -o dns_zone=");
  const keyFile = options.get('dns_key_file');
  if (keyFile !== undefined && !/^\/[^\0\n]{1,4000}$/.test(keyFile)) {
    throw new BerthError('BAD_OPTION', `the option 'dns_key_file' is an absolute path, not '${printable(keyFile)}'`);
  }
  const dns = {
    server: formatAddress(address),
    port,
    zone: domain('dns_zone', zone),
    reverse: reverseOption(options.get('dns_reverse')),
    ...(keyFile === undefined ? {} : { keyFile }),
    ttl,
  };
  return { mdns, dns };
}

/** `192.0.2.53`, `192.0.2.53:5353`, `fd00::53` or `[fd00::53]:5353`. */
function serverOption(text: string): { readonly address: Address; readonly port: number } {
  const [, six, four, after] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const address = parseAddress(six ?? four ?? text);
  const port = after === undefined ? DNS_PORT : Number(after);
  if (address !== undefined && port >= 1 && port <= 65_535) return { address, port };
  throw new BerthError(
    'BAD_OPTION',
    `the option 'dns_update' is the address of a DNS server, such as 192.0.2.53 or [fd00::53]:53, not '${printable(text)}'`,
  );
}

function reverseOption(text = 'auto'): string {
  if (text === 'auto' || text === 'true') return 'auto';
  return text === 'false' ? 'none' : domain('dns_reverse', text);
}

function domain(option: string, text: string): DomainName {
  const name = parseName(text);
  // Not what the two other values of dns_reverse are kept as.
  if (name !== undefined && name !== ROOT && (option === 'dns_zone' || name.includes('.'))) return name;
  throw new BerthError('BAD_OPTION', `the option '${option}' is a domain name, not '${printable(text)}'`);
}

/**
 * Whether the link and the key are there, and the key is nobody else's.
 *
 * @throws BerthError BAD_OPTION, without anything of what is in the file.
 */
export async function checkNaming(naming: Naming | undefined, link: string | undefined): Promise<void> {
  if (naming?.mdns === true && link === undefined) {
    throw new BerthError(
      'BAD_OPTION',
      'the host hears nothing of that LAN, so it cannot answer there: leave out -o mdns=',
    );
  }
  const path = naming?.dns?.keyFile;
  if (path === undefined) return;
  const key = await readKeyFile(path);
  if ('problem' in key) throw new BerthError('BAD_OPTION', `the key file ${printable(path)} ${key.problem}`);
}

/** @param link the link on which the network's segment is heard. */
export function namingPolicy(naming: Naming | undefined, link: string | undefined): NamingPolicy | undefined {
  if (naming === undefined) return undefined;
  const { dns } = naming;
  const mdns = naming.mdns && link !== undefined ? { mdns: { link } } : {};
  if (dns === undefined) return mdns;
  const { keyFile, port, ttl } = dns;
  const policy = {
    server: parseAddress(dns.server)!,
    port,
    zone: dns.zone as DomainName,
    reverse: dns.reverse as 'auto' | 'none' | DomainName,
    ...(keyFile === undefined ? {} : { keyFile }),
    ttl,
  };
  return { ...mdns, dns: policy };
}
