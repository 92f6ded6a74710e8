/**
 * Security groups for the ports that containers open. All containers that open the same ports share one group, also those of other
 * hosts: its name follows from the ports, and Neutron itself counts who uses it, for it refuses to remove a group that a port has.
 */

import { createHash } from 'node:crypto';
import type { TransportPort } from '../../docker/driver.ts';
import type { Bounds } from '../../openstack/bounds.ts';
import { detailsOf } from '../../openstack/failure.ts';
import type { Neutron } from '../../openstack/neutron/neutron.ts';
import type { SecurityGroup, SecurityGroupRule } from '../../openstack/neutron/objects.ts';
import type { SecurityGroupRuleRequest } from '../../openstack/neutron/requests.ts';
import type { Book } from './book.ts';
import { AGAIN, type Departures } from './departures.ts';
import type { GroupRecord } from './records.ts';
import { leftToLook, mayYetBeDone } from './unanswered.ts';

/** Ports of one protocol, both ends included; without, all of the protocol. */
export interface OpenRange {
  readonly protocol: number;
  readonly ports?: { readonly first: number; readonly last: number };
}

/** By name where Neutron has one in all releases (neutron_lib.constants, IP_PROTOCOL_MAP). */
const NAMES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const ICMP = 1;

/** The ports as few ranges, in an order that does not depend on theirs. */
export function rangesOf(ports: readonly TransportPort[]): readonly OpenRange[] {
  const ranges: OpenRange[] = [];
  for (const { protocol, port } of ports.toSorted((a, b) => a.protocol - b.protocol || a.port - b.port)) {
    const last = ranges.at(-1);
    const same = last?.protocol === protocol;
    if (NAMES[protocol] === undefined) {
      if (!same) ranges.push({ protocol });
    } else if (same && last.ports !== undefined && port <= last.ports.last + 1)
      ranges.splice(-1, 1, { protocol, ports: { first: last.ports.first, last: port } });
    else ranges.push({ protocol, ports: { first: port, last: port } });
  }
  return ranges;
}

function rangeText({ protocol, ports }: OpenRange): string {
  const name = NAMES[protocol] ?? (protocol === ICMP ? 'icmp' : `protocol ${protocol}`);
  if (ports === undefined) return name;
  return `${ports.first === ports.last ? ports.first : `${ports.first}-${ports.last}`}/${name}`;
}

/** The same ports have the same name on every host; Neutron takes 255 characters. */
export function groupName(ranges: readonly OpenRange[]): string {
  const digest = createHash('sha256').update(ranges.map(rangeText).join()).digest('hex');
  return `berth-ports-${digest.slice(0, 16)}`;
}

/** Whether a security group is called as one of ours. */
export const isGroupName = (name: string): boolean => /^berth-ports-[0-9a-f]{16}$/.test(name);

type Rule = Omit<SecurityGroupRuleRequest, 'security_group_id' | 'direction'>;

/** Of each range one rule for each family: a rule without a prefix is for one family only. */
export function rulesOf(ranges: readonly OpenRange[]): readonly Rule[] {
  return ranges.flatMap(({ protocol, ports }) =>
    (['IPv4', 'IPv6'] as const).map((ethertype): Rule => {
      const icmp = ethertype === 'IPv4' ? 'icmp' : 'ipv6-icmp';
      return {
        ethertype,
        protocol: NAMES[protocol] ?? (protocol === ICMP ? icmp : `${protocol}`),
        ...(ports && { port_range_min: ports.first, port_range_max: ports.last }),
      };
    }),
  );
}

export interface GroupsParts {
  readonly book: Pick<Book, 'groups' | 'ports' | 'outside'>;
  readonly neutron: Pick<Neutron, 'securityGroups' | 'securityGroupRules' | 'ports'>;
  readonly departures: Departures;
  /** Milliseconds for which Neutron may still be at what it has not answered. */
  readonly settle: number;
  now(): number;
}

export interface Groups {
  /** Its key in the records; to be written down by whoever is going to use it. */
  keyOf(ports: readonly TransportPort[], project: string | undefined): string;
  /**
   * Finds or makes the group of these ports. Asks nothing of Neutron where this host uses it already.
   *
   * @returns Neutron's id of it.
   */
  open(ports: readonly TransportPort[], project: string | undefined, bounds: Bounds): Promise<string>;
  /** Somebody else has removed it meanwhile. */
  forget(key: string): Promise<void>;
  /** Those that no port and no container of this host needs. */
  unused(): readonly string[];
  /** Written down when it resolves; Neutron hears of it in the background. It stays there if other hosts use it. */
  remove(key: string): Promise<void>;
  recover(): Promise<void>;
}

/** How often what somebody else does at the same time is looked at again. */
const ATTEMPTS = 3;

