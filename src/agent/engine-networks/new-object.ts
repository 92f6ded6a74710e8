/** A Docker network that a user made on one host, as an object of the cluster. Pure. */

import type { EngineNetwork, EngineSubnet } from '../../docker/engine.ts';
import { formatAddress } from '../../model/address.ts';
import { BerthError } from '../../model/errors.ts';
import { type ClusterObject, text } from '../../model/objects/kind.ts';
import { networkSubnet, parseSubnet6 } from '../../model/objects/network.ts';
import { formatPrefix, lastAddress, samePrefix } from '../../model/prefix.ts';

export interface NewObject {
  /** `TENANT:NETWORK` */
  readonly key: string;
  readonly body: Readonly<Record<string, string>>;
}

/**
 * @param subnets as the agent has them, with the gateways that the engine may not tell.
 * @throws BerthError OBJECT_INVALID where the cluster has no such networks.
 */
export function objectOf(seen: Pick<EngineNetwork, 'name' | 'options'>, subnets: readonly EngineSubnet[]): NewObject {
  const tenant = seen.options.tenant ?? 'default';
  const [v4, ...more] = subnets.filter(({ subnet }) => subnet.address.family === 4);
  const [v6, ...more6] = subnets.filter(({ subnet }) => subnet.address.family === 6);
  if (v4 === undefined) throw new BerthError('OBJECT_INVALID', 'a network of the cluster has an IPv4 subnet');
  if (more.length + more6.length > 0)
    throw new BerthError('OBJECT_INVALID', 'a network of the cluster has one subnet of each family');
  return {
    key: `${tenant}:${seen.name}`,
    body: {
      tenantName: tenant,
      networkName: seen.name,
      encap: 'vxlan',
      subnet: subnetText(v4),
      gateway: v4.gateway === undefined ? '' : formatAddress(v4.gateway),
      ipv6Subnet: v6 === undefined ? '' : formatPrefix(v6.subnet),
      ipv6Gateway: v6?.gateway === undefined ? '' : formatAddress(v6.gateway),
    },
  };
}

/** `10.1.0.0/24`, or with an `--ip-range` `10.1.0.64-10.1.0.127/24`. */
function subnetText({ subnet, range }: EngineSubnet): string {
  if (range === undefined) return formatPrefix(subnet);
  return `${formatAddress(range.address)}-${formatAddress(lastAddress(range))}/${subnet.length}`;
}

/** Whether an object of that name is the same network, made on another host. */
export function isSameNetwork({ config }: ClusterObject, { body }: NewObject): boolean {
  const given = networkSubnet({ config: body } as unknown as ClusterObject);
  const known = networkSubnet({ config } as ClusterObject);
  const [given6, known6] = [parseSubnet6(body.ipv6Subnet!), parseSubnet6(text(config, 'ipv6Subnet'))];
  return (
    samePrefix(given.prefix, known.prefix) &&
    text(config, 'gateway') === body.gateway &&
    (given6 === undefined || known6 === undefined ? given6 === known6 : samePrefix(given6, known6)) &&
    text(config, 'ipv6Gateway') === body.ipv6Gateway
  );
}
