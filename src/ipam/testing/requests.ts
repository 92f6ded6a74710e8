/** What the tests ask of an IPAM, with the addresses as text. */

import { formatAddress, parseAddress } from '../../model/address.ts';
import type { EndpointId, NetworkId, PoolId } from '../../model/ids.ts';
import type { LeaseHolder, Pool } from '../../model/pool.ts';
import { parsePrefix } from '../../model/prefix.ts';
import type { Store } from '../../store/store.ts';
import type { Ipam } from '../ipam.ts';
import type { LeaseRequest } from '../leases.ts';

export const prefix = (text: string) => parsePrefix(text)!;
export const address = (text: string) => parseAddress(text)!;

export const endpoint = (n: number): LeaseHolder & { kind: 'endpoint' } => ({
  kind: 'endpoint',
  endpoint: `${n}`.repeat(64).slice(0, 64) as EndpointId,
  network: 'n'.repeat(64) as NetworkId,
});

export async function openPool(
  ipam: Ipam,
  text: string,
  more: { readonly space?: string; readonly range?: string } = {},
): Promise<Pool> {
  const subnet = prefix(text);
  return await ipam.openPool({
    space: more.space ?? 'berth',
    subnet,
    ...(more.range === undefined ? {} : { range: prefix(more.range) }),
    family: subnet.address.family,
    options: {},
    taken: [],
  });
}

export async function leaseAddress(
  ipam: Ipam,
  pool: PoolId,
  text?: string,
  more: Partial<LeaseRequest> = {},
): Promise<string> {
  const request: LeaseRequest = { pool, holder: { kind: 'request' }, engine: 'A', ...more };
  const given = await ipam.lease(text === undefined ? request : { ...request, address: address(text) });
  return formatAddress(given.address);
}

export async function keysIn(store: Store): Promise<string[]> {
  return (await store.list('')).entries.map(({ key }) => key);
}
