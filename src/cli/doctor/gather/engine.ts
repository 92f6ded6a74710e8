/** What the Docker engine says about itself, its plugins and its networks. */

import { engineHttp } from '../../../docker/engine-http.ts';
import { BerthError } from '../../../model/errors.ts';
import type { EngineFacts } from '../facts.ts';

const timeout = 5000;

/** What the engine starts in our managed plugin (`packaging/plugin-start`): names and tags are its user's choice. */
const ENTRYPOINT = '/usr/bin/berth-plugin';

interface ListedPlugin {
  readonly Name: string;
  readonly Enabled: boolean;
  readonly Config?: { readonly Entrypoint?: readonly string[] | null };
}

interface ListedNetwork {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null };
}

/** @param address `unix:///path` or `tcp://host:port`. */
export async function gatherEngine(address: string): Promise<EngineFacts> {
  try {
    const http = engineHttp(address, timeout);
    const { Version: version } = (await http.get('/version')) as { Version: string };
    const [plugins, networks] = await Promise.all([http.get('/plugins'), http.get('/networks')]);
    return {
      version,
      // An engine without managed plugins answers 404.
      managedPlugins: ((plugins ?? []) as readonly ListedPlugin[]).map(({ Name, Enabled, Config }) => ({
        name: Name,
        enabled: Enabled,
        isBerth: Config?.Entrypoint?.[0] === ENTRYPOINT,
      })),
      networks: ((networks ?? []) as readonly ListedNetwork[]).map(({ Name, Id, Driver, IPAM }) => ({
        name: Name,
        id: Id,
        driver: Driver,
        subnets: (IPAM?.Config ?? []).flatMap(({ Subnet }) => Subnet ?? []),
      })),
    };
  } catch (error) {
    if (!(error instanceof BerthError)) throw error;
    return { error: error.message, managedPlugins: [], networks: [] };
  }
}
