/** What networks of Neutron may be to Docker, with Docker 20.10. */

import { neutronNetworksWith } from './suites/neutron-engines.ts';

neutronNetworksWith('neutron-networks-20', '20.10');
