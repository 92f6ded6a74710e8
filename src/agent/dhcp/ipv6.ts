/** How a container comes by its IPv6 address on a network with DHCP: as its routers say, or as the network's options do. */

import { addressIn } from '../../dhcp/router.ts';
import type { DhcpSource } from '../../fabric/fabric.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { InterfaceAddress } from '../../model/prefix.ts';
import type { Events } from '../events.ts';
import type { Book } from './book.ts';
import type { Conversation6 } from './conversation6.ts';
import { leaseKey } from './identity.ts';
import { isSameClient } from './lease-for.ts';
import type { DhcpLease, Grant } from './record.ts';
import type { Routers } from './routers.ts';

export interface Ipv6Parts {
  readonly book: Book;
  readonly conversation: Pick<Conversation6, 'inform'>;
  readonly routers: Routers;
  readonly events: Events;
  now(): number;
}

export interface Ipv6Request {
  readonly source: DhcpSource;
  /** As the container is known to DHCPv6 servers. */
  readonly lease: DhcpLease;
  /** Milliseconds. */
  readonly patience: number;
  /** Gets an address of a DHCPv6 server. */
  obtain(): Promise<DhcpLease & { readonly granted: Grant }>;
}

/** Routers answer within half a second (RFC 4861 §10). Milliseconds. */
const PATIENCE = 2000;
/** Where there is nothing else, routers are waited for that have answered others just now (RFC 4861 §6.2.6). */
const PATIENCE_FOR_ALL = 4500;
/** For name servers, without which a container runs. */
const PATIENCE_FOR_INFORMATION = 1000;

/**
 * The address that a container gets; undefined when it goes without, because no router advertises anything and it has an IPv4 address.
 *
 * @throws BerthError DHCP_NO_ROUTER, DHCP_NO_ANSWER, DHCP_NO_ADDRESS, DHCP_REFUSED
 */
export async function ipv6Of(request: Ipv6Request, parts: Ipv6Parts): Promise<InterfaceAddress | undefined> {
  const { source, lease } = request;
  const { client, link, identity } = lease;
  if (source.ipv6 === 'dhcp') return (await request.obtain()).granted.terms.address;
  const alone = source.ipv4 === 'none';
  const heard = await parts.routers.ask(lease, Math.min(request.patience, alone ? PATIENCE_FOR_ALL : PATIENCE));
  if (source.ipv6 === 'auto' && heard?.managed) return (await request.obtain()).granted.terms.address;
  const [first] = heard?.prefixes ?? [];
  if (first === undefined) {
    const what = source.ipv6 === 'auto' ? 'an IPv6 prefix or DHCPv6' : 'an IPv6 prefix';
    const said = `no router on ${link} advertises ${what}`;
    if (alone) throw new BerthError('DHCP_NO_ROUTER', `${said}, so ${identity} has no address`);
    parts.events.emit('dhcp.no-router', `${said}: ${identity} goes without IPv6`, { link });
    return undefined;
  }
  const address = addressIn(first.prefix, client.mac);
  if (source.ipv6 === 'auto' && heard?.otherwise) await inform(request, address, heard.router, parts);
  return address;
}

/** What a DHCPv6 server knows besides is kept with the address. */
async function inform(
  { lease }: Ipv6Request,
  address: InterfaceAddress,
  router: Address,
  { book, conversation, events, now }: Ipv6Parts,
): Promise<void> {
  const requestedAt = now();
  const told = await conversation.inform(lease, PATIENCE_FOR_INFORMATION);
  if (told === undefined) {
    events.emit(
      'dhcp.unanswered',
      `the router ${formatAddress(router)} on ${lease.link} says that DHCPv6 tells more, and no server answered ${lease.identity}`,
      { link: lease.link, address: formatAddress(address.address), asked: 'inform' },
    );
    return;
  }
  const { granted: _old, requested: _older, lost: _gone, ...rest } = lease;
  const { server, dns, search } = told;
  const always = { lease: Infinity, renew: Infinity, rebind: Infinity };
  const terms = { address, server: server.address, ...always, routes: [], dns, search };
  await book.put({ ...rest, stateless: true, granted: { terms, server, requestedAt } });
}

/** The same client's lease over DHCPv6, as far as it has one that an address can be got from again. */
export function ipv6LeaseOf(lease: DhcpLease, book: Pick<Book, 'get'>): DhcpLease {
  const { granted: _its, requested: _too, lost: _gone, ...rest } = lease;
  const key = leaseKey(lease.link, lease.identity, 6);
  const { granted, requested, lost } = knownFor(lease, key, book);
  const kept = { ...(granted && { granted }), ...(requested && { requested }), ...(lost && { lost }) };
  return { ...rest, ...kept, key, family: 6 };
}

function knownFor(
  { client }: DhcpLease,
  key: string,
  book: Pick<Book, 'get'>,
): Pick<DhcpLease, 'granted' | 'requested' | 'lost'> {
  const known = book.get(key);
  return known !== undefined && isSameClient(known.client, client) && known.stateless === undefined ? known : {};
}
