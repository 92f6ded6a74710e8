/**
 * What Neutron's policy allows us, found out without making anything. Neutron judges a request by its policy before it looks whether
 * it can be done (neutron/pecan_wsgi/hooks/policy_enforcement.py), so ports are asked for that cannot be made: on a subnet that
 * does not exist. 403 says that we may not, any other refusal that we might have. The network must exist: whose it is, is looked at
 * before the policy (ownership_validation.py).
 */

import { asBerthError } from '../../../model/errors.ts';
import type { Bounds } from '../../../openstack/bounds.ts';
import { detailsOf } from '../../../openstack/failure.ts';
import type { Neutron } from '../../../openstack/neutron/neutron.ts';
import type { PortRequest } from '../../../openstack/neutron/requests.ts';
import type { RightFacts } from './facts.ts';

/** Of version 8 (RFC 9562 §5.8), which Neutron never gives: its ids are of version 4. */
const NOWHERE = '00000000-0000-8000-8000-000000000000';
/** Documentation (RFC 5737). */
const ADDRESS = '192.0.2.1';
/** Locally administered, and nobody's. */
const MAC = '02:00:00:00:00:01';

interface Trial {
  readonly rule: string;
  readonly port: PortRequest;
  readonly network?: string;
}

export interface Place {
  /** Its name, for people. */
  readonly name: string;
  /** Neutron's id. */
  readonly network: string;
}

/**
 * Asks Neutron once for each right.
 *
 * @param places networks, which differ by whose they are. Without one, nothing can be found out.
 */
export async function findRights(
  neutron: Pick<Neutron, 'ports'>,
  host: string,
  places: readonly Place[],
  bounds: Bounds,
): Promise<readonly RightFacts[]> {
  const trials = places.flatMap(({ name, network }, index): Trial[] => {
    const on = { network_id: network, fixed_ips: [{ subnet_id: NOWHERE }] };
    const anywhere: Trial[] = [
      { rule: 'create_port', port: on },
      { rule: 'create_port:binding:host_id', port: { ...on, 'binding:host_id': host } },
    ];
    const here: Trial[] = [
      { rule: 'create_port:mac_address', network: name, port: { ...on, mac_address: MAC } },
      {
        rule: 'create_port:fixed_ips:ip_address',
        network: name,
        port: { ...on, fixed_ips: [{ subnet_id: NOWHERE, ip_address: ADDRESS }] },
      },
    ];
    return index === 0 ? [...anywhere, ...here] : here;
  });
  return await Promise.all(
    trials.map(async ({ rule, network, port }) => ({
      rule,
      ...(network === undefined ? {} : { network }),
      allowed: await isAllowed(neutron, port, bounds),
    })),
  );
}

async function isAllowed(
  neutron: Pick<Neutron, 'ports'>,
  port: PortRequest,
  bounds: Bounds,
): Promise<RightFacts['allowed']> {
  try {
    // No Neutron makes this; one that did is not left with it.
    const made = await neutron.ports.create(port, bounds);
    await neutron.ports.remove(made.id, bounds);
    return true;
  } catch (thrown) {
    const { code, message } = asBerthError(thrown);
    if (code === 'NEUTRON_DENIED') return false;
    const status = detailsOf(thrown)?.status;
    // Quotas are looked at before the policy.
    const isJudged = code !== 'NEUTRON_QUOTA' && status !== undefined && [400, 404, 409].includes(status);
    return isJudged ? true : { unknown: message };
  }
}
