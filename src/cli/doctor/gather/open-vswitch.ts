/** What this host's Open vSwitch has, from its database. */

import { asBerthError } from '../../../model/errors.ts';
import { parseDatabaseAddress } from '../../../ovs/address.ts';
import { askSwitches } from '../../../ovs/ask.ts';
import type { OpenVswitchFacts } from '../facts.ts';

export async function gatherOpenVswitch(database: string): Promise<OpenVswitchFacts> {
  const address = parseDatabaseAddress(database);
  if (address === undefined) return { error: `'${database}' is not the address of a database` };
  try {
    const { bridges, ports } = await askSwitches(address);
    return {
      bridges,
      ports: ports
        .filter(({ externalIds }) => 'berth-endpoint' in externalIds)
        .map(({ name, bridge, error }) => ({
          name,
          ...(bridge === undefined ? {} : { bridge }),
          ...(error === null ? {} : { error }),
        })),
    };
  } catch (thrown) {
    return { error: asBerthError(thrown).message };
  }
}
