/** `tap`: whoever watches for such links (Calico does) routes or bridges them itself. */

import { pair, pairSource } from './pair.ts';
import type { Wiring } from './wiring.ts';

export const tap: Wiring = {
  endpoint: (network, endpoint) => [pair(network, endpoint)],
  sourceLink: pairSource,
};
