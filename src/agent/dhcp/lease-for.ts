/** Which lease a container is to have: the one that was kept for it, or one for its identity. */

import type { Client } from '../../dhcp/client.ts';
import type { DhcpSource } from '../../fabric/fabric.ts';
import { sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { contains, prefixOf } from '../../model/prefix.ts';
import type { Book } from './book.ts';
import { clientOf, describeIdentity, leaseKey } from './identity.ts';
import type { DhcpLease, Grant } from './record.ts';
import type { Marks, Who } from './who.ts';

/** What an endpoint gets from a lease. */
export type Leased = Required<Pick<Endpoint, 'mac' | 'addresses' | 'gateways' | 'routes'>> & Pick<Endpoint, 'mtu'>;

/** For whom an address is wanted. */
export interface Applicant {
  readonly network: Network;
  readonly source: DhcpSource;
  readonly who: Who;
  /** Absent: the engine has not made it yet. */
  readonly endpoint?: EndpointId;
  /** That the user gave. */
  readonly mac?: Mac;
  /** The one that all containers of the network have. */
  readonly sharedMac?: Mac;
  /** Of which the lease is to be. Absent: 4. */
  readonly family?: 6;
}

export interface LeaseForParts {
  readonly book: Book;
  readonly hostKey: string;
  /** Of leases that are on their way to an endpoint, by key. */
  readonly pending: ReadonlyMap<string, EndpointId | undefined>;
  /** Whether a container uses a lease, in truth. */
  isUsed(lease: DhcpLease): boolean;
  /** By what a container is known when it starts. */
  marks(container: string): Marks | undefined;
}

/**
 * Where an identity is in use already, as that of a name that was given to two containers, the second is told from the first by a
 * number.
 *
 * @throws BerthError MAC_IN_USE
 */
export function leaseFor(applicant: Applicant, parts: LeaseForParts): DhcpLease {
  const { network, source, who, endpoint, family } = applicant;
  const { book, pending, isUsed } = parts;
  const remembered = book
    .all()
    .find(
      (lease) =>
        lease.container !== undefined &&
        lease.container === who.container?.id &&
        lease.network === network.id &&
        lease.family === family,
    );
  const byName = who.identity.kind === 'container' || who.identity.kind === 'compose';
  const { hostName: given, ...marks } = (who.container && parts.marks(who.container.id)) ?? {};
  const asker = { ...applicant, ...(given === undefined ? {} : { givenHostName: given }) };
  const common = {
    network: network.id,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(who.container === undefined ? {} : { container: who.container.id, ...marks }),
  };
  if (byName && remembered !== undefined && !isUsed(remembered)) {
    return {
      ...remembered,
      client: clientFor(asker, remembered.identity, parts, remembered.client),
      ...common,
    };
  }
  const name = describeIdentity(who.identity);
  for (let number = 1; ; number += 1) {
    const identity = number === 1 ? name : `${name} #${number}`;
    const key = leaseKey(source.link, identity, family);
    const known = book.get(key);
    const taken = known === undefined ? pending.has(key) : isUsed(known);
    const own = endpoint !== undefined && (pending.get(key) === endpoint || known?.endpoint === endpoint);
    if (taken && !own) {
      if (who.identity.kind !== 'mac') continue;
      const { mac } = who.identity;
      throw new BerthError('MAC_IN_USE', `the MAC address ${mac} is held by another container on ${source.link}`);
    }
    const client = clientFor(asker, identity, parts);
    const same = known !== undefined && isSameClient(known.client, client);
    return { ...(same ? known : {}), key, identity, link: source.link, client, ...common, ...(family && { family }) };
  }
}

/** Whether a server takes both for the same: by the client id (RFC 2131 §4.2), and by the MAC where it knows no better. */
export function isSameClient(one: Client, other: Client): boolean {
  return one.mac === other.mac && Buffer.compare(one.clientId, other.clientId) === 0;
}

interface Asker extends Pick<Applicant, 'source' | 'who' | 'sharedMac' | 'mac'> {
  /** `--hostname` of the container. */
  readonly givenHostName?: string;
}

/**
 * As whom a container asks.
 *
 * @param before as whom it asked before: MAC and name are kept, unless others are wanted or known.
 */
export function clientFor(
  { source, who, sharedMac, mac: wanted, givenHostName }: Asker,
  identity: string,
  { hostKey }: Pick<LeaseForParts, 'hostKey'>,
  before?: Client,
): Client {
  const mac = sharedMac ?? wanted ?? before?.mac;
  // Before the engine has answered, a container has no name.
  const hostName = source.hostName ?? givenHostName ?? (who.container?.name || before?.hostName);
  return clientOf({
    identity,
    hostKey,
    link: source.link,
    ...(mac === undefined ? {} : { mac }),
    // Those that share a MAC can be told apart by nothing else.
    clientId: sharedMac === undefined ? source.clientId : 'identity',
    ...(source.ownClientId === undefined ? {} : { ownClientId: source.ownClientId }),
    ...(hostName === undefined ? {} : { hostName }),
    ...(source.domain === undefined ? {} : { domain: source.domain }),
    ...(source.vendorClass === undefined ? {} : { vendorClass: source.vendorClass }),
    ...(source.leaseTime === undefined ? {} : { leaseTime: source.leaseTime }),
  });
}

/** What Docker is told of a lease. */
export function leased({ client, granted }: DhcpLease & { readonly granted: Grant }): Leased {
  const { address, gateway, routes, mtu } = granted.terms;
  const usable = gateway !== undefined && !sameAddress(gateway, address.address) ? gateway : undefined;
  // A gateway beyond the subnet has to be reached on the link first (RFC 3442 foresees it; the engine refuses it else).
  const reach =
    usable === undefined || contains(prefixOf(address), usable)
      ? []
      : [{ destination: { address: usable, length: 32 } }];
  return {
    mac: client.mac,
    addresses: [address],
    gateways: usable === undefined ? [] : [usable],
    routes: [...reach, ...routes],
    ...(mtu === undefined ? {} : { mtu }),
  };
}
