/**
 * The physical network of the old plugin's transcript: 192.168.159.0/24 with its gateway at .2, another machine on it, and a
 * host whose uplink is a port of `br0`. A second segment, 192.168.160.0/24, has two more of the host's cards: `eth1` with an
 * address, and `eth2` in the bridge `br1` without one.
 */

import type { EngineVersion } from '../bed/engines.ts';
import { observe } from './observer.ts';
import { setStage } from './stage.ts';

export const OTHER = '192.168.159.10';
export const OTHER6 = 'fd00:159::10';
export const HOST = '192.168.159.20';
export const HOST6 = 'fd00:159::20';
export const GATEWAY = '192.168.159.2';

export type LanStage = ReturnType<typeof lanStage>;

export function lanStage(engine: EngineVersion) {
  return setStage(engine, async (bed, version) => {
    const [first, second, host] = await Promise.all([
      // Routed, not masqueraded: the outside sees who it really is.
      bed.lan({
        subnet: '192.168.159.0/24',
        gateway: GATEWAY,
        subnet6: 'fd00:159::/64',
        gateway6: 'fd00:159::2',
        nat: false,
      }),
      bed.lan({
        name: 'second',
        subnet: '192.168.160.0/24',
        gateway: '192.168.160.2',
        subnet6: 'fd00:160::/64',
        gateway6: 'fd00:160::2',
        nat: false,
      }),
      bed.host('host', { engine: version, underlay: false }),
    ]);
    const [other, elsewhere] = await Promise.all([
      first.machine('other', `${OTHER}/24`, `${OTHER6}/64`),
      second.machine('elsewhere', '192.168.160.10/24', 'fd00:160::10/64'),
    ]);
    await first.plug(host, { bridge: 'br0', addresses: [`${HOST}/24`, `${HOST6}/64`], gateway: true });
    await second.plug(host, { name: 'eth1', addresses: ['192.168.160.20/24', 'fd00:160::20/64'] });
    await second.plug(host, { name: 'eth2', bridge: 'br1' });
    await Promise.all([observe(other), observe(first.outside), observe(elsewhere), host.startBerth()]);
    return { host, first, second, other, elsewhere };
  });
}
