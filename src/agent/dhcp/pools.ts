/**
 * Our IPAM in front of a LAN's DHCP server, `--ipam-opt dhcp=true`: the pool stands for the link, and an address that Docker asks
 * for is asked of the server. Engines from 29 on say for which container; that is what this way is better at.
 */

import type { IpamDriver, RequestPool } from '../../docker/driver.ts';
import { BerthError } from '../../model/errors.ts';
import { isLinkName } from '../../model/ids.ts';
import type { Network } from '../../model/network.ts';
import type { Prefix } from '../../model/prefix.ts';
import type { State } from '../state.ts';
import type { Dhcp } from './manager.ts';
import { isOf, type LinkPool, poolId, readPoolId } from './pool-id.ts';

export interface DhcpPoolsParts {
  readonly state: State;
  readonly dhcp: Pick<Dhcp, 'reserve' | 'unclaimed' | 'find' | 'expect'>;
  /** The link of pools that name none. */
  readonly bridge: string;
}

/** No subnet at all: the server knows it. Engines do not compare it with the host's routes, which it would overlap. */
const ANY: Prefix = { address: { family: 4, value: 0n }, length: 0 };
const OPTIONS = new Set(['dhcp', 'bridge', 'parent']);

/** Answers for pools that are a DHCP server's, and hands the rest to `other`. */
export function withDhcpPools(other: IpamDriver, parts: DhcpPoolsParts): IpamDriver {
  const { state, dhcp } = parts;

  /** @throws BerthError BAD_OPTION, NETWORK_UNKNOWN */
  function networkOf(pool: LinkPool): Network {
    const found = [...state.networks.values()].find((network) => isOf(network, pool));
    if (found !== undefined) return found;
    throw new BerthError(
      'NETWORK_UNKNOWN',
      `there is no network of Berth on ${pool.link} that takes its addresses by DHCP`,
    );
  }

  return {
    addressSpaces: (call) => other.addressSpaces(call),

    async requestPool(request, call) {
      if (request.options.dhcp !== 'true') return other.requestPool(request, call);
      const subnet = checkPool(request);
      const link = request.options.bridge ?? request.options.parent ?? parts.bridge;
      if (!isLinkName(link))
        throw new BerthError('BAD_OPTION', `'${link.slice(0, 32)}' is not the name of an interface`);
      const id = poolId({ link, ...(subnet === undefined ? {} : { subnet }) });
      await dhcp.expect(id);
      return { id, subnet: subnet ?? ANY };
    },

    releasePool(id, call) {
      return readPoolId(id) === undefined ? other.releasePool(id, call) : Promise.resolve();
    },

    async requestAddress(request, call) {
      const pool = readPoolId(request.pool);
      if (pool === undefined) return other.requestAddress(request, call);
      const { address, name } = request;
      const length = pool.subnet?.length ?? 0;
      if (request.purpose === 'gateway') return { address: address ?? pool.subnet?.address ?? ANY.address, length };
      // A restarted engine repeats what it knows.
      const known = address && dhcp.find(address);
      if (known !== undefined) return known;
      const wish = { ...(name === undefined ? {} : { name }), ...(address === undefined ? {} : { address }) };
      return dhcp.reserve(networkOf(pool), wish);
    },

    async releaseAddress(id, address, call) {
      if (readPoolId(id) === undefined) await other.releaseAddress(id, address, call);
      // The lease is the container's as long as that exists.
      else dhcp.unclaimed(address);
    },
  };
}

/** @throws BerthError BAD_OPTION */
function checkPool({ options, subnet, range, family }: RequestPool): Prefix | undefined {
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new BerthError(
      'BAD_OPTION',
      `the IPAM option '${unknown.slice(0, 32)}' is not known; there are ${[...OPTIONS].join(', ')}`,
    );
  if (family === 6)
    throw new BerthError(
      'BAD_OPTION',
      'with dhcp=true this gives IPv4 addresses only: leave out --ipv6, or use --ipam-driver null with -o dhcp=true -o ipv6=auto',
    );
  if (range !== undefined)
    throw new BerthError(
      'BAD_OPTION',
      'with dhcp=true the server knows which addresses are free: leave out --ip-range',
    );
  return subnet;
}
