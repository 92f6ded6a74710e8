/** The physical network, with this machine's engine; `engines.test.ts` repeats it with the others. */

import { lanSuite } from './suites/lan.ts';

lanSuite('20.10');
