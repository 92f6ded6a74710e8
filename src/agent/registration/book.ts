/** What has been registered where, written down before it is done: so that it is taken back also after a crash. */

import * as z from 'zod';
import type { DomainName } from '../../dns/name.ts';
import type { Notes } from '../../fabric/fabric.ts';
import { type Address, formatAddress, parseAddress } from '../../model/address.ts';
import type { Mac } from '../../model/mac.ts';

/** A name that may stand at a DNS server. */
export interface DnsEntry {
  readonly name: DomainName;
  readonly server: Address;
  readonly port: number;
  readonly keyFile?: string;
  readonly reverse: 'auto' | 'none' | DomainName;
  /** All that may be there now. */
  readonly addresses: readonly Address[];
  readonly endpoint: string;
  /** What its container wanted to be called, without a number. */
  readonly label: string;
}

/** A name that has been announced on a link. */
export interface MdnsEntry {
  readonly link: string;
  readonly endpoint: string;
  /** What its container wanted to be called, and what it is called. */
  readonly label: string;
  readonly held: string;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  readonly services: readonly { readonly type: string; readonly port: number; readonly text: readonly string[] }[];
}

export interface Book {
  readonly dns: ReadonlyMap<string, DnsEntry>;
  readonly mdns: ReadonlyMap<string, MdnsEntry>;
  putDns(key: string, entry: DnsEntry): Promise<void>;
  deleteDns(key: string): Promise<void>;
  putMdns(key: string, entry: MdnsEntry): Promise<void>;
  deleteMdns(key: string): Promise<void>;
}

const address = z.string().transform((text, context): Address => {
  const value = parseAddress(text);
  if (value !== undefined) return value;
  context.addIssue({ code: 'custom', message: 'is no address' });
  return z.NEVER;
});
const name = z.string().transform((text) => text as DomainName);

const DnsRecord = z.object({
  name,
  server: address,
  port: z.number(),
  keyFile: z.string().optional(),
  reverse: name,
  addresses: z.array(address),
  endpoint: z.string(),
  label: z.string(),
});
const MdnsRecord = z.object({
  link: z.string(),
  endpoint: z.string(),
  label: z.string(),
  held: z.string(),
  mac: z.string().transform((text) => text as Mac),
  addresses: z.array(address),
  services: z.array(z.object({ type: z.string(), port: z.number(), text: z.array(z.string()) })),
});

const DNS = 'name/dns/';
const MDNS = 'name/mdns/';

/** Reads everything once. @param unreadable told of a note that means nothing; it is forgotten. */
export async function openBook(notes: Notes, unreadable: (key: string) => void): Promise<Book> {
  const dns = new Map<string, DnsEntry>();
  const mdns = new Map<string, MdnsEntry>();

  async function read<Entry>(prefix: string, schema: z.ZodType<unknown>, into: Map<string, Entry>): Promise<void> {
    for (const [key, value] of await notes.list(prefix)) {
      const result = schema.safeParse(value);
      if (result.success) into.set(key.slice(prefix.length), result.data as Entry);
      else {
        unreadable(key);
        await notes.delete(key);
      }
    }
  }
  await read(DNS, DnsRecord, dns);
  await read(MDNS, MdnsRecord, mdns);

  const addresses = (of: readonly Address[]): string[] => of.map(formatAddress);
  return {
    dns,
    mdns,
    async putDns(key, entry) {
      const { keyFile, ...rest } = entry;
      await notes.put(DNS + key, {
        ...rest,
        ...(keyFile === undefined ? {} : { keyFile }),
        server: formatAddress(entry.server),
        addresses: addresses(entry.addresses),
      });
      dns.set(key, entry);
    },
    async deleteDns(key) {
      await notes.delete(DNS + key);
      dns.delete(key);
    },
    async putMdns(key, entry) {
      const services = entry.services.map(({ type, port, text }) => ({ type, port, text: [...text] }));
      await notes.put(MDNS + key, { ...entry, services, addresses: addresses(entry.addresses) });
      mdns.set(key, entry);
    },
    async deleteMdns(key) {
      await notes.delete(MDNS + key);
      mdns.delete(key);
    },
  };
}
