/** The fabrics that there are. A new one is a line here. */

import { BerthError } from '../model/errors.ts';
import type { FabricKind } from '../model/network.ts';
import { cluster } from './cluster/cluster.ts';
import type { Fabric } from './fabric.ts';
import { lan } from './lan/lan.ts';
import { neutron } from './neutron/neutron.ts';

export const fabrics: readonly Fabric[] = [cluster, lan, neutron];

/** @throws BerthError BAD_CONFIG when this build has no such fabric. */
export function fabricOf(kind: FabricKind): Fabric {
  const fabric = fabrics.find((candidate) => candidate.kind === kind);
  if (fabric === undefined) throw new BerthError('BAD_CONFIG', `there is no fabric '${kind}' in this version of Berth`);
  return fabric;
}
