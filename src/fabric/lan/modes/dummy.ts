/** An interface that leads nowhere: an address for services in the container that only the container itself reaches. */

import { BerthError } from '../../../model/errors.ts';
import { containerLink, endpointAlias, pluggedAt } from '../../veth.ts';
import type { LanMode } from '../mode.ts';
import { readCommon } from '../options.ts';
import type { DummySettings } from '../settings.ts';

export const dummy: LanMode<DummySettings> = {
  name: 'dummy',
  options: [],

  plan({ options }) {
    for (const name of ['parent', 'vlan', 'dhcp']) {
      if (!options.has(name)) continue;
      throw new BerthError('BAD_OPTION', `the option '${name}' does not go with mode=dummy, which leads nowhere`);
    }
    return { ...readCommon(options), mode: 'dummy' };
  },

  wire: () => undefined,
  check: () => undefined,
  mtu: () => undefined,
  network: () => [],

  endpoint: ({ settings }, endpoint) => [
    {
      kind: 'link',
      type: 'dummy',
      name: containerLink(endpoint),
      ...(settings.mtu === undefined ? {} : { mtu: settings.mtu }),
      mac: endpoint.mac,
      alias: endpointAlias(endpoint),
      plugged: pluggedAt(endpoint),
    },
  ],
};
