/** What networks of Neutron may be to Docker, with Docker 26.1. */

import { neutronNetworksWith } from './suites/neutron-engines.ts';

neutronNetworksWith('neutron-networks-26', '26.1');
