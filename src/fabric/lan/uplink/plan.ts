/** What turning a NIC into a bridge would change on this host, found out without changing anything. */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import { formatAddress } from '../../../model/address.ts';
import { BerthError } from '../../../model/errors.ts';
import { formatPrefix, prefixOf } from '../../../model/prefix.ts';
import type { FabricContext } from '../../fabric.ts';
import { type Connection, connectionsTo } from './connections.ts';
import { type Manager, readText } from './managers/manager.ts';
import { findManagers } from './managers/managers.ts';
import { joinedGroups } from './multicast.ts';
import { filterRulesNaming } from './packet-filter.ts';
import { type LinkResolver, linkResolver } from './resolver.ts';
import { differingSettings } from './settings.ts';
import { isTaken, whyUnsuitable } from './suitable.ts';

export interface Risk {
  /** `refused`: it is not done. `manual`: only with -o confirm=manual. `warning`: think of it. */
  readonly level: 'refused' | 'manual' | 'warning';
  /** A sentence. */
  readonly message: string;
}

export interface UplinkPlan {
  readonly nic: string;
  readonly bridge: string;
  readonly mac?: string;
  readonly mtu: number;
  /** What moves to the bridge. */
  readonly addresses: readonly {
    readonly address: string;
    readonly validSeconds?: number;
    readonly preferredSeconds?: number;
  }[];
  readonly routes: readonly string[];
  readonly rules: readonly string[];
  readonly neighbours: readonly string[];
  /** Settings under /proc/sys/net that a new interface does not have, as `ipv4/conf/NAME/rp_filter=2`. */
  readonly settings: readonly string[];
  /** What stays on the NIC and works on: its VLANs. */
  readonly vlans: readonly string[];
  readonly resolver: { readonly servers: readonly string[]; readonly domains: readonly string[]; readonly how: string };
  readonly managers: readonly Manager[];
  readonly connections: { readonly count: number; readonly ssh: readonly Connection[]; readonly caller?: Connection };
  readonly risks: readonly Risk[];
  readonly confirm: 'auto' | 'manual' | 'none';
  /** To be run, in this order; none when it is refused. */
  readonly commands: readonly string[];
}

export interface PlanRequest {
  readonly nic: string;
  readonly bridge: string;
  /** SSH_CONNECTION of whoever asks. */
  readonly session?: string;
}

/** @throws BerthError INTERFACE_UNKNOWN */
export async function planUplink(request: PlanRequest, context: FabricContext, root = '/'): Promise<UplinkPlan> {
  const { nic, bridge } = request;
  const host = await context.kernel.view();
  const link = host.links.find(({ name }) => name === nic);
  if (link === undefined) throw new BerthError('INTERFACE_UNKNOWN', `there is no interface ${nic} on this host`);
  const addresses = host.addresses.filter((held) => held.link === nic);
  const texts = new Set(addresses.map(({ address }) => formatAddress(address.address)));
  const [belongings, settings, resolver, managers, connections, rules, wireless, bonding, groups] = await Promise.all([
    context.kernel.belongings(nic),
    differingSettings(nic, root),
    linkResolver(link.index, root),
    findManagers({ name: nic, index: link.index, mac: link.mac ?? '' }, bridge, root),
    connectionsTo(texts, root),
    filterRulesNaming(nic),
    isWireless(nic, root),
    // `balance-alb 6`
    readText(join(root, 'sys/class/net', nic, 'bonding/mode')),
    joinedGroups(nic, root),
  ]);
  const mode = bonding?.split(/\s/)[0];
  const caller = callerOf(request.session, connections);
  const moving = belongings.filter(({ implied, learnt }) => implied === undefined && learnt === undefined);
  const textsOf = (what: string) => moving.filter((one) => one.what === what).map(({ text }) => text);
  const facts: PlanFacts = {
    link,
    bridge,
    host,
    managers,
    connections,
    caller,
    filterRules: rules,
    wireless,
    groups,
    ...(mode === undefined ? {} : { bondMode: mode }),
  };
  const risks = risksOf(facts);
  const refused = risks.some(({ level }) => level === 'refused');
  const manual =
    caller !== undefined ||
    risks.some(({ level }) => level === 'manual') ||
    rules.length > 0 ||
    connections.some(({ localPort }) => localPort === SSH);
  const confirm = manual ? 'manual' : 'auto';
  return {
    nic,
    bridge,
    ...(link.mac === undefined ? {} : { mac: link.mac }),
    mtu: link.mtu,
    addresses: addresses.map(({ address, validSeconds, preferredSeconds }) => ({
      address: formatPrefix(address),
      ...(validSeconds === undefined ? {} : { validSeconds }),
      ...(preferredSeconds === undefined ? {} : { preferredSeconds }),
    })),
    routes: textsOf('route'),
    rules: textsOf('rule'),
    neighbours: textsOf('neighbour'),
    settings: Object.entries(settings).map(([path, value]) => `${path}=${value}`),
    vlans: vlansOn(link, host),
    resolver: resolverView(nic, bridge, resolver),
    managers,
    connections: {
      count: connections.length,
      ssh: connections.filter(({ localPort }) => localPort === SSH),
      ...(caller === undefined ? {} : { caller }),
    },
    risks,
    confirm,
    commands: refused ? [] : commandsFor(request, host, confirm),
  };
}

