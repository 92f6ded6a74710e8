/**
 * Containers that run with an address of a DHCP server and have no lease on record: the store was lost, and their networks were
 * taken up from the engine. Nobody would renew those leases, so the server is asked to confirm them.
 */

import { addressIn } from '../../dhcp/router.ts';
import type { ListedContainer } from '../../docker/engine.ts';
import type { DhcpSource } from '../../fabric/fabric.ts';
import { formatAddress, sameAddress } from '../../model/address.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { type InterfaceAddress, prefixOf } from '../../model/prefix.ts';
import type { Events } from '../events.ts';
import type { State } from '../state.ts';
import type { Book } from './book.ts';
import { identityOf } from './containers.ts';
import type { Conversation } from './conversation.ts';
import { describeIdentity, leaseKey } from './identity.ts';
import { clientFor } from './lease-for.ts';
import type { DhcpLease, Grant } from './record.ts';
import type { Marks, Who } from './who.ts';

export interface TakeUpParts {
  readonly book: Book;
  readonly conversation: Conversation;
  readonly state: State;
  readonly events: Events;
  readonly hostKey: string;
  /** Milliseconds for an answer. */
  readonly patience: number;
  sourceOf(network: Network): DhcpSource | undefined;
  /** The container that has an endpoint in the engine: one that it does not know is on its way out, and gets no lease again. */
  ownerOf(endpoint: EndpointId): string | undefined;
  container(id: string): ListedContainer | undefined;
  marks(container: string): Marks | undefined;
  sharedMac(network: Network): Mac | undefined;
  /** Those that no server would confirm, in words: told once, and asked for again at each look. */
  readonly unconfirmed: Map<string, string>;
  now(): number;
  monotonic(): number;
}

/** @returns the keys of the leases that there are now, and were not. */
export async function takeUp(parts: TakeUpParts): Promise<readonly string[]> {
  const { book, state } = parts;
  const known = new Set(book.all().map(({ endpoint, family }) => `${endpoint} ${family ?? 4}`));
  const attached = [...state.endpoints.values()].filter(
    ({ id, phase }) => phase === 'attached' && parts.ownerOf(id) !== undefined,
  );
  const taken = await Promise.all(
    attached.flatMap((endpoint) => {
      const network = state.networks.get(endpoint.network);
      const source = network && parts.sourceOf(network);
      if (source === undefined) return [];
      return endpoint.addresses
        .filter((held) => !known.has(`${endpoint.id} ${held.address.family}`) && isLeased(held, endpoint, source))
        .map((held) => confirm(endpoint, held, network!, source, parts));
    }),
  );
  return taken.filter((key) => key !== undefined);
}

/** Whether a server gave an address, as far as that can be told: a container may have made it of a prefix. */
function isLeased({ address, length }: InterfaceAddress, { mac }: Endpoint, { ipv6 }: DhcpSource): boolean {
  if (address.family === 4) return true;
  if (ipv6 !== 'dhcp' && ipv6 !== 'auto') return false;
  return length !== 64 || !sameAddress(addressIn(prefixOf({ address, length }), mac).address, address);
}

async function confirm(
  endpoint: Endpoint,
  held: InterfaceAddress,
  network: Network,
  source: DhcpSource,
  parts: TakeUpParts,
): Promise<string | undefined> {
  const { book, conversation, state, events, patience } = parts;
  const { link } = source;
  const { address } = held;
  const family = address.family === 6 ? 6 : undefined;
  // Who it is decides the client id, where that is not the MAC: the server knows it by the one from before.
  const container = parts.container(parts.ownerOf(endpoint.id)!);
  const who: Who = {
    identity: container === undefined ? { kind: 'mac', mac: endpoint.mac } : identityOf(container),
    unsure: false,
    ...(container === undefined ? {} : { container }),
  };
  const sharedMac = parts.sharedMac(network);
  const identity = describeIdentity(who.identity);
  const key = leaseKey(link, identity, family);
  const given = container && parts.marks(container.id)?.hostName;
  const applicant = {
    source,
    who,
    mac: endpoint.mac,
    ...(sharedMac === undefined ? {} : { sharedMac }),
    ...(given === undefined ? {} : { givenHostName: given }),
  };
  const client = clientFor(applicant, identity, parts);
  const whose = { key, identity, link, network: network.id, client, endpoint: endpoint.id };
  const lease: DhcpLease = { ...whose, ...(family && { family }) };
  const ending = await conversation.keep(lease, { kind: 'confirm', address }, { link }, patience);
  const shown = formatAddress(address);
  const problem = `${endpoint.id} ${address.family}`;
  if (ending.kind !== 'granted') {
    if (!parts.unconfirmed.has(problem)) {
      events.emit('dhcp.unknown', `no DHCP server confirms the address ${shown}, whose lease is not in the store`, {
        link,
        address: shown,
      });
    }
    parts.unconfirmed.set(
      problem,
      `${identity} has the address ${shown}, which no DHCP server confirms: start it again`,
    );
    return undefined;
  }
  parts.unconfirmed.delete(problem);
  if (book.of(endpoint.id).some((one) => one.family === family) || book.get(key) !== undefined) return undefined;
  const requestedAt = Math.round(parts.now() - (parts.monotonic() - ending.requestedAt));
  // A server of DHCPv6 tells no length.
  const terms = family === 6 ? { ...ending.terms, address: held } : ending.terms;
  const granted: Grant = { terms, server: ending.server, requestedAt };
  // It went while the server was asked: nobody would give this back.
  if (state.endpoints.get(endpoint.id)?.phase !== 'attached') {
    await conversation.giveBack({ ...lease, granted });
    return undefined;
  }
  await book.put({ ...lease, granted });
  events.emit('dhcp.adopted', `the lease of ${shown} was taken over from the DHCP server: it was not in the store`, {
    link,
    address: shown,
  });
  return key;
}
