import { limitsSuite } from './suites/limits.ts';

limitsSuite('20.10');
limitsSuite('28.5');
