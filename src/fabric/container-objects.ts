/** The kernel objects that a container's options stand for. */

import { createHash } from 'node:crypto';
import type { KernelObject, MacvlanLink, Qdisc, VethLink } from '../kernel/objects.ts';
import { parseAddress } from '../model/address.ts';
import { linkName } from '../model/ids.ts';
import type { Endpoint } from '../model/network.ts';
import { parsePrefix } from '../model/prefix.ts';
import { type ContainerSettings, containerSettings } from './container-options.ts';
import type { JoinAnswer } from './fabric.ts';
import { pluggedAt } from './veth.ts';

/** RTPROT_BOOT, as the engine marks the routes that it sets in a container. */
const BOOT = 3;
const MAIN_TABLE = 254;
/** How long a packet may wait in a limit's queue before it is dropped. */
const LATENCY_MS = 50;
const LEAST_BURST = 32 * 1024;
/** Rules without a priority of their own stand before those for the main table (32766). */
const RULES = { first: 1000, places: 30_000 } as const;

/** Routes of the main table: the engine sets these before the container's first instruction. */
export function staticRoutes(endpoint: Endpoint): JoinAnswer['routes'] {
  return containerSettings(endpoint)
    .routes.filter(({ table }) => table === undefined || table === MAIN_TABLE)
    .map(({ destination, via }) => ({
      destination: parsePrefix(destination)!,
      ...(via === undefined ? {} : { via: parseAddress(via)! }),
    }));
}

/**
 * Everything that options ask for besides the link itself. What stands in the container is there as soon as it is known where
 * that is; limits of a pair stand on its host end, before the container has the other.
 *
 * @param objects of the endpoint, its link among them.
 */
export function containerObjects(endpoint: Endpoint, objects: readonly KernelObject[]): readonly KernelObject[] {
  const settings = containerSettings(endpoint);
  const pair = objects.find((object) => object.kind === 'link' && object.type === 'veth') as VethLink | undefined;
  return [
    ...(pair === undefined ? [] : limitsOfPair(endpoint, settings, pair.name)),
    ...inside(endpoint, settings, pair !== undefined),
    ...release(endpoint, objects),
  ];
}

/**
 * What a macvlan declares that the engine moves into a container in which it has limits: nothing leaves it before they are there.
 * The kernel drops a link's queues when it moves it (dev_shutdown), but not this.
 */
export function heldBack(endpoint: Endpoint): Pick<MacvlanLink, 'protoDown'> {
  return isLimited(endpoint) && pluggedAt(endpoint) === 'somewhere' ? { protoDown: true } : {};
}

function isLimited(endpoint: Endpoint): boolean {
  const { rateIn, rateOut } = containerSettings(endpoint);
  return rateIn !== undefined || rateOut !== undefined;
}

/** Comes after the limits (`batch.ts`). What we plug in ourselves has them before it is up. */
function release(endpoint: Endpoint, objects: readonly KernelObject[]): readonly KernelObject[] {
  const { sandbox: netns, sandboxInterface: name, attachment } = endpoint;
  if (netns === undefined || name === undefined || attachment !== undefined || !isLimited(endpoint)) return [];
  if (!objects.some((object) => object.kind === 'link' && object.type === 'macvlan')) return [];
  return [{ kind: 'link', type: 'adopted', netns, name, protoDown: false }];
}

function inside(endpoint: Endpoint, settings: ContainerSettings, paired: boolean): readonly KernelObject[] {
  const { sandbox: netns, sandboxInterface: link } = endpoint;
  if (netns === undefined || link === undefined) return [];
  return [
    ...settings.sysctls.map(
      ({ path, value }): KernelObject => ({
        kind: 'sysctl',
        netns,
        path: path.replace('/IFNAME/', `/${link}/`),
        value,
      }),
    ),
    ...settings.routes.map(
      ({ destination, via, table }): KernelObject => ({
        kind: 'route',
        netns,
        link,
        destination: parsePrefix(destination)!,
        ...(via === undefined ? {} : { via: parseAddress(via)! }),
        ...(table === undefined ? {} : { table }),
        protocol: BOOT,
      }),
    ),
    ...settings.rules.map(({ family, from, to, mark, priority, table }, index): KernelObject => {
      const usual = RULES.first + ((hashed(endpoint.id) + index) % RULES.places);
      return {
        kind: 'rule',
        netns,
        family,
        priority: priority ?? usual,
        table,
        ...(from === undefined ? {} : { from: parsePrefix(from)! }),
        ...(to === undefined ? {} : { to: parsePrefix(to)! }),
        ...(mark === undefined ? {} : { mark }),
      };
    }),
    ...(paired ? [] : limitsInside(endpoint, settings, netns, link)),
  ];
}

/** What the host sends into the pair is what the container receives; what comes out of it takes a way round by a queue. */
function limitsOfPair(endpoint: Endpoint, { rateIn, rateOut, burst }: ContainerSettings, link: string): KernelObject[] {
  const objects: KernelObject[] = [];
  if (rateIn !== undefined) objects.push(bucket(link, rateIn, burst));
  if (rateOut !== undefined) objects.push(...detour(link, detourLink(endpoint), rateOut, burst));
  return objects;
}

/** Of a link that is in the container altogether, both ways are limited there. */
function limitsInside(
  endpoint: Endpoint,
  { rateIn, rateOut, burst }: ContainerSettings,
  netns: string,
  link: string,
): KernelObject[] {
  const objects: KernelObject[] = [];
  if (rateOut !== undefined) objects.push(bucket(link, rateOut, burst));
  if (rateIn !== undefined) objects.push(...detour(link, detourLink(endpoint), rateIn, burst));
  return objects.map((object) => ({ ...object, netns }));
}

export function detourLink(endpoint: Pick<Endpoint, 'id'>): string {
  return linkName('bq', endpoint.id);
}

/** A kernel queues only what leaves a link, so what arrives is sent through another (tc-mirred(8), ifb). */
function detour(link: string, by: string, rate: number, burst: number | undefined): KernelObject[] {
  return [
    { kind: 'link', type: 'ifb', name: by, up: true },
    bucket(by, rate, burst),
    { kind: 'qdisc', link, parent: 'ingress', discipline: { type: 'ingress' } },
    { kind: 'filter', link, parent: 'ingress', priority: 1, action: { redirect: by } },
  ];
}

function bucket(link: string, rate: number, burst: number | undefined): Qdisc {
  const usual = Math.max(LEAST_BURST, Math.ceil(rate / 8 / 100));
  return {
    kind: 'qdisc',
    link,
    parent: 'root',
    handle: '1:',
    discipline: { type: 'tbf', rate, burst: burst ?? usual, latencyMs: LATENCY_MS },
  };
}

function hashed(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}
