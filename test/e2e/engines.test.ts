/**
 * The engine matrix: the suites of lan.test.ts and docker.test.ts with the other engines, and where the engines differ. One
 * engine after the other: each suite has fifty containers' worth of work for the machine.
 */

import { engineVersions } from './bed/engines.ts';
import { differences } from './suites/differences.ts';
import { dockerSuite } from './suites/docker.ts';
import { lanSuite } from './suites/lan.ts';

for (const engine of engineVersions) {
  if (engine !== '20.10') {
    dockerSuite(engine);
    lanSuite(engine);
  }
  differences(engine);
}
