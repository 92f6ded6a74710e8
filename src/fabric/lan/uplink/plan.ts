/** What turning a NIC into a bridge would change on this host, found out without changing anything. */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostLink, HostView } from '../../../kernel/kernel.ts';
import { RTPROT_RA } from '../../../kernel/rtnetlink/constants.ts';
import { formatAddress } from '../../../model/address.ts';
import { BerthError } from '../../../model/errors.ts';
import { formatPrefix, prefixOf } from '../../../model/prefix.ts';
import type { FabricContext } from '../../fabric.ts';
import { type Connection, connectionsTo } from './connections.ts';
import { isLeased } from './lease.ts';
import { type Manager, readText } from './managers/manager.ts';
import { findManagers } from './managers/managers.ts';
import { joinedGroups } from './multicast.ts';
import { filterRulesNaming } from './packet-filter.ts';
import { type LinkResolver, linkResolver } from './resolver.ts';
import { type PlanFacts, type Risk, risksOf } from './risks.ts';
import { differingSettings } from './settings.ts';

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
  /** A DHCP client of the host goes on to ask on the NIC; a rule of nftables sees to it that it hears its server there. */
  readonly leased: boolean;
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
  const [belongings, settings, resolver, managers, connections, rules, wireless, bonding, groups, acceptsRa, leased] =
    await Promise.all([
      context.kernel.belongings(nic),
      differingSettings(nic, root),
      linkResolver(link.index, root),
      findManagers({ name: nic, index: link.index, mac: link.mac ?? '' }, bridge, root),
      connectionsTo(texts, root),
      filterRulesNaming(nic, bridge, root),
      isWireless(nic, root),
      // `balance-alb 6`
      readText(join(root, 'sys/class/net', nic, 'bonding/mode')),
      joinedGroups(nic, root),
      readText(join(root, 'proc/sys/net/ipv6/conf', nic, 'accept_ra')),
      isLeased(nic, bridge, host, root),
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
    advertised:
      acceptsRa?.trim() === '0' && host.routes.some(({ link: of, protocol }) => of === nic && protocol === RTPROT_RA),
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
    leased,
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
