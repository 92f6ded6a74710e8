import { attachSuite } from './suites/attach.ts';

attachSuite('20.10');
attachSuite('28.5');
