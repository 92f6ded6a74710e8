/**
 * The addresses that this host itself has in networks for hosts (`nwType: infra`): one of each family, leased when the network comes to
 * this host, and kept. The lease itself says that it is this host's, so nothing else has to be remembered.
 */

import { clusterKey, settingsOf } from '../../fabric/cluster/settings.ts';
import type { Ipam } from '../../ipam/ipam.ts';
import { limitsOf } from '../../ipam/layout.ts';
import { asBerthError } from '../../model/errors.ts';
import type { PoolId } from '../../model/ids.ts';
import { poolId } from '../../model/pool.ts';
import type { InterfaceAddress, Prefix } from '../../model/prefix.ts';
import { hostHolder } from '../../objects/codec.ts';
import { gateOpen } from '../../objects/gate.ts';
import type { Events } from '../events.ts';
import type { State } from '../state.ts';

export interface OwnAddressesParts {
  readonly host: string;
  readonly state: Pick<State, 'networks' | 'onChange'>;
  readonly ipam: Pick<Ipam, 'leasesOf' | 'lease'>;
  readonly events: Pick<Events, 'emit'>;
  /** What there is of a network (`TENANT:NETWORK`) has changed; none: the network is not on this host any more. */
  tell(network: string, addresses: readonly InterfaceAddress[]): void;
}

/** Until what could not be leased is tried again. Milliseconds. */
const RETRY = 5000;

/** Tells at once what is leased already, and what is leased from then on. @returns resolves when nothing is left to be leased now. */
export function keepOwnAddresses({ host, state, ipam, events, tell }: OwnAddressesParts): () => Promise<void> {
  const told = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();

  /** The networks for hosts that are here, with their subnets. */
  function wanted(): Map<string, readonly Prefix[]> {
    const networks = new Map<string, readonly Prefix[]>();
    for (const network of state.networks.values()) {
      if (network.fabric !== 'cluster' || settingsOf(network).cluster?.kind !== 'infra') continue;
      networks.set(
        clusterKey(network)!,
        network.subnets.map(({ prefix }) => prefix),
      );
    }
    return networks;
  }

  const held = (pool: PoolId) =>
    ipam.leasesOf(pool).find(({ engine, holder }) => engine === hostHolder(host) && holder.kind === 'auxiliary');

  function report(key: string, subnets: readonly Prefix[]): void {
    const addresses = subnets.flatMap((subnet): InterfaceAddress[] => {
      const lease = held(poolId(key, subnet));
      return lease === undefined ? [] : [{ address: lease.address, length: subnet.length }];
    });
    const shown = addresses.map(({ address }) => address.value).join();
    if ((told.get(key) ?? '') === shown) return;
    told.set(key, shown);
    tell(key, addresses);
  }

  async function lease(key: string, subnet: Prefix): Promise<void> {
    const pool = poolId(key, subnet);
    if (held(pool) !== undefined) return;
    await ipam.lease({
      pool,
      holder: { kind: 'auxiliary' },
      engine: hostHolder(host),
      limits: (of) => limitsOf(of, undefined),
      conditions: gateOpen(key),
    });
  }

  async function work(): Promise<void> {
    const networks = wanted();
    for (const key of told.keys()) {
      if (networks.has(key)) continue;
      told.delete(key);
      tell(key, []);
    }
    for (const [key, subnets] of networks) {
      try {
        for (const subnet of subnets) await lease(key, subnet);
      } catch (error) {
        const { code, message } = asBerthError(error);
        // The store tells itself that it is away.
        if (code !== 'STORE_UNAVAILABLE')
          events.emit('cluster.failed', `cannot give this host an address in ${key}: ${message}`, { network: key });
        clearTimeout(timer);
        timer = setTimeout(() => void update(), RETRY).unref();
      }
      report(key, subnets);
    }
  }

  const update = (): Promise<void> => {
    last = last.then(work);
    return last;
  };

  for (const [key, subnets] of wanted()) report(key, subnets);
  let known = '';
  state.onChange(() => {
    const now = [...wanted().keys()].toSorted().join(' ');
    if (now === known) return;
    known = now;
    void update();
  });
  return update;
}
