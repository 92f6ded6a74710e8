/** Pools and addresses of Neutron as the agent's API shows them, beside those that Berth leases itself. */

import type { Book } from '../../fabric/neutron/book.ts';
import type { PoolRecord, PortRecord } from '../../fabric/neutron/records.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import { formatPrefix, hostRange } from '../../model/prefix.ts';
import type { LeaseView, PoolView } from '../api.ts';
import type { Names } from '../names.ts';

/** What a pool of Docker is on a network of Neutron. Its size is that of its range: Neutron may keep some of it for itself. */
export function neutronPools({ pools, ports }: Pick<Book, 'pools' | 'ports'>): readonly PoolView[] {
  return own(pools).map((pool) => {
    const { first, last } = hostRange(pool.range ?? pool.subnet);
    const held = addressesIn(pool, ports.all()).length;
    return {
      id: pool.id,
      space: 'neutron',
      subnet: formatPrefix(pool.subnet),
      ...(pool.range && { range: formatPrefix(pool.range) }),
      released: false,
      leases: held + kept(pool).length,
      size: String(last - first + 1n),
      networks: pool.network === undefined ? [] : [pool.network],
      createdAt: new Date(pool.createdAt).toISOString(),
    };
  });
}

/** The addresses of this host's ports, and those that no container is to have. */
export function neutronLeases({ pools, ports }: Pick<Book, 'pools' | 'ports'>, names: Names): readonly LeaseView[] {
  return own(pools).flatMap((pool) => [
    ...kept(pool).map(({ address, kind }) => ({
      pool: pool.id,
      address: formatAddress(address),
      kind,
      engine: '',
      createdAt: new Date(pool.createdAt).toISOString(),
    })),
    ...addressesIn(pool, ports.all()).map(({ port: { port, phase, endpoint, mac, createdAt }, address }) => {
      const container = endpoint === undefined ? undefined : names.container(endpoint);
      return {
        pool: pool.id,
        address: formatAddress(address),
        kind: phase === 'warm' ? 'warm port' : 'port',
        ...(endpoint && { endpoint }),
        ...(container && { container }),
        ...(mac && { mac }),
        ...(port && { port }),
        engine: '',
        createdAt: new Date(createdAt).toISOString(),
      };
    }),
  ]);
}

/** Docker may know one by a second id, since a store was lost: that is no other pool. */
const own = (pools: Book['pools']): readonly PoolRecord[] => pools.all().filter((pool) => pool.as === undefined);

function kept({ gateway, auxiliary }: PoolRecord): { readonly address: Address; readonly kind: string }[] {
  return [
    ...(gateway === undefined ? [] : [{ address: gateway.address, kind: 'gateway' }]),
    ...auxiliary.map((address) => ({ address, kind: 'auxiliary' })),
  ];
}

function addressesIn(pool: PoolRecord, ports: readonly PortRecord[]) {
  return ports
    .filter(({ phase }) => phase === 'held' || phase === 'warm')
    .flatMap((port) =>
      port.addresses.filter((held) => held.pool === pool.id).map(({ on }) => ({ port, address: on.address })),
    );
}
