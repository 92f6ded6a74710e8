/** What can go wrong when a NIC of this host becomes a bridge port. */

import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import type { Connection } from './connections.ts';
import type { Manager } from './managers/manager.ts';
import type { FilterRule } from './packet-filter.ts';
import { isTaken, whyUnsuitable } from './suitable.ts';

export interface Risk {
  /** `refused`: it is not done. `manual`: only with -o confirm=manual. `warning`: think of it. */
  readonly level: 'refused' | 'manual' | 'warning';
  /** A sentence. */
  readonly message: string;
  /** The command that prevents it. */
  readonly fix?: string;
}

export interface PlanFacts {
  readonly link: HostLink;
  readonly bridge: string;
  readonly host: HostView;
  readonly managers: readonly Manager[];
  readonly connections: readonly Connection[];
  readonly caller: Connection | undefined;
  readonly filterRules: readonly FilterRule[];
  readonly wireless: boolean;
  /** Multicast groups that programs have joined on it. */
  readonly groups: readonly string[];
  /** What routers advertise there is read by a program of this host, not by the kernel. */
  readonly advertised: boolean;
  /** Such as `802.3ad`; absent for what is no bond. */
  readonly bondMode?: string;
}

/** Pure: what can go wrong, the worst first. */
export function risksOf(facts: PlanFacts): readonly Risk[] {
  const { link, bridge, host, managers, connections, caller, filterRules } = facts;
  const { name } = link;
  const risks: Risk[] = [];
  const add = (level: Risk['level'], message: string, fix?: string) =>
    risks.push({ level, message, ...(fix === undefined ? {} : { fix }) });

  const unsuitable = whyUnsuitable(link, host);
  if (link.master !== undefined && isTaken(name, link.master, host)) {
    add(
      'refused',
      `${name} is already a port of ${link.master}, which Berth made from it: another network shares it with the same -o parent=${name}`,
    );
  } else if (unsuitable !== undefined) add('refused', unsuitable);
  else if (host.links.some((other) => other.name === bridge)) {
    add('refused', `there is an interface ${bridge} already: choose another name with --bridge`);
  }
  for (const manager of managers.filter(({ fights }) => fights === 'at once')) {
    add('manual', `${manager.found}: ${manager.then}`, manager.fix);
  }
  if (facts.wireless) {
    add(
      'manual',
      `${name} is wireless: most access points send nothing to a second MAC address, and the kernel refuses it as a port unless it uses four addresses (iw dev ${name} set 4addr on); -o mode=ipvlan needs neither`,
    );
  }
  if (facts.bondMode === 'balance-tlb' || facts.bondMode === 'balance-alb') {
    add(
      'manual',
      `${name} is a bond in the mode ${facts.bondMode}, which changes MAC addresses as it sends, so containers are not found behind it: use active-backup or 802.3ad`,
    );
  }
  if (facts.advertised) {
    add(
      'manual',
      `what routers advertise on ${name} is read by a program of this host, which hears none of it on a bridge port, so the IPv6 addresses and routes from there end after their time: have that program make the bridge, and use -o bridge=${bridge}`,
    );
  }
  for (const [input, what] of [
    [true, 'comes in on'],
    [false, 'goes out by'],
  ] as const) {
    const [first, ...more] = filterRules.filter((rule) => rule.input === input);
    if (first === undefined) continue;
    const others = more.length === 0 ? '' : ` and ${more.length} more`;
    add(
      input ? 'manual' : 'warning',
      `a rule of the packet filter names ${name} and will not match what ${what} ${bridge}, unless it names that, too: ${first.text}${others}`,
    );
  }
  const local = connections.filter(({ local: address }) => address.startsWith('fe80:'));
  if (local.length > 0) {
    add(
      caller !== undefined && local.includes(caller) ? 'manual' : 'warning',
      `${local.length} connections to a link-local address of ${name} will be cut: they are bound to the interface`,
    );
  }
  if (caller !== undefined) {
    add('warning', `your ssh session from ${caller.remote} comes in through ${name}; it goes on if all is well`);
  }
  for (const manager of managers.filter(({ fights }) => fights === 'later' || fights === 'at boot')) {
    add('warning', `${manager.found}: ${manager.then}`);
  }
  if (facts.groups.length > 0) {
    add(
      'warning',
      `programs have joined ${facts.groups.join(', ')} on ${name}, and hear nothing there until they join on ${bridge}: restart them`,
    );
  }
  if (!link.running) add('warning', `${name} has no carrier: whether the LAN is reached cannot be found out`);
  return risks;
}
