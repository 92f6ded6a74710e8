/** What networks of Neutron may be to Docker, with the newest engine. */

import { neutronNetworksWith } from './suites/neutron-engines.ts';

neutronNetworksWith('neutron-networks', '28.5');
