/** The links between a container and the wire of its host, as declared and as found. */

import { hostLink } from '../../fabric/veth.ts';
import type { Drift, HostLink, HostView, Kernel } from '../../kernel/kernel.ts';
import type { KernelObject } from '../../kernel/objects.ts';
import { formatAddress, parseAddress, sameAddress } from '../../model/address.ts';
import { asBerthError } from '../../model/errors.ts';
import type { Endpoint, Network } from '../../model/network.ts';
import { formatPrefix } from '../../model/prefix.ts';
import type { HopView } from '../api.ts';

export interface HalfPathParts {
  readonly host: string;
  readonly kernel: Pick<Kernel, 'view'>;
  /** Of our own namespace, read now. */
  readonly view: HostView;
  readonly endpoint: Endpoint;
  readonly network: Network | undefined;
  /** What is declared for both. */
  readonly objects: readonly KernelObject[];
  /** What of it is not as declared. */
  readonly drifts: readonly Drift[];
  readonly container: string;
}

/** Who the path leads to, when that is on another host. */
export interface Beyond {
  readonly mac?: string | undefined;
  /** Of its host. */
  readonly vtep?: string | undefined;
}

/** From the container outwards. @param beyond absent: it ends at the bridge. */
export async function halfPath(parts: HalfPathParts, beyond: Beyond | undefined): Promise<readonly HopView[]> {
  const { view, host, endpoint, objects } = parts;
  const hops: HopView[] = [await containerHop(parts)];
  const veth = view.links.find(({ name }) => name === vethName(parts));
  const { master } = veth ?? {};
  const wrong = veth === undefined ? 'is not there' : master === undefined ? 'is in no bridge' : undefined;
  hops.push(linkHop(parts, 'veth', vethName(parts), wrong));
  if (master !== undefined) hops.push(linkHop(parts, 'bridge', master));
  if (beyond === undefined) return hops;

  const outward = objects.find((object) => object.kind === 'link' && object.type === 'vxlan');
  if (outward?.kind === 'link' && outward.type === 'vxlan') {
    const local = outward.local === undefined ? '' : `, from ${formatAddress(outward.local)}`;
    const hop = linkHop(parts, 'vxlan', outward.name, forwardingProblem(objects, outward.name, beyond));
    hops.push({ ...hop, detail: `VNI ${outward.vni}${local}` });
    const under = underlayLink(view, outward.local && formatAddress(outward.local));
    if (under !== undefined) hops.push({ ...linkHop(parts, 'underlay', under.name), detail: 'carries VXLAN' });
    return hops;
  }
  // A VLAN: what else is in the bridge and was declared with the network.
  const declared = new Set(objects.flatMap((object) => (object.kind === 'link' ? object.name : [])));
  const uplink = view.links.find(
    (link) => link.master === master && link.name !== hostLink(endpoint) && declared.has(link.name),
  );
  if (uplink !== undefined) hops.push(linkHop(parts, 'uplink', uplink.name));
  else hops.push({ host, kind: 'uplink', name: '', problem: 'nothing leads out of the bridge to other hosts' });
  return hops;
}

/** The link that an address is on. */
export function underlayLink(view: HostView, address: string | undefined): HostLink | undefined {
  const wanted = address === undefined ? undefined : parseAddress(address);
  const found = wanted && view.addresses.find((one) => sameAddress(one.address.address, wanted));
  return view.links.find(({ name }) => name === found?.link);
}

function vethName({ endpoint, objects }: HalfPathParts): string {
  const own = hostLink(endpoint);
  return objects.some((object) => object.kind === 'link' && object.name === own)
    ? own
    : (objects.find((object) => object.kind === 'link' && object.type === 'veth')?.name ?? own);
}

async function containerHop({ host, kernel, endpoint, container }: HalfPathParts): Promise<HopView> {
  const hop = { host, kind: 'interface', name: `${endpoint.sandboxInterface ?? 'interface'} in ${container}` } as const;
  if (endpoint.phase !== 'attached' || endpoint.sandbox === undefined)
    return { ...hop, problem: 'the container does not run' };
  let inside: HostView;
  try {
    inside = await kernel.view(endpoint.sandbox as Parameters<Kernel['view']>[0]);
  } catch (error) {
    return { ...hop, problem: `its network cannot be looked at: ${asBerthError(error).message}` };
  }
  const link = linkOf(inside, endpoint);
  if (link === undefined) return { ...hop, problem: 'the container has no interface with its address any more' };
  return {
    ...hop,
    name: `${link.name} in ${container}`,
    mtu: link.mtu,
    detail: endpoint.addresses.map(formatPrefix).join(', '),
    ...(link.up ? {} : { problem: 'is down' }),
  };
}

/** The interface of an endpoint, in the namespace of its container. */
export function linkOf(inside: HostView, endpoint: Endpoint): HostLink | undefined {
  const addressed = inside.addresses.find(({ address }) =>
    endpoint.addresses.some((own) => sameAddress(own.address, address.address)),
  );
  return inside.links.find(({ name }) => name === (addressed?.link ?? endpoint.sandboxInterface));
}

function linkHop(parts: HalfPathParts, kind: HopView['kind'], name: string, problem?: string): HopView {
  const link = parts.view.links.find((one) => one.name === name);
  const sentence =
    problem ??
    (link === undefined
      ? 'is not there'
      : !link.up
        ? 'is down'
        : !link.running
          ? 'has no carrier'
          : driftOf(parts.drifts, name));
  return {
    host: parts.host,
    kind,
    name,
    ...(link === undefined ? {} : { mtu: link.mtu }),
    ...(sentence === undefined ? {} : { problem: sentence }),
  };
}

function driftOf(drifts: readonly Drift[], link: string): string | undefined {
  const drift = drifts.find(({ key }) => key.split(/[ /]/).includes(link));
  if (drift === undefined) return undefined;
  const fields = drift.fields.map(({ name, declared, found }) => `${name} is ${found}, not ${declared}`).join('; ');
  return drift.what === 'missing' ? `lacks ${drift.key}` : `is not as declared: ${fields}`;
}

/** What this host must know to send there. */
function forwardingProblem(objects: readonly KernelObject[], link: string, { mac, vtep }: Beyond): string | undefined {
  if (mac === undefined) return undefined;
  const entries = objects.filter((object) => object.kind === 'fdb' && object.link === link && object.mac === mac);
  const destination = entries.find((object) => object.kind === 'fdb' && object.dst !== undefined);
  if (destination === undefined || destination.kind !== 'fdb')
    return `does not know where ${mac} is: this host has not heard of that container yet, or takes its host for gone`;
  const shown = formatAddress(destination.dst!);
  return vtep !== undefined && shown !== vtep ? `sends what is for ${mac} to ${shown}, and not to ${vtep}` : undefined;
}
