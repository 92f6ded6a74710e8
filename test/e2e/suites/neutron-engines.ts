/** A host with an engine on a Neutron whose agents are only in its books. */

import { after, before } from 'node:test';
import { type Bed, openBed } from '../bed/bed.ts';
import type { EngineVersion } from '../bed/engines.ts';
import { startOpenStack } from '../bed/openstack/openstack.ts';
import { neutronHost, warmUp } from './neutron.ts';
import { neutronNetworks } from './neutron-networks.ts';
import { patient } from './neutron-objects.ts';

/** The tests of networks with an engine. @param name of the bed. */
export function neutronNetworksWith(name: string, engine: EngineVersion): void {
  let bed: Bed;
  before(async () => {
    bed = await openBed(name);
  });
  after(() => bed[Symbol.asyncDispose]());

  neutronNetworks(engine, async () => {
    const lan = await bed.lan({ name: 'management', subnet: '10.8.65.0/24', gateway: '10.8.65.1' });
    const stack = await startOpenStack({ on: { bed, lan, address: '10.8.65.11' }, hosts: ['h1'] });
    await warmUp(stack);
    const host = await neutronHost(bed, lan, 'h1', '10.8.65.79/24', stack, { engine, flags: patient });
    // What an agent of Neutron does once it has looked at a port: the engine drops everything that is forwarded, also on a bridge.
    for (const filter of ['iptables', 'ip6tables'])
      await host.exec([filter, '-A', 'FORWARD', '-i', 'brq+', '-j', 'ACCEPT']);
    return { bed, stack, host };
  });
}
