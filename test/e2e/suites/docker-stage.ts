/** A host on a LAN with IPv4 and IPv6, a machine beside it and a server beyond the gateway. */

import type { EngineVersion } from '../bed/engines.ts';
import { observe } from './observer.ts';
import { setStage } from './stage.ts';

export const HOST = '10.8.65.79';
export const HOST6 = 'fd08:65::4f';
/** A machine beside the host, which sees who comes. */
export const NEIGHBOUR = '10.8.65.200';
export const NEIGHBOUR6 = 'fd08:65::200';

export type DockerStage = ReturnType<typeof dockerStage>;

export function dockerStage(engine: EngineVersion) {
  return setStage(engine, async (bed, version) => {
    const underlay = await bed.underlay();
    const [host, neighbour] = await Promise.all([
      bed.host('host', { engine: version, underlay: [`${HOST}/24`, `${HOST6}/64`] }),
      underlay.machine('neighbour', `${NEIGHBOUR}/24`, `${NEIGHBOUR6}/64`),
    ]);
    // An address list of the host's own has no gateway.
    await host.ip('route add default via 10.8.65.1', 'route add default via fd08:65::1');
    await Promise.all([observe(neighbour), observe(underlay.outside), host.startBerth()]);
    return { host, neighbour, underlay };
  });
}
