/** Asks a DHCP server for an address, and gives it back: what is on its way is written down, so that no lease is forgotten. */

import { decline, type Offer, type Outgoing, type Purpose, release } from '../../dhcp/client.ts';
import { type Ending, exchange, frameOf } from '../../dhcp/exchange.ts';
import type { Terms } from '../../dhcp/terms.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import type { NetworkId } from '../../model/ids.ts';
import { parseInterfaceAddress } from '../../model/prefix.ts';
import type { Events } from '../events.ts';
import type { Metrics } from '../metrics.ts';
import type { Book } from './book.ts';
import { onLink } from './on-link.ts';
import type { LinkPort, Ports, Where } from './ports.ts';
import type { DhcpLease, Grant } from './record.ts';

export interface ConversationParts {
  readonly book: Book;
  readonly ports: Ports;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds of a clock that nobody sets. */
  monotonic(): number;
  /** Makes the links that a network stands on, which may come with its first container and go after its last. */
  prepare(network: NetworkId): Promise<void>;
  /** Whether another container of ours on that link has the address: then the server is mistaken. */
  isTaken(lease: DhcpLease, terms: Terms): boolean;
}

export interface Conversation {
  /**
   * Gets the lease an address: the one that it had before, where the server agrees, or else a new one.
   *
   * @param patience milliseconds.
   * @param wish the address to ask for; without, the one of before.
   * @returns the lease as it is written down, with its grant.
   * @throws BerthError DHCP_NO_ANSWER, DHCP_REFUSED, and what opening the link throws.
   */
  obtain(lease: DhcpLease, patience: number, wish?: Address): Promise<DhcpLease & { readonly granted: Grant }>;
  /** Asks to keep an address. */
  keep(lease: DhcpLease, purpose: Purpose, where: Where, patience: number): Promise<Ending>;
  /** Another machine has the address: says so to the server, and forgets the lease. Nobody answers. */
  refuse(lease: DhcpLease, why: string): Promise<void>;
  /** Gives the address back, if it has one, and forgets the lease. Nobody answers; a link that is gone is no error. */
  giveBack(lease: DhcpLease): Promise<void>;
}

/** A new lease is not asked for more often than this in one go when what the server grants cannot be used. */
const MOST_DECLINED = 3;
/** When the lease from before still runs, a container goes on with it after this share of the patience with a server. */
const SHARE_WITH_LEASE = 0.5;

