/** The host's packet filters, whoever keeps them. */

import { readFile } from 'node:fs/promises';
import type { DroppingChain, Facts, ForwardChain } from '../facts.ts';
import { run, runJson } from './run.ts';

interface NftListing {
  readonly nftables: readonly {
    readonly chain?: {
      readonly family: string;
      readonly table: string;
      readonly name: string;
      readonly hook?: string;
      readonly policy?: string;
    };
    readonly rule?: { readonly expr?: readonly NftStatement[] };
  }[];
}

/** A part of a rule (libnftables-json(5)). */
interface NftStatement {
  readonly match?: {
    readonly op: string;
    readonly left: { readonly meta?: { readonly key: string } };
    readonly right: unknown;
  };
  readonly counter?: unknown;
  readonly accept?: null;
}

export async function gatherFirewall(): Promise<Pick<Facts, 'forward' | 'droppingChains' | 'firewalld' | 'ufw'>> {
  const [rules4, rules6, chains, firewalld, ufw] = await Promise.all([
    run('iptables', '-S'),
    run('ip6tables', '-S'),
    runJson<NftListing>('nft', '-j', 'list', 'chains'),
    run('firewall-cmd', '--state'),
    readFile('/etc/ufw/ufw.conf', 'utf8').catch(() => ''),
  ]);
  const forward = [parseForward(4, rules4), parseForward(6, rules6)].filter((chain) => chain !== undefined);
  return {
    ...(rules4 === undefined && rules6 === undefined ? {} : { forward }),
    droppingChains: await Promise.all((chains === undefined ? [] : dropping(chains)).map(withAccepts)),
    firewalld: firewalld?.trim() === 'running',
    ufw: /^ENABLED=yes/m.test(ufw),
  };
}

/** What `iptables -S` says about forwarded packets; undefined without a FORWARD chain, or without the program. */
export function parseForward(family: 4 | 6, rules: string | undefined): ForwardChain | undefined {
  const lines = (rules ?? '').split('\n');
  const policy = lines.map((line) => /^-P FORWARD (\w+)/.exec(line)?.[1]).find((found) => found !== undefined);
  if (policy === undefined) return undefined;
  const accepts = lines.flatMap((line) => {
    // A rule that matches by nothing but its interfaces: with more, it accepts only a part.
    const match = /^-A (?:DOCKER-USER|FORWARD) ((?:-[io] \S+ ?)+)(?:-m comment --comment \S+ )?-j ACCEPT$/.exec(
      line.trim(),
    );
    return match === null ? [] : [match[1]!.trim()];
  });
  return { family, policy, hasDockerUser: lines.includes('-N DOCKER-USER'), accepts };
}

/** Base chains with policy drop, apart from those that `iptables` lists as well and Berth's own. */
export function dropping({ nftables }: NftListing): readonly Omit<DroppingChain, 'accepts'>[] {
  return nftables.flatMap(({ chain }) => {
    if (chain?.hook !== 'forward' || chain.policy !== 'drop') return [];
    const { family, table, name } = chain;
    const ofIptables = (family === 'ip' || family === 'ip6') && table === 'filter' && name === 'FORWARD';
    return ofIptables || table === 'berth' ? [] : [{ family, table, chain: name }];
  });
}

async function withAccepts(found: Omit<DroppingChain, 'accepts'>): Promise<DroppingChain> {
  const { family, table, chain } = found;
  const listing = await runJson<NftListing>('nft', '-j', 'list', 'chain', family, table, chain);
  return { ...found, accepts: listing === undefined ? [] : accepted(listing) };
}

/** Interface patterns that the rules of a chain accept without any other condition. */
export function accepted({ nftables }: NftListing): readonly string[] {
  return nftables.flatMap(({ rule }) => {
    const [condition, verdict, ...more] = (rule?.expr ?? []).filter((statement) => !('counter' in statement));
    const key = condition?.match?.left.meta?.key;
    if (key === undefined || condition?.match?.op !== '==' || more.length > 0) return [];
    return verdict !== undefined && 'accept' in verdict ? [`${key} ${String(condition.match.right)}`] : [];
  });
}
