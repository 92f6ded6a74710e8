/**
 * Asks DHCPv6 servers for addresses, and gives them back. All of it is spoken on the link of the host and not from within the container:
 * a client is known by its DUID there, not by where it asks from.
 */

import type { Purpose } from '../../dhcp/client.ts';
import type { Advertisement } from '../../dhcp/router.ts';
import type { Outcome6, Purpose6 } from '../../dhcp/v6/client.ts';
import { type Ending6, type Exchange6Options, exchange6 } from '../../dhcp/v6/exchange.ts';
import { clientOf6 } from '../../dhcp/v6/identity.ts';
import { type Address, formatAddress, sameAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { contains, type InterfaceAddress, parseInterfaceAddress } from '../../model/prefix.ts';
import { type Conversation, type ConversationParts, stillServes, unanswered } from './conversation.ts';
import { onLink } from './on-link.ts';
import type { DhcpLease, Grant } from './record.ts';
import type { Routers } from './routers.ts';

export interface Conversation6 extends Conversation {
  /** Name servers and the like, for an address that no server gave. Undefined when nobody answers. */
  inform(lease: DhcpLease, patience: number): Promise<Extract<Outcome6, { kind: 'answered' }> | undefined>;
}

export interface Conversation6Parts extends ConversationParts {
  readonly routers: Routers;
}

/** A new lease is not asked for more often than this in one go when what the server grants cannot be used. */
const MOST_DECLINED = 3;
/** When the lease from before still runs, a container goes on with it after this share of the patience with a server. */
const SHARE_WITH_LEASE = 0.5;
/** How long is waited for a router to say what is on the link. Milliseconds. */
const PATIENCE_FOR_ROUTER = 1500;
/** How long a server is waited for that is told of an end: two messages' time. */
const PATIENCE_FOR_END = 1800;

export function createConversation6(parts: Conversation6Parts): Conversation6 {
  const { book, events, metrics, routers } = parts;

  async function talk(
    lease: DhcpLease,
    purpose: Purpose6,
    patience: number,
    chosen?: Exchange6Options['chosen'],
  ): Promise<Ending6> {
    const { client, identity, link } = lease;
    const began = parts.monotonic();
    const ending = await onLink(parts, lease, { link, hears: 'dhcp6' }, (port) =>
      exchange6(port, client.mac, clientOf6(client), purpose, {
        patience,
        ...(chosen === undefined ? {} : { chosen }),
        refused: ({ server, reason }) =>
          events.emit(
            'dhcp.refused',
            `the DHCPv6 server ${formatAddress(server)} refused the address that ${identity} asked for: ${reason}`,
            { link, mac: client.mac },
          ),
        monotonic: parts.monotonic,
      }),
    );
    metrics.dhcpExchange(`v6-${purpose.kind}`, ending.kind, (parts.monotonic() - began) / 1000);
    return ending;
  }

  /** With the length that a router told for it: DHCPv6 tells none. */
  function grantOf(
    { terms, server, requestedAt }: Extract<Ending6, { kind: 'granted' }>,
    length: number,
  ): Grant & { readonly server: { readonly duid?: Uint8Array } } {
    const ago = parts.monotonic() - requestedAt;
    const { address } = terms.address;
    return { terms: { ...terms, address: { address, length } }, server, requestedAt: Math.round(parts.now() - ago) };
  }

  async function decline(lease: DhcpLease, { terms, server }: Grant, why: string): Promise<void> {
    const { address } = terms.address;
    await talk(lease, { kind: 'decline', address, server }, PATIENCE_FOR_END);
    const shown = formatAddress(address);
    events.emit(
      'dhcp.declined',
      `the DHCPv6 server ${formatAddress(server.address)} gave ${shown} to ${lease.identity}, and ${why}: declined`,
      { link: lease.link, address: shown },
    );
  }

  async function release(lease: DhcpLease, { terms, server }: Pick<Grant, 'terms' | 'server'>): Promise<void> {
    const { address } = terms.address;
    const shown = formatAddress(address);
    const at = { link: lease.link, address: shown };
    try {
      const ending = await talk(lease, { kind: 'release', address, server }, PATIENCE_FOR_END);
      if (ending.kind === 'answered') {
        const text = `${shown} of ${lease.identity} was given back to ${formatAddress(server.address)}`;
        events.emit('dhcp.released', text, at);
      } else {
        const text = `${shown} of ${lease.identity} was given back, and no DHCPv6 server says that it has heard it`;
        events.emit('dhcp.release-failed', text, at);
      }
    } catch (error) {
      if (!(error instanceof BerthError) || error.code === 'SHUTTING_DOWN') throw error;
      events.emit('dhcp.release-failed', `${shown} of ${lease.identity} cannot be given back: ${error.message}`, at);
    }
  }

  return {
    async obtain(lease, patience, wish) {
      const deadline = parts.monotonic() + patience;
      const { granted: before, lost } = lease;
      const heldBefore = before?.terms.address ?? (lost && parseInterfaceAddress(lost.address));
      const router = routers.ask(lease, Math.min(patience, PATIENCE_FOR_ROUTER)).catch(() => undefined);
      const running = before !== undefined && stillServes(before, parts.now(), wish);
      let current = running ? lease : without(lease);
      // A server may grant at once, and this process end before it has written that down: then somebody has to ask again.
      await book.put(current);
      for (let declined = 0; declined < MOST_DECLINED; declined += 1) {
        const address = wish ?? heldBefore?.address;
        const purpose: Purpose6 =
          running && declined === 0 && address !== undefined
            ? { kind: 'reboot', address }
            : { kind: 'solicit', ...(address === undefined || declined > 0 ? {} : { wish: address }) };
        const left = Math.max(0, deadline - parts.monotonic());
        const ending = await talk(lease, purpose, running ? left * SHARE_WITH_LEASE : left, async (offer) => {
          current = { ...current, requested: { ...offer, requestedAt: parts.now() } };
          await book.put(current);
        });
        const { requested: _answered, lost: _over, ...rest } = current;
        if (ending.kind === 'granted') {
          const { address: given } = ending.terms.address;
          const granted = grantOf(ending, lengthOf(given, await router, heldBefore));
          if (parts.isTaken(lease, granted.terms)) {
            await decline(lease, granted, 'another container has it');
            continue;
          }
          const kept = { ...rest, granted };
          await book.put(kept);
          return kept;
        }
        if (running && declined === 0 && (ending.kind === 'silent' || ending.kind === 'confirmed')) {
          if (ending.kind === 'silent') {
            events.emit(
              'dhcp.unconfirmed',
              `no DHCPv6 server answered ${lease.identity} on ${lease.link}: it goes on with ${formatAddress(address!)}, whose lease still runs`,
              { link: lease.link, address: formatAddress(address!) },
            );
          }
          const kept = { ...rest, granted: before };
          await book.put(kept);
          return kept;
        }
        if (ending.kind === 'silent') throw unanswered('DHCPv6', lease, ending.heard, patience);
        if (ending.kind !== 'unavailable') throw new BerthError('INTERNAL', 'a new lease cannot be refused');
        if (lost === undefined) await book.delete(lease.key);
        throw new BerthError(
          'DHCP_NO_ADDRESS',
          `the DHCPv6 server ${formatAddress(ending.server)} on ${lease.link} has no address for ${lease.identity}: ${ending.reason}`,
        );
      }
      throw new BerthError(
        'DHCP_REFUSED',
        `the DHCPv6 server on ${lease.link} gives ${lease.identity} only addresses that other containers have`,
      );
    },

    async keep(lease, purpose, _where, patience) {
      const ending = await talk(lease, keeping(purpose), patience);
      if (ending.kind === 'refused' || ending.kind === 'silent') return ending;
      if (ending.kind !== 'granted') throw new BerthError('INTERNAL', 'a lease that is kept is granted or refused');
      const before = lease.granted?.terms.address;
      const { address } = ending.terms.address;
      const held = before !== undefined && sameAddress(before.address, address) ? before : ending.terms.address;
      return { ...ending, terms: { ...ending.terms, address: held } };
    },

    async refuse(lease, why) {
      if (lease.granted !== undefined && lease.stateless === undefined) await decline(lease, lease.granted, why);
      await book.delete(lease.key);
    },

    async giveBack(lease) {
      const { requested, granted, stateless } = lease;
      const grants = stateless === undefined ? [requested, granted].filter((grant) => grant !== undefined) : [];
      const unique = new Map(grants.map((grant) => [formatAddress(grant.terms.address.address), grant]));
      for (const grant of unique.values()) await release(lease, grant);
      // Asked for, and then this process was killed: whether a server has granted it is found out by asking again.
      if (stateless === undefined && unique.size === 0) {
        const ending = await talk(lease, { kind: 'solicit' }, PATIENCE_FOR_END);
        if (ending.kind === 'granted') await release(lease, ending);
      }
      await book.delete(lease.key);
    },

    async inform(lease, patience) {
      const ending = await talk(lease, { kind: 'inform' }, patience);
      return ending.kind === 'answered' ? ending : undefined;
    },
  };
}

/** A lease that has run out is as good as none. */
function without(lease: DhcpLease): DhcpLease {
  const { granted: _over, requested: _too, ...rest } = lease;
  return rest;
}

/** Of whoever may be asked otherwise than from within the container, any server is asked. */
function keeping(purpose: Purpose): Purpose6 {
  switch (purpose.kind) {
    case 'renew':
      return purpose.server.duid === undefined ? { kind: 'rebind', address: purpose.address } : purpose;
    case 'rebind':
    case 'confirm':
      return { kind: 'rebind', address: purpose.address };
    default:
      throw new BerthError('INTERNAL', 'what is kept has an address');
  }
}

/**
 * Of the prefix on the link that the address is in; without one, only the address itself is the container's, and everything else is
 * reached by the router (RFC 5942 §4).
 */
function lengthOf(address: Address, advertisement: Advertisement | undefined, before?: InterfaceAddress): number {
  const lengths = (advertisement?.onLink ?? []).filter((one) => contains(one, address)).map(({ length }) => length);
  if (lengths.length > 0) return Math.max(...lengths);
  const same = advertisement === undefined && before !== undefined && sameAddress(before.address, address);
  return same ? before.length : 128;
}
