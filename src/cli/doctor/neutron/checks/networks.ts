import { type Finding, fail, orOk, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';
import type { NeutronFacts, NeutronNetworkFacts } from '../facts.ts';

/** Networks of other kinds may have a router that Neutron knows nothing of. */
const TUNNELS = new Set(['vxlan', 'gre', 'geneve']);

/** Each network of Docker is there, and its packets get on from the gateway. */
export const networks: NeutronCheck = {
  name: 'networks',
  look(facts): readonly Finding[] {
    const { networks: told } = facts;
    if (told === undefined) return [];
    if ('error' in told) return [warn(told.error, told.next)];
    const findings = told.value.flatMap((on) => lookAt(on, facts));
    const count = told.value.length;
    return orOk(findings, `${count} of Docker ${count === 1 ? 'is' : 'are'} there, with what is behind the gateways`);
  },
};

function lookAt(on: NeutronNetworkFacts, facts: NeutronFacts): readonly Finding[] {
  const { name, network, subnets } = on;
  if (network === undefined)
    return [
      fail(
        `the network ${name} is not in Neutron any more, or not visible to this project`,
        `docker network rm ${name}`,
      ),
    ];
  const findings: Finding[] = [];
  if (network.admin_state_up === false)
    findings.push(
      fail(`the network ${name} is switched off in Neutron`, `openstack network set --enable ${network.id}`),
    );
  if (subnets.length === 0)
    findings.push(fail(`the network ${name} has no subnet in Neutron`, `docker network rm ${name}`));
  findings.push(...gateways(on, facts));
  if (!on.hasDhcp && isSeen(on, facts) && subnets.some(({ enable_dhcp }) => enable_dhcp === true))
    findings.push(
      warn(
        `nobody serves DHCP on the network ${name}, though its subnet says so: containers need none, virtual machines do`,
        'openstack network agent list --agent-type dhcp',
      ),
    );
  return findings;
}

function gateways(on: NeutronNetworkFacts, facts: NeutronFacts): readonly Finding[] {
  const { name, internal, network, subnets, gateways: told, gatewayOwners } = on;
  if (internal || !isSeen(on, facts)) return [];
  const kind = network?.['provider:network_type'];
  const outside = network?.['router:external'] === true || (kind !== undefined && !TUNNELS.has(kind));
  return told.flatMap((address): Finding[] => {
    if (gatewayOwners[address] !== undefined || outside) return [];
    const subnet = subnets.find(({ gateway_ip }) => gateway_ip === address);
    const other =
      subnet === undefined
        ? `, which is not Neutron's (${subnets.map((one) => one.gateway_ip ?? 'none').join(', ')})`
        : '';
    return [
      warn(
        `nobody has the gateway ${address} of the network ${name}${other}: packets to elsewhere are lost`,
        subnet === undefined
          ? `openstack router add port ROUTER PORT (a port with the address ${address})`
          : `openstack router add subnet ROUTER ${subnet.id}`,
      ),
    ];
  });
}

/** Of a network of another project the ports of others are not told, but to an administrator. */
function isSeen({ network }: NeutronNetworkFacts, { identity }: NeutronFacts): boolean {
  const who = identity !== undefined && 'value' in identity ? identity.value : undefined;
  if (who === undefined) return true;
  return network?.project_id === who.projectId || who.roles.includes('admin');
}
