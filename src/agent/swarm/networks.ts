/**
 * Networks of a swarm as networks of the cluster. The leader is told of each before any node is (AllocateNetwork), and what it answers
 * is what all nodes are told as the network's options (CreateNetwork): so it makes an object of it, and the answer names that.
 */

import { setTimeout as wait } from 'node:timers/promises';
import type { AllocateNetwork } from '../../docker/driver.ts';
import { formatAddress } from '../../model/address.ts';
import { asBerthError, BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import type { Objects } from '../../model/objects/kind.ts';
import { kindOf } from '../../model/objects/kinds.ts';
import { networkSubnet } from '../../model/objects/network.ts';
import { SWARM_TENANT } from '../../model/objects/tenant.ts';
import { formatPrefix, samePrefix } from '../../model/prefix.ts';
import type { Registry } from '../../objects/registry.ts';

/** Milliseconds between two looks whether a network is empty now. */
const PATIENCE = 250;

export interface SwarmNetworks {
  /**
   * The options that nodes are to be told. Called again for each network whenever a leader begins.
   *
   * @throws BerthError BAD_OPTION, BAD_SUBNET, CLUSTER_ABSENT, OBJECT_UNKNOWN, and those of the objects.
   */
  allocate(request: AllocateNetwork): Promise<Readonly<Record<string, string>>>;
  /** The unknown is free already. @throws BerthError OBJECT_IN_USE, and those of the store. */
  free(id: NetworkId, signal: AbortSignal): Promise<void>;
  /** A node is about to make a network: waits until this host has heard of the object that its options name. */
  heardOf(options: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
}

export interface SwarmNetworksParts {
  /** Undefined: this host shares no store. */
  readonly cluster:
    | {
        readonly registry: Pick<Registry, 'current' | 'put' | 'delete'>;
        objects(): Objects | undefined;
        onObjects(listener: () => void): void;
      }
    | undefined;
  /** How many nodes the swarm has, as far as known. */
  nodes(): number | undefined;
}

export function createSwarmNetworks({ cluster, nodes }: SwarmNetworksParts): SwarmNetworks {
  const waiting = new Set<() => void>();
  cluster?.onObjects(() => {
    for (const look of waiting) look();
  });

  function keyOf(options: Readonly<Record<string, string>>): string | undefined {
    return options.network === undefined ? undefined : `${options.tenant ?? 'default'}:${options.network}`;
  }

  return {
    async allocate({ id, options, subnets }) {
      if (cluster === undefined) {
        if ((nodes() ?? 1) < 2) return options;
        throw new BerthError(
          'CLUSTER_ABSENT',
          'a network of several nodes needs a store that they share, and this node has one of its own',
        );
      }
      const { registry } = cluster;
      const objects = await registry.current();
      const named = keyOf(options);
      if (named !== undefined && options.tenant !== SWARM_TENANT) {
        if (objects.get('network', named) !== undefined) return options;
        throw new BerthError('OBJECT_UNKNOWN', `the cluster has no network ${named}`);
      }
      const [subnet, second] = subnets;
      if (subnet === undefined || second !== undefined || subnet.prefix.address.family !== 4) {
        throw new BerthError('BAD_SUBNET', 'a network of a swarm has one subnet, of IPv4');
      }
      const told = { ...options, tenant: SWARM_TENANT, network: id };
      const known = objects.get('network', `${SWARM_TENANT}:${id}`);
      if (known !== undefined) {
        if (samePrefix(networkSubnet(known).prefix, subnet.prefix)) return told;
        throw new BerthError('OBJECT_CONFLICT', `the network ${id} is known with another subnet`);
      }
      if (objects.get('tenant', SWARM_TENANT) === undefined)
        await registry.put(kindOf('tenant'), SWARM_TENANT, { tenantName: SWARM_TENANT });
      await registry.put(kindOf('network'), `${SWARM_TENANT}:${id}`, {
        tenantName: SWARM_TENANT,
        networkName: id,
        subnet: formatPrefix(subnet.prefix),
        ...(subnet.gateway === undefined ? {} : { gateway: formatAddress(subnet.gateway) }),
        encap: 'vxlan',
        nwType: 'data',
      });
      return told;
    },

    async free(id, signal) {
      for (;;) {
        try {
          await cluster?.registry.delete(kindOf('network'), `${SWARM_TENANT}:${id}`);
          return;
        } catch (error) {
          const { code } = asBerthError(error);
          if (code === 'OBJECT_UNKNOWN') return;
          // The last containers have gone a moment ago, and their nodes are about to tell.
          if (code !== 'OBJECT_IN_USE' || !(await pause(PATIENCE, signal))) throw error;
        }
      }
    },

    heardOf(options, signal) {
      const key = keyOf(options);
      const here = () => key === undefined || cluster?.objects()?.get('network', key) !== undefined;
      if (cluster === undefined || here()) return Promise.resolve();
      return new Promise((resolve) => {
        const end = () => {
          waiting.delete(look);
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          resolve();
        };
        const look = () => {
          if (here()) end();
        };
        // Whoever makes the network then says what is missing, in time.
        const timer = setTimeout(end, 5000);
        signal.addEventListener('abort', end, { once: true });
        waiting.add(look);
      });
    },
  };
}

/** @returns false when there is no time left. */
function pause(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return wait(milliseconds, true, { signal }).catch(() => false);
}
