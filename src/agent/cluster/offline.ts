/**
 * Addresses while the shared store is away. What this host's containers hold stays theirs: a release is only noted, and a container
 * that starts may have an address that another one of this host has just let go of, for in the store it is still this host's. So a
 * container can be restarted. When the store is back it is told what has become of each.
 */

import * as z from 'zod';
import type { Notes } from '../../fabric/fabric.ts';
import { decodeLease, encodeLease } from '../../ipam/codec.ts';
import type { Ipam } from '../../ipam/ipam.ts';
import type { LeaseRequest, Owns } from '../../ipam/leases.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { PoolId } from '../../model/ids.ts';
import type { Json } from '../../model/network.ts';
import type { Lease } from '../../model/pool.ts';
import { contains } from '../../model/prefix.ts';
import { StoreNotReached } from '../../store/store.ts';
import type { Events } from '../events.ts';
import { readClusterPoolId } from './pool-id.ts';

export interface OfflineIpam extends Ipam {
  /** The store may be back: tells it what has become of what, as far as that can be done now. Never rejects. */
  settle(): Promise<void>;
}

export interface OfflineParts {
  readonly ipam: Ipam;
  /** The store did not answer when it was last asked. */
  away(): boolean;
  readonly notes: Notes;
  readonly events: Pick<Events, 'emit'>;
}

/** An address that the store has for something that is over here. */
interface Held {
  /** As it is here: of the last container that had the address, or of the one that has it now. */
  readonly lease: Lease;
  readonly inUse: boolean;
}

const NOTE = 'cluster/held/';
const Note = z.object({ lease: z.string(), inUse: z.boolean() });

const nameOf = (pool: PoolId, address: Address): string => `${pool} ${formatAddress(address)}`;