const SSH = 22;

/** VLANs of an interface: the kernel takes tagged frames for them before the bridge sees any, so they go on as before. */
function vlansOn(link: HostLink, host: HostView): readonly string[] {
  return host.links
    .filter(({ type, linkIndex }) => type === 'vlan' && linkIndex === link.index)
    .map(({ name }) => name);
}

function resolverView(nic: string, bridge: string, found: LinkResolver | undefined): UplinkPlan['resolver'] {
  return {
    servers: found?.servers ?? [],
    domains: found?.domains ?? [],
    how:
      found === undefined
        ? `no name servers belong to ${nic}; /etc/resolv.conf stays as it is`
        : `systemd-resolved asks them for ${nic}; they are given to ${bridge}, too`,
  };
}

/** `client-address client-port server-address server-port`, sshd(8); the zone of a link-local address is none of it. */
function callerOf(session: string | undefined, connections: readonly Connection[]): Connection | undefined {
  const [remote, remotePort, local, localPort] = (session ?? '').split(/\s+/);
  return connections.find(
    (one) =>
      one.local === local?.replace(/%.*/, '') &&
      one.localPort === Number(localPort) &&
      one.remote === remote?.replace(/%.*/, '') &&
      one.remotePort === Number(remotePort),
  );
}

export interface PlanFacts {
  readonly link: HostLink;
  readonly bridge: string;
  readonly host: HostView;
  readonly managers: readonly Manager[];
  readonly connections: readonly Connection[];
  readonly caller: Connection | undefined;
  readonly filterRules: readonly string[];
  readonly wireless: boolean;
  /** Multicast groups that programs have joined on it. */
  readonly groups: readonly string[];
  /** Such as `802.3ad`; absent for what is no bond. */
  readonly bondMode?: string;
}

/** Pure: what can go wrong, the worst first. */
export function risksOf(facts: PlanFacts): readonly Risk[] {
  const { link, bridge, host, managers, connections, caller, filterRules } = facts;
  const { name } = link;
  const risks: Risk[] = [];
  const add = (level: Risk['level'], message: string) => risks.push({ level, message });

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
    add('manual', `${manager.found}: ${manager.then}`);
  }
  if (facts.wireless) {
    add(
      'manual',
      `${name} is wireless: most access points send nothing to a second MAC address, and the kernel refuses it as a port unless it uses four addresses (iw dev ${name} set 4addr on); -o mode=ipvlan needs neither`,
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
  if (filterRules.length > 0) {
    add(
      'warning',
      `${filterRules.length} rules of the packet filter name ${name} and will not match what comes in on ${bridge}, the first: ${filterRules[0]}`,
    );
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
  if (facts.bondMode === 'balance-tlb' || facts.bondMode === 'balance-alb') {
    add(
      'manual',
      `${name} is a bond in the mode ${facts.bondMode}, which changes MAC addresses as it sends, so containers are not found behind it: use active-backup or 802.3ad`,
    );
  }
  return risks;
}

async function isWireless(nic: string, root: string): Promise<boolean> {
  const there = (name: string) =>
    access(join(root, 'sys/class/net', nic, name)).then(
      () => true,
      () => false,
    );
  return (await there('phy80211')) || (await there('wireless'));
}

function commandsFor({ nic, bridge }: PlanRequest, host: HostView, confirm: UplinkPlan['confirm']): readonly string[] {
  const words = ['docker network create -d berth-lan', `-o parent=${nic}`];
  if (bridge !== `br-${nic}`) words.push(`-o bridge=${bridge}`);
  if (confirm === 'manual') words.push('-o confirm=manual -o confirm_timeout=120');
  for (const family of [4, 6] as const) {
    const held = host.addresses.find(
      ({ link, address, scope }) =>
        link === nic &&
        address.address.family === family &&
        scope === 'global' &&
        address.length < (family === 4 ? 31 : 127),
    );
    if (held === undefined) continue;
    if (family === 6) words.push('--ipv6');
    words.push(`--subnet ${formatPrefix(prefixOf(held.address))}`);
    const gateway = host.routes.find(
      ({ link, destination, via }) => link === nic && destination.length === 0 && via?.family === family,
    )?.via;
    // A link-local one is in no subnet; its hosts find it by themselves.
    if (gateway !== undefined && !formatAddress(gateway).startsWith('fe80:')) {
      words.push(`--gateway ${formatAddress(gateway)}`);
    }
    words.push(`--aux-address host${family}=${formatAddress(held.address.address)}`);
  }
  const create = `${words.join(' ')} lan`;
  return confirm === 'manual' ? [create, 'berth network confirm lan'] : [create];
}
