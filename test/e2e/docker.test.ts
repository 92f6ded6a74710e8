/** Docker's own repertoire on this machine's engine; `engines.test.ts` repeats it on the others. */

import { dockerSuite } from './suites/docker.ts';

dockerSuite('20.10');