export function createConversation(parts: ConversationParts): Conversation {
  const { book, events, metrics } = parts;

  const on = <Result>(lease: DhcpLease, where: Where, work: (port: LinkPort) => Promise<Result>): Promise<Result> =>
    onLink(parts, lease, where, work);

  async function talk(
    lease: DhcpLease,
    purpose: Purpose,
    where: Where,
    patience: number,
    chosen?: (offer: Offer) => Promise<void>,
  ): Promise<Ending> {
    const { client, identity } = lease;
    const began = parts.monotonic();
    const ending = await on(lease, where, (port) =>
      exchange(port, client, purpose, {
        patience,
        ...(chosen === undefined ? {} : { chosen }),
        refused: ({ server, reason }) =>
          events.emit(
            'dhcp.refused',
            `the DHCP server ${formatAddress(server)} refused the address that ${identity} asked for${reason && `: ${reason}`}`,
            { link: where.link, mac: client.mac },
          ),
        monotonic: parts.monotonic,
      }),
    );
    metrics.dhcpExchange(purpose.kind, ending.kind, (parts.monotonic() - began) / 1000);
    return ending;
  }

  function grantOf(ending: Extract<Ending, { kind: 'granted' }>): Grant {
    const ago = parts.monotonic() - ending.requestedAt;
    return { terms: ending.terms, server: ending.server, requestedAt: Math.round(parts.now() - ago) };
  }

  /** Resolves when it has gone out: what is forgotten next cannot be sent again. */
  async function send(lease: DhcpLease, outgoing: Outgoing): Promise<void> {
    await on(lease, { link: lease.link }, async (port) => {
      await port.send(frameOf(outgoing, lease.client.mac));
      await port.flushed();
    });
  }

  async function sayDeclined(lease: DhcpLease, { terms: { address }, server }: Offer, why: string): Promise<void> {
    const shown = formatAddress(address.address);
    await send(lease, decline(lease.client, address.address, server.address, Math.random));
    events.emit(
      'dhcp.declined',
      `the DHCP server ${formatAddress(server.address)} gave ${shown} to ${lease.identity}, and ${why}: declined`,
      { link: lease.link, address: shown },
    );
  }

  return {
    async obtain(lease, patience, wish) {
      const deadline = parts.monotonic() + patience;
      const before = lease.granted;
      const running = before !== undefined && stillServes(before, parts.now(), wish);
      let current = lease;
      for (let declined = 0; declined < MOST_DECLINED; declined += 1) {
        const address = wish ?? before?.terms.address.address ?? lostAddress(lease);
        const purpose: Purpose =
          running && declined === 0 && address !== undefined
            ? { kind: 'reboot', address }
            : { kind: 'discover', ...(address === undefined || declined > 0 ? {} : { wish: address }) };
        const left = Math.max(0, deadline - parts.monotonic());
        const ending = await talk(
          lease,
          purpose,
          { link: lease.link },
          running ? left * SHARE_WITH_LEASE : left,
          async (offer) => {
            current = { ...current, requested: { ...offer, requestedAt: parts.now() } };
            await book.put(current);
          },
        );
        if (ending.kind === 'silent') {
          if (!running || declined > 0) throw unanswered('DHCP', lease, ending.heard, patience);
          // RFC 2131 §3.2: who gets no answer may go on with a lease that still runs.
          events.emit(
            'dhcp.unconfirmed',
            `no DHCP server answered ${lease.identity} on ${lease.link}: it goes on with ${formatAddress(address!)}, whose lease still runs`,
            { link: lease.link, address: formatAddress(address!) },
          );
          const { requested: _unanswered, ...rest } = current;
          const kept = { ...rest, granted: before };
          await book.put(kept);
          return kept;
        }
        if (ending.kind === 'refused') throw new BerthError('INTERNAL', 'a new lease cannot be refused');
        const granted = grantOf(ending);
        if (parts.isTaken(lease, granted.terms)) {
          await sayDeclined(lease, granted, 'another container has it');
          continue;
        }
        const { requested: _answered, ...rest } = current;
        const kept = { ...rest, granted };
        await book.put(kept);
        return kept;
      }
      throw new BerthError(
        'DHCP_REFUSED',
        `the DHCP server on ${lease.link} gives ${lease.identity} only addresses that other containers have`,
      );
    },

    keep: (lease, purpose, where, patience) => talk(lease, purpose, where, patience),

    async refuse(lease, why) {
      if (lease.granted !== undefined) await sayDeclined(lease, lease.granted, why);
      await book.delete(lease.key);
    },

    async giveBack(lease) {
      const grants = [lease.requested, lease.granted].filter((grant) => grant !== undefined);
      const unique = new Map(grants.map((grant) => [formatAddress(grant.terms.address.address), grant]));
      for (const [shown, { terms, server }] of unique) {
        try {
          await send(lease, release(lease.client, terms.address.address, server, Math.random));
          events.emit(
            'dhcp.released',
            `${shown} of ${lease.identity} was given back to ${formatAddress(server.address)}`,
            {
              link: lease.link,
              address: shown,
            },
          );
        } catch (error) {
          if (!(error instanceof BerthError) || error.code === 'SHUTTING_DOWN') throw error;
          events.emit('dhcp.release-failed', `${shown} of ${lease.identity} cannot be given back: ${error.message}`, {
            link: lease.link,
            address: shown,
          });
        }
      }
      await book.delete(lease.key);
    },
  };
}

/** Whether a grant has not run out, and is for the address that is wished for, if there is one. @param now milliseconds since the epoch. */
export function stillServes({ requestedAt, terms }: Grant, now: number, wish: Address | undefined): boolean {
  return now < requestedAt + terms.lease * 1000 && (wish === undefined || sameAddress(wish, terms.address.address));
}

export function unanswered(
  protocol: 'DHCP' | 'DHCPv6',
  { link, identity }: DhcpLease,
  heard: 'nothing' | 'offer',
  patience: number,
): BerthError {
  const within = `within ${Math.round(patience / 1000)} s`;
  const what =
    heard === 'nothing'
      ? `no ${protocol} server answered ${identity} on ${link}`
      : `a ${protocol} server on ${link} offered ${identity} an address and did not confirm it`;
  return new BerthError('DHCP_NO_ANSWER', `${what} ${within}`);
}

/** Each lease by the protocol that it is of. */
export function byFamily(four: Conversation, six: Conversation): Conversation {
  const of = ({ family }: DhcpLease): Conversation => (family === 6 ? six : four);
  return {
    obtain: (lease, patience, wish) => of(lease).obtain(lease, patience, wish),
    keep: (lease, purpose, where, patience) => of(lease).keep(lease, purpose, where, patience),
    refuse: (lease, why) => of(lease).refuse(lease, why),
    giveBack: (lease) => of(lease).giveBack(lease),
  };
}

function lostAddress({ lost }: DhcpLease): Address | undefined {
  return lost && parseInterfaceAddress(lost.address)?.address;
}
