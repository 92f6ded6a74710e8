/** Links, routes and neighbours of this namespace, from iproute2. */

import type { Facts, HostLinkFacts, HostRouteFacts } from '../facts.ts';
import { run, runJson } from './run.ts';

interface IpLink {
  readonly ifname: string;
  readonly mtu: number;
  readonly linkinfo?: { readonly info_kind?: string };
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly via?: unknown;
  readonly type?: string;
}

export async function gatherNetwork(): Promise<Pick<Facts, 'links' | 'routes' | 'neighbours'>> {
  const [links, routes4, routes6, neighbours4, neighbours6] = await Promise.all([
    runJson<readonly IpLink[]>('ip', '-j', '-d', 'link', 'show'),
    runJson<readonly IpRoute[]>('ip', '-j', '-4', 'route', 'show'),
    runJson<readonly IpRoute[]>('ip', '-j', '-6', 'route', 'show'),
    run('ip', '-4', 'neigh', 'show'),
    run('ip', '-6', 'neigh', 'show'),
  ]);
  const lines = (text: string | undefined): number => (text ?? '').split('\n').length - 1;
  return {
    links: (links ?? []).map(linkFacts),
    routes: [...(routes4 ?? []), ...(routes6 ?? [])].flatMap(routeFacts),
    neighbours: { v4: lines(neighbours4), v6: lines(neighbours6) },
  };
}

function linkFacts({ ifname, mtu, linkinfo }: IpLink): HostLinkFacts {
  const kind = linkinfo?.info_kind;
  return { name: ifname, mtu, ...(kind === undefined ? {} : { kind }) };
}

/** Routes that lead somewhere; `blackhole` and the like have a type. */
function routeFacts({ dst, dev, gateway, via, type }: IpRoute): HostRouteFacts[] {
  if (dev === undefined || (type !== undefined && type !== 'unicast')) return [];
  return [{ destination: dst, link: dev, direct: gateway === undefined && via === undefined }];
}
