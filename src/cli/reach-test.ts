/** `berth test`: who reaches whom on a network or in a group, over all hosts. */

import type { EchoView, PartyView, ReachMembersView, ReachTargetView, ReachView } from '../agent/api.ts';
import { type ExitCode, exitCode, Failure } from './failure.ts';
import type { Session } from './session.ts';
import { table } from './table.ts';

/** Containers that are tried at a time, each from its own host. */
const AT_ONCE = 6;
/** Milliseconds that one of them gets. */
const PATIENCE = 75_000;
/** Containers that are tried unless told otherwise: with so many there are four thousand pairs. */
const DEFAULT_LIMIT = 64;
/** Columns that a screen has room for. */
const WIDE = 16;

/** One pair. Each is true, false, or absent when it does not apply. */
interface Pair {
  readonly from: string;
  readonly to: string;
  readonly v4?: boolean;
  readonly v6?: boolean;
  readonly name?: boolean;
  readonly mtu?: boolean;
  /** Median round trip of IPv4, or of IPv6. Milliseconds. */
  readonly rtt?: number;
  readonly problems: readonly string[];
}

interface Report {
  readonly network: string;
  /** Whose containers were tried, where it was not all of the network. */
  readonly group?: string;
  readonly containers: readonly string[];
  /** On the network, and not tried because there are too many. */
  readonly left: number;
  readonly pairs: readonly Pair[];
  /** Containers that nothing could be tried from, and why. */
  readonly untried: readonly { readonly from: string; readonly problem: string }[];
  readonly reached: number;
  readonly failed: number;
}

type Options = Readonly<Record<string, unknown>>;