export function createGroups({ book, neutron, departures, settle, now }: GroupsParts): Groups {
  const { groups } = book;
  /** Two containers that need the same group at the same time. */
  const opening = new Map<string, Promise<string>>();

  const keyFor = (ranges: readonly OpenRange[], project: string | undefined): string =>
    `${project === undefined ? '' : `${project}/`}${groupName(ranges)}`;

  /** In the order of ids, so that all hosts take the same one should two have been made at once. */
  async function find({ name, project }: GroupRecord, bounds: Bounds): Promise<readonly SecurityGroup[]> {
    const found = await neutron.securityGroups.list({ name, ...(project && { project_id: project }) }, bounds);
    return found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Who made the group may have died before its rules, or be making them now. */
  async function complete(group: SecurityGroup, rules: readonly Rule[], bounds: Bounds): Promise<void> {
    let there = group.security_group_rules ?? [];
    for (let attempt = 1; ; attempt++) {
      const missing = rules.filter((rule) => !there.some((one) => isRule(one, rule)));
      const wanted = missing.map((rule) => ({ ...rule, security_group_id: group.id, direction: 'ingress' as const }));
      try {
        await neutron.securityGroupRules.createMany(wanted, bounds);
        return;
      } catch (error) {
        if (detailsOf(error)?.type !== 'SecurityGroupRuleExists' || attempt === ATTEMPTS) throw error;
        there = await neutron.securityGroupRules.list({ security_group_id: group.id }, bounds);
      }
    }
  }

  async function make(record: GroupRecord, ranges: readonly OpenRange[], bounds: Bounds): Promise<string> {
    await groups.put(record);
    try {
      const [found] = await find(record, bounds);
      const text = `Ports that containers open: ${ranges.map(rangeText).join(' ')}`;
      const request = {
        name: record.name,
        description: text.length > 255 ? `${text.slice(0, 254)}…` : text,
        ...(record.project && { project_id: record.project }),
      };
      const group = found ?? (await neutron.securityGroups.create(request, bounds));
      await complete(group, rulesOf(ranges), bounds);
      await groups.put({ ...record, phase: 'held', id: group.id });
      return group.id;
    } catch (error) {
      // What the store says to that is not what went wrong.
      await begone(record.key, error).catch(() => {});
      throw error;
    }
  }

  /** @param failure of what was asked for last, if it failed. */
  async function begone(key: string, failure?: unknown): Promise<void> {
    const record = groups.get(key);
    if (record === undefined) return;
    const unanswered = mayYetBeDone(failure) ? { unanswered: now() } : {};
    try {
      await groups.put({ ...record, phase: 'leaving', ...unanswered });
    } finally {
      void leave(key);
    }
  }

  function leave(key: string): Promise<void> {
    return departures.begin(`security group ${key}`, async (bounds) => {
      const record = groups.get(key);
      // It may be wanted again by now.
      if (record?.phase !== 'leaving') return undefined;
      // By name, for there may be two: hosts make them at the same time, and answers are lost.
      const found = await find(record, bounds);
      for (const { id } of found) await removeUnused(id, bounds);
      const left = leftToLook(record, settle, now());
      if (groups.get(key) !== record) return AGAIN;
      return left ?? ((await groups.delete(key, record)) ? undefined : AGAIN);
    });
  }

  /** Neutron refuses it as long as any port has it. Of ports of other hosts, the last of them removes it. */
  async function removeUnused(id: string, bounds: Bounds): Promise<void> {
    try {
      await neutron.securityGroups.remove(id, bounds);
    } catch (error) {
      if (detailsOf(error)?.type !== 'SecurityGroupInUse' || isOurs(id)) throw error;
    }
  }

  const isOurs = (id: string): boolean => book.ports.all().some((port) => port.groups?.includes(id));

  return {
    keyOf: (ports, project) => keyFor(rangesOf(ports), project),

    async open(ports, project, bounds) {
      const ranges = rangesOf(ports);
      const key = keyFor(ranges, project);
      const known = groups.get(key);
      if (known?.phase === 'held' && known.id !== undefined) return known.id;
      const begun = opening.get(key);
      if (begun !== undefined) return begun;
      // One that is on its way out is taken as it is, if it is still there; and what may yet come of it is not forgotten.
      const late = known?.unanswered === undefined ? {} : { unanswered: known.unanswered };
      const record = { key, phase: 'making', name: groupName(ranges), ...(project && { project }), ...late } as const;
      const made = make(record, ranges, bounds).finally(() => opening.delete(key));
      opening.set(key, made);
      return made;
    },

    forget: async (key) => void (await groups.delete(key)),

    unused: () =>
      groups
        .all()
        .filter(
          ({ key, id, phase }) =>
            phase === 'held' &&
            !book.outside.all().some(({ group }) => group === key) &&
            !(id !== undefined && isOurs(id)),
        )
        .map(({ key }) => key),

    remove: (key) => begone(key),

    async recover() {
      for (const record of groups.all()) {
        const { key, phase } = record;
        if (phase === 'making') await groups.put({ ...record, unanswered: now() }).then(() => begone(key));
        else if (phase === 'leaving') void leave(key);
      }
    },
  };
}

/** Neutron may tell a protocol by its other name. */
function isRule(there: SecurityGroupRule, wanted: Rule): boolean {
  const protocol = wanted.protocol === 'ipv6-icmp' ? ['ipv6-icmp', 'icmpv6'] : [wanted.protocol];
  return (
    there.direction === 'ingress' &&
    there.ethertype === wanted.ethertype &&
    protocol.includes(there.protocol) &&
    there.port_range_min === wanted.port_range_min &&
    there.port_range_max === wanted.port_range_max &&
    there.remote_ip_prefix === undefined &&
    there.remote_group_id === undefined
  );
}
