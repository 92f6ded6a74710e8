/**
 * Containers that run with an address of a DHCP server and have no lease on record: the store was lost, and their networks were
 * taken up from the engine. Nobody would renew those leases, so the server is asked to confirm them.
 */

import type { DhcpSource } from '../../fabric/fabric.ts';
import { formatAddress } from '../../model/address.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import type { Events } from '../events.ts';
import type { State } from '../state.ts';
import type { Book } from './book.ts';
import type { Conversation } from './conversation.ts';
import { clientOf, leaseKey } from './identity.ts';
import type { DhcpLease, Grant } from './record.ts';

export interface TakeUpParts {
  readonly book: Book;
  readonly conversation: Conversation;
  readonly state: State;
  readonly events: Events;
  readonly hostKey: string;
  /** Milliseconds for an answer. */
  readonly patience: number;
  sourceOf(network: Network): DhcpSource | undefined;
  /** Whether the engine has an endpoint: one of ours that it has not is on its way out, and gets no lease again. */
  isThere(endpoint: EndpointId): boolean;
  now(): number;
  monotonic(): number;
}

/** @returns the keys of the leases that there are now, and were not. */
export async function takeUp(parts: TakeUpParts): Promise<readonly string[]> {
  const { book, state } = parts;
  const known = new Set(book.all().map(({ endpoint }) => endpoint));
  const unknown = [...state.endpoints.values()].filter(
    ({ id, phase }) => phase === 'attached' && !known.has(id) && parts.isThere(id),
  );
  const taken = await Promise.all(
    unknown.map(async (endpoint) => {
      const network = state.networks.get(endpoint.network);
      const source = network && parts.sourceOf(network);
      return source === undefined ? undefined : confirm(endpoint, source, parts);
    }),
  );
  return taken.filter((key) => key !== undefined);
}

async function confirm(endpoint: Endpoint, source: DhcpSource, parts: TakeUpParts): Promise<string | undefined> {
  const { book, conversation, state, events, hostKey, patience } = parts;
  const { link, clientId } = source;
  const address = endpoint.addresses.find((on) => on.address.family === 4)?.address;
  if (address === undefined) return undefined;
  const identity = `MAC ${endpoint.mac}`;
  const key = leaseKey(link, identity);
  const client = clientOf({ identity, hostKey, link, mac: endpoint.mac, clientId });
  const lease: DhcpLease = { key, identity, link, network: endpoint.network, client, endpoint: endpoint.id };
  const ending = await conversation.keep(lease, { kind: 'confirm', address }, { link }, patience);
  const shown = formatAddress(address);
  if (ending.kind !== 'granted') {
    events.emit('dhcp.unknown', `no DHCP server confirms the address ${shown}, whose lease is not in the store`, {
      link,
      address: shown,
    });
    return undefined;
  }
  if (book.of(endpoint.id).length > 0 || book.get(key) !== undefined) return undefined;
  const requestedAt = Math.round(parts.now() - (parts.monotonic() - ending.requestedAt));
  const granted: Grant = { terms: ending.terms, server: ending.server, requestedAt };
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