export async function test(session: Session, args: readonly unknown[], options: Options): Promise<ExitCode> {
  const path = `/v1/reach/${encodeURIComponent(args[0] as string)}`;
  const on = await session.client.get<ReachMembersView>(path);
  const { network, members } = on;
  const limit = positive(options.limit, '--limit') ?? DEFAULT_LIMIT;
  const deadline = performance.now() + (positive(options.timeout, '--timeout') ?? 120) * 1000;
  const tried = spread(members, limit);
  const outcomes = new Map<PartyView, ReachView | string>();
  const queue = [...tried];
  const say = (): void => {
    if (session.stderr.isTTY === true)
      session.stderr.write(`\r\x1b[K${outcomes.size} of ${tried.length} containers have tried to reach the others`);
  };
  const work = async (): Promise<void> => {
    for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
      say();
      outcomes.set(from, await tryFrom(session, network, from, tried, deadline));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (session.stderr.isTTY === true) session.stderr.write('\r\x1b[K');
  const report = reportOf(on, tried, outcomes);
  session.show(report, reportText);
  return report.failed === 0 && report.untried.length === 0 ? exitCode.ok : exitCode.failed;
}

async function tryFrom(
  session: Session,
  network: string,
  from: PartyView,
  tried: readonly PartyView[],
  deadline: number,
): Promise<ReachView | string> {
  const left = Math.min(PATIENCE, deadline - performance.now());
  if (left <= 0) return 'there was no time left: give more with --timeout';
  const targets = tried.filter((to) => to !== from).map(({ endpoint }) => endpoint);
  try {
    return await session.client.post<ReachView>(
      '/v1/reach',
      { network, from: from.endpoint, targets },
      { timeout: left },
    );
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

/** So many, as evenly over the hosts as they are there. */
function spread(members: readonly PartyView[], limit: number): readonly PartyView[] {
  const byHost = new Map<string, PartyView[]>();
  for (const member of members.toSorted((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1)))
    byHost.set(member.host, [...(byHost.get(member.host) ?? []), member]);
  const chosen: PartyView[] = [];
  const hosts = [...byHost.values()];
  for (let round = 0; chosen.length < Math.min(limit, members.length); round++) {
    for (const host of hosts) if (host[round] !== undefined && chosen.length < limit) chosen.push(host[round]!);
  }
  return chosen.toSorted((a, b) => (titleOf(a) < titleOf(b) ? -1 : 1));
}

const titleOf = ({ host, name }: PartyView): string => `${host}/${name}`;

function reportOf(
  { network, group, members }: ReachMembersView,
  tried: readonly PartyView[],
  outcomes: ReadonlyMap<PartyView, ReachView | string>,
): Report {
  const titles = new Map(tried.map((party) => [party.endpoint, titleOf(party)]));
  const untried: { from: string; problem: string }[] = [];
  const pairs = tried.flatMap((from) => {
    const outcome = outcomes.get(from);
    if (typeof outcome === 'object') {
      return outcome.targets.map((target) =>
        pairOf(titleOf(from), titles.get(target.endpoint) ?? target.endpoint, target),
      );
    }
    untried.push({ from: titleOf(from), problem: outcome ?? 'it was not asked' });
    return [];
  });
  const failed = pairs.filter(({ problems }) => problems.length > 0).length;
  return {
    network,
    ...(group === undefined ? {} : { group }),
    containers: tried.map(titleOf),
    left: members.length - tried.length,
    pairs,
    untried,
    reached: pairs.length - failed,
    failed,
  };
}

function pairOf(from: string, to: string, { v4, v6, name }: ReachTargetView): Pair {
  const echoes = [v4, v6].filter((echo) => echo !== undefined);
  const answered = echoes.filter(({ received }) => received > 0);
  const cut = answered.filter(({ mtu, interfaceMtu }) => mtu !== undefined && mtu < (interfaceMtu ?? 0));
  const rtt = answered[0]?.rtt?.median;
  return {
    from,
    to,
    ...(v4 === undefined ? {} : { v4: v4.received > 0 }),
    ...(v6 === undefined ? {} : { v6: v6.received > 0 }),
    ...(name === undefined ? {} : { name: name.right }),
    ...(answered.length === 0 ? {} : { mtu: cut.length === 0 }),
    ...(rtt === undefined ? {} : { rtt }),
    problems: [
      ...echoes.filter(({ received }) => received === 0).map(silence),
      ...cut.map(
        ({ address, mtu, interfaceMtu }) =>
          `packets to ${address} of more than ${mtu} bytes are lost; the interface sends up to ${interfaceMtu}`,
      ),
      ...(name === undefined || name.right ? [] : [`the name is not found: ${name.problem ?? ''}`]),
    ],
  };
}

function silence({ address, obstacles }: EchoView): string {
  return `${address} does not answer${obstacles.length === 0 ? '' : ` (${obstacles[0]!.code})`}`;
}

/** For people: a matrix where there is room for one, then what failed. */
export function reportText(report: Report): string {
  const { network, group, containers, left, pairs, untried, reached, failed } = report;
  const lines = [
    `${group === undefined ? '' : `group ${group} of `}${network}: ${containers.length} containers${left === 0 ? '' : `, of ${containers.length + left}`}, ${pairs.length} pairs, ${reached} well, ${failed} not\n`,
  ];
  if (containers.length > 1 && containers.length <= WIDE) lines.push('\n', matrix(containers, pairs), LEGEND);
  const wrong = pairs.filter(({ problems }) => problems.length > 0);
  if (wrong.length + untried.length > 0) lines.push('\n');
  for (const { from, problem } of untried) lines.push(`! ${from}: not tried: ${problem}\n`);
  for (const { from, to, problems } of wrong.slice(0, MOST_LINES))
    lines.push(`! ${from} → ${to}: ${problems.join('; ')}\n`);
  if (wrong.length > MOST_LINES) lines.push(`  and ${wrong.length - MOST_LINES} more: see them with --json\n`);
  return lines.join('');
}

const MOST_LINES = 40;
const LEGEND = '\n4 IPv4, 6 IPv6, n name, m packets as large as the MTU; an x where that fails\n';

function matrix(containers: readonly string[], pairs: readonly Pair[]): string {
  const found = new Map(pairs.map((pair) => [`${pair.from} ${pair.to}`, pair]));
  return table(containers, [
    { title: 'FROM \\ TO', text: (from) => from },
    ...containers.map((to) => ({
      title: to,
      text: (from: string) => (from === to ? '·' : marks(found.get(`${from} ${to}`))),
    })),
  ]);
}

function marks(pair: Pair | undefined): string {
  if (pair === undefined) return '?';
  const mark = (of: boolean | undefined, letter: string): string => (of === undefined ? '' : of ? letter : 'x');
  return mark(pair.v4, '4') + mark(pair.v6, '6') + mark(pair.name, 'n') + mark(pair.mtu, 'm');
}

/** @throws Failure */
function positive(value: unknown, option: string): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Failure(`${option} is a whole number above zero, not '${value as string}'`, {
    exitCode: exitCode.usage,
    next: 'See how the command is used with: berth test --help',
  });
}
