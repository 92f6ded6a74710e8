/** Addresses for what an engine asks, and asks again; on a LAN, none that another machine there has. */

import type { RequestAddress } from '../docker/driver.ts';
import { clusterOf } from '../fabric/cluster/settings.ts';
import type { Ipam } from '../ipam/ipam.ts';
import type { LeaseRequest, Owns } from '../ipam/leases.ts';
import { type Address, formatAddress, sameAddress } from '../model/address.ts';
import { BerthError } from '../model/errors.ts';
import type { PoolId } from '../model/ids.ts';
import type { Network } from '../model/network.ts';
import type { Lease, Pool } from '../model/pool.ts';
import { hostHolder } from '../objects/codec.ts';
import { readClusterPoolId } from './cluster/pool-id.ts';
import type { Conflicts } from './conflicts/conflicts.ts';
import type { Names } from './names.ts';
import type { State } from './state.ts';

/** How many addresses beyond the one that is given out are asked for. */
const AHEAD = 7;
/** After so many that others have it is no accident: a router answers for all of them. */
const ATTEMPTS = 32;

export interface Granting {
  /** @throws BerthError of the IPAM, which name the container that holds an address; ADDRESS_CONFLICT */
  grant(request: Omit<LeaseRequest, 'engine' | 'owns'>): Promise<Lease>;
  /** The engine gives an address back, or undoes a refusal. */
  release(pool: PoolId, address: Address): Promise<void>;
  /** CreateEndpoint refused an address that another endpoint holds: the engine is about to release it, and must not. */
  refused(pool: PoolId, address: Address): void;
  /** The engine asks for it now; again, perhaps. */
  note(pool: PoolId, address?: Address): void;
  forget(pool: PoolId, address?: Address): void;
  /** Milliseconds of `monotonic`; of what was never asked for, before all times. */
  notedAt(pool: PoolId, address?: Address): number;
  /** What leases are made out to. */
  engine(): string;
  /** Whether a lease is this host's. */
  readonly owns: Owns;
  /** Says who holds an address by the container's name, where the lease knows only an id. */
  named(error: unknown, pool: PoolId, address: Address | undefined): unknown;
}

export interface GrantingParts {
  readonly ipam: Ipam;
  readonly state: State;
  readonly names: Names;
  readonly conflicts: Pick<Conflicts, 'screens' | 'avoids' | 'claimOn'>;
  networksOn(pool: Pool): readonly Network[];
  engineId(): string | undefined;
  /** What this host is called where hosts share the store. */
  readonly hostName: string | undefined;
  /** A new engine process asks for what it remembers. */
  repeating(): boolean;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
}

const nameOf = (pool: PoolId, address?: Address): string =>
  address === undefined ? pool : `${pool} ${formatAddress(address)}`;

export function createGranting(parts: GrantingParts): Granting {
  const { ipam, state, names, conflicts } = parts;
  /** Addresses whose next release is the undoing of a refusal. */
  const refusals = new Set<string>();
  const asked = new Map<string, number>();

  function named(error: unknown, id: PoolId, address: Address | undefined): unknown {
    if (!(error instanceof BerthError) || error.code !== 'ADDRESS_TAKEN' || address === undefined) return error;
    const of = readClusterPoolId(id)?.network;
    const holder = [...state.networks.values()]
      .filter((network) => clusterOf(network)?.network === of)
      .map(({ id }) => state.holder(id, formatAddress(address)))
      .find((endpoint) => endpoint !== undefined);
    return holder === undefined
      ? error
      : new BerthError(
          'ADDRESS_TAKEN',
          `the address ${formatAddress(address)} is held by ${names.describe(holder.id)}`,
        );
  }

  /**
   * A lease; of an address that is not asked for by its number, one that no other machine of the LAN has, as far as is known.
   * Networks are served one request at a time by the engine, so the next ones are asked for at the same time.
   */
  async function leaseFree(request: LeaseRequest): Promise<Lease> {
    const pool = ipam.pool(request.pool);
    const automatic = request.address === undefined && request.holder.kind === 'request';
    const network = pool === undefined || !automatic ? undefined : parts.networksOn(pool)[0];
    if (network === undefined) return ipam.lease(request);
    const avoid = (address: Address): boolean => conflicts.avoids(network, address);
    let lease = await ipam.lease({ ...request, avoid });
    if (!conflicts.screens(network)) return lease;
    for (let attempt = 1; ; attempt++) {
      const { address } = lease;
      const claim = await conflicts.claimOn(network, address, ipam.lowestFree(request.pool, AHEAD, avoid));
      if (claim === undefined) return lease;
      await ipam.release(request.pool, address);
      lease = await ipam.lease({ ...request, avoid });
      // The same again: it is reserved for this container.
      if (attempt < ATTEMPTS && !sameAddress(lease.address, address)) continue;
      await ipam.release(request.pool, lease.address);
      const last = attempt < ATTEMPTS ? '' : `the last of ${ATTEMPTS} that were tried is `;
      throw new BerthError(
        'ADDRESS_CONFLICT',
        `another machine on the LAN has the address ${formatAddress(address)}: ${last}its MAC address is ${claim.mac}`,
      );
    }
  }

  const self: Granting = {
    async grant(request) {
      try {
        const lease = await leaseFree({
          ...request,
          engine: self.engine(),
          replay: request.replay ?? parts.repeating(),
          ...(parts.hostName !== undefined && { owns: self.owns }),
        });
        self.note(request.pool, lease.address);
        return lease;
      } catch (error) {
        throw named(error, request.pool, request.address);
      }
    },
    async release(pool, address) {
      if (refusals.delete(nameOf(pool, address))) return;
      self.forget(pool, address);
      await ipam.release(pool, address, self.owns);
    },
    refused: (pool, address) => void refusals.add(nameOf(pool, address)),
    note: (pool, address) => void asked.set(nameOf(pool, address), parts.monotonic()),
    forget: (pool, address) => void asked.delete(nameOf(pool, address)),
    notedAt: (pool, address) => asked.get(nameOf(pool, address)) ?? Number.NEGATIVE_INFINITY,
    // Machines that were made from one image have one engine id; no two hosts of a cluster have the same name.
    engine: () => (parts.hostName === undefined ? (parts.engineId() ?? 'unknown') : hostHolder(parts.hostName)),
    // From before the host was in a cluster its leases name its engine.
    owns: ({ engine }) =>
      parts.hostName === undefined || [hostHolder(parts.hostName), parts.engineId()].includes(engine),
    named,
  };
  return self;
}

/** For whom an engine asks: for one of its containers, or, as the leader of a swarm, for one of any node's. */
export function holderOf({ name, swarm, repeated }: RequestAddress): Pick<LeaseRequest, 'holder' | 'replay'> {
  return swarm === true
    ? { holder: { kind: 'swarm' }, replay: repeated === true }
    : { holder: { kind: 'request', ...(name === undefined ? {} : { name }) } };
}
