/** What the fabric asks of Neutron when the agent has something done. */

import type { NetworkId } from '../../model/ids.ts';

export interface NeutronView {
  /** Docker has no such network any more: what was made for it goes. Written down when it resolves. */
  close(network: NetworkId): Promise<void>;
}