/** Reads what an earlier process could not tell the store. */
export async function withoutStore({ ipam, away, notes, events }: OfflineParts): Promise<OfflineIpam> {
  const held = new Map<string, Held>();
  for (const [name, value] of await notes.list(NOTE)) {
    const note = Note.safeParse(value);
    if (!note.success) continue;
    held.set(name.slice(NOTE.length), { lease: decodeLease(name, note.data.lease), inUse: note.data.inUse });
  }
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const turn = last.then(work, work);
    last = turn.catch(() => undefined);
    return turn;
  };
  /** All at once; but one at a time while there is anything that the store has not been told, for each decides by what the others left. */
  const asItIs = <Result>(work: () => Promise<Result>): Promise<Result> =>
    held.size === 0 && !away() ? work() : inTurn(work);

  const hold = async (lease: Lease, inUse: boolean): Promise<void> => {
    const name = nameOf(lease.pool, lease.address);
    held.set(name, { lease, inUse });
    await notes.put(NOTE + name, { lease: encodeLease(lease), inUse } satisfies Json);
  };
  const letGo = async (name: string): Promise<void> => {
    held.delete(name);
    await notes.delete(NOTE + name);
  };

  /** By name, leases whose release was not answered: once it has been done they are another host's, and are not ours to give out. */
  const doubtful = new Map<string, number>();
  const isDoubtful = ({ pool, address, createdAt }: Lease): boolean =>
    doubtful.get(nameOf(pool, address)) === createdAt;

  /** @throws those of the store; where it was not reached, nothing has been done. */
  async function releaseThere(lease: Lease | undefined, pool: PoolId, address: Address, owns: Owns): Promise<void> {
    try {
      await ipam.release(pool, address, owns);
    } catch (error) {
      if (lease !== undefined && !(error instanceof StoreNotReached))
        doubtful.set(nameOf(pool, address), lease.createdAt);
      throw error;
    }
    doubtful.delete(nameOf(pool, address));
  }

  const isAway = (error: unknown): boolean => asBerthError(error).code === 'STORE_UNAVAILABLE';

  /** An address of this host that is free here: the one asked for; else that of the same container, as far as it is known; else any. */
  function spare({ pool, address, mac, holder, limits }: LeaseRequest): Held | undefined {
    const record = ipam.pool(pool);
    const ranges = record === undefined || address !== undefined ? undefined : limits?.(record).ranges;
    const suits = ({ value }: Address) => ranges?.some(({ first, last }) => value >= first && value <= last) ?? true;
    const free = [...held.values()].filter(({ lease, inUse }) => lease.pool === pool && !inUse && suits(lease.address));
    if (address !== undefined) return free.find(({ lease }) => sameAddress(lease.address, address));
    const name = 'name' in holder ? holder.name : undefined;
    return (
      free.find(({ lease }) => mac !== undefined && lease.mac === mac) ??
      free.find(({ lease }) => name !== undefined && 'name' in lease.holder && lease.holder.name === name) ??
      free[0]
    );
  }

  async function leaseHere(request: LeaseRequest, why: unknown): Promise<Lease> {
    const found = request.holder.kind === 'gateway' ? undefined : spare(request);
    if (found === undefined) throw why;
    const { mac, holder } = request;
    const lease = { ...found.lease, holder, ...(mac === undefined ? {} : { mac }) };
    await hold(lease, true);
    return lease;
  }

  async function settleOne(name: string, { lease, inUse }: Held): Promise<void> {
    const { pool, address } = lease;
    if (inUse) {
      if (!(await ipam.rehold(lease))) {
        events.emit(
          'lease.lost',
          `the address ${formatAddress(address)} of a container of this host was given to another while the store was away`,
          { address: formatAddress(address) },
        );
      }
    } else {
      // Of the host, as it was when it was noted: whoever removes a host from the cluster frees what it held.
      const isIt = ({ engine, createdAt }: Lease) => engine === lease.engine && createdAt === lease.createdAt;
      await releaseThere(lease, pool, address, isIt).catch(async (error: unknown) => {
        // The IPAM sees to the end of it.
        if (isDoubtful(lease)) await letGo(name);
        throw error;
      });
    }
    await letGo(name);
  }

  const gone = (): BerthError => new BerthError('STORE_UNAVAILABLE', 'the store that the hosts share does not answer');

  return {
    ...ipam,
    async lease(request) {
      if (away() && request.holder.kind !== 'gateway') return await inTurn(() => leaseHere(request, gone()));
      try {
        return await asItIs(() => ipam.lease(request));
      } catch (error) {
        if (!isAway(error)) throw error;
        return await inTurn(() => leaseHere(request, error));
      }
    },
    claim: (subnet, address, holder, mac, network) =>
      asItIs(async () => {
        const own = [...held.values()].find(
          ({ lease, inUse }) =>
            inUse &&
            sameAddress(lease.address, address) &&
            contains(subnet, address) &&
            readClusterPoolId(lease.pool)?.network === network,
        );
        if (own === undefined) return await ipam.claim(subnet, address, holder, mac, network);
        const { lease } = own;
        const name = 'name' in lease.holder ? lease.holder.name : undefined;
        const named = name === undefined || holder.kind !== 'endpoint' ? holder : { ...holder, name };
        const claimed = { ...lease, holder: named, ...(mac === undefined ? {} : { mac }) };
        await hold(claimed, true);
        return claimed;
      }),
    release: (pool, address, owns = () => true) =>
      asItIs(async () => {
        const name = nameOf(pool, address);
        const own = held.get(name)?.lease ?? ipam.find(pool, address);
        const note = async (): Promise<void> => {
          if (own === undefined || own.holder.kind === 'gateway' || !owns(own)) return;
          // The engine has given it back before, or the collector frees what the engine could not give back.
          if (!isDoubtful(own)) await hold(own, false);
        };
        if (held.has(name) || away()) return await note();
        try {
          await releaseThere(own, pool, address, owns);
        } catch (error) {
          if (!(error instanceof StoreNotReached)) throw error;
          await note();
        }
      }),
    find: (pool, address) => held.get(nameOf(pool, address))?.lease ?? ipam.find(pool, address),
    leases: () =>
      ipam.leases().flatMap((lease) => {
        const own = held.get(nameOf(lease.pool, lease.address));
        return own === undefined ? [lease] : own.inUse ? [own.lease] : [];
      }),
    settle: () =>
      inTurn(async () => {
        for (const [name, one] of held) {
          if (away()) return;
          try {
            await settleOne(name, one);
          } catch (error) {
            if (isAway(error)) return;
            events.emit('lease.unsettled', `cannot tell the store of ${name}: ${asBerthError(error).message}`);
          }
        }
      }),
  };
}
