/** What macvlan and ipvlan have in common: links that stand directly on an interface. */

import type { HostView } from '../../../kernel/kernel.ts';
import { BerthError } from '../../../model/errors.ts';
import type { OptionSpec } from '../../fabric.ts';
import { checkParent, findLink } from '../interfaces.ts';
import type { IpvlanSettings, MacvlanSettings } from '../settings.ts';

export const hostAccessOption: OptionSpec = {
  name: 'host_access',
  values: 'true, false',
  default: 'true',
  help: 'Let the host and its own containers reach each other, which the kernel by itself does not: the host gets a link of the same kind, a route to each container, and a filter that lets in nothing else. Needs an address of the host on that interface.',
};

/** @throws BerthError INTERFACE_UNKNOWN, INTERFACE_UNSUITABLE */
export function checkStanding({ mode, parent, vlan }: MacvlanSettings | IpvlanSettings, host: HostView): void {
  // The link of a VLAN may come with the first container only.
  if (vlan === undefined || vlan.adopted) checkParent(parent, mode, host);
  else if (findLink(host, vlan.base) === undefined)
    throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${vlan.base} on this host`);
}
