/** Takes up a network that the engine has and the store does not: its definition stands in the engine. */

import type { NetworkDriver } from '../docker/driver.ts';
import type { EngineNetwork } from '../docker/engine.ts';
import type { Subnet } from '../model/network.ts';
import type { PluginConfig } from './config.ts';
import type { Leases } from './leases.ts';

/**
 * @returns a function that makes the records of a network, its pools and the addresses that run on it. What it needs must
 *   still be there (the bridge of a LAN network, say); it rejects like a `docker network create` otherwise.
 */
export function createAdoption(parts: { networkDriver: NetworkDriver; leases: Leases }) {
  return async (seen: EngineNetwork, plugin: PluginConfig): Promise<void> => {
    await parts.leases.adopt(seen);
    const subnets = seen.subnets.map(
      ({ subnet, gateway }): Subnet => ({
        prefix: subnet,
        auxiliary: {},
        ...(gateway === undefined ? {} : { gateway }),
      }),
    );
    await parts.networkDriver.createNetwork(
      {
        id: seen.id,
        subnets,
        internal: seen.internal,
        ipv6: subnets.some(({ prefix }) => prefix.address.family === 6),
        options: seen.options,
      },
      { plugin: plugin.name, signal: AbortSignal.timeout(10_000) },
    );
  };
}
