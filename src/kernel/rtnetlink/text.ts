/** What the kernel has, in the words of iproute2, for people. */

import { formatAddress } from '../../model/address.ts';
import { formatPrefix } from '../../model/prefix.ts';
import type { AddressRecord } from './address.ts';
import type { NeighbourRecord } from './neighbour.ts';
import { MAIN_TABLE, type RouteRecord } from './route.ts';
import type { RuleRecord } from './rule.ts';

const words = (...parts: (string | false | undefined)[]): string =>
  parts.filter((part) => part !== undefined && part !== false && part !== '').join(' ');

export function addressText({ address, validSeconds, preferredSeconds }: AddressRecord): string {
  return words(
    formatPrefix(address),
    validSeconds !== undefined && `valid ${validSeconds} s`,
    preferredSeconds !== undefined && `preferred ${preferredSeconds} s`,
  );
}

export function routeText(route: RouteRecord): string {
  const { destination, via, source, metric, table, type, onlink } = route;
  return words(
    type !== 'unicast' && type,
    destination.length === 0
      ? destination.address.family === 4
        ? 'default'
        : 'default (IPv6)'
      : formatPrefix(destination),
    via !== undefined && `via ${formatAddress(via)}`,
    source !== undefined && `src ${formatAddress(source)}`,
    metric !== 0 && `metric ${metric}`,
    table !== MAIN_TABLE && `table ${table}`,
    onlink && 'onlink',
  );
}

export function ruleText(rule: RuleRecord, outputLink: string | undefined): string {
  const { priority, from, to, inputLink, mark, table } = rule;
  return words(
    `${priority}:`,
    `from ${from === undefined ? 'all' : formatPrefix(from)}`,
    to !== undefined && `to ${formatPrefix(to)}`,
    inputLink !== undefined && `iif ${inputLink}`,
    outputLink !== undefined && `oif ${outputLink}`,
    mark !== undefined && `fwmark 0x${mark.toString(16)}`,
    table !== 0 && `lookup ${table}`,
  );
}

export function neighbourText({ address, mac, proxy, permanent }: NeighbourRecord): string {
  return words(
    formatAddress(address),
    mac !== undefined && `lladdr ${mac}`,
    proxy ? 'proxy' : permanent && 'permanent',
  );
}
