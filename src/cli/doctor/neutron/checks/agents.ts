import { type Finding, fail, ok, warn } from '../../check.ts';
import type { NeutronCheck } from '../checks.ts';
import { portAgents } from '../facts.ts';

/** An agent of Neutron wires ports on this host, and calls the host as Berth does: Neutron compares the names as texts. */
export const agents: NeutronCheck = {
  name: 'agents',
  look({ agents: told, host, fullName, ports, nested }): readonly Finding[] {
    if (told === undefined || nested === true) return [];
    if ('error' in told) return [warn(told.error, told.next)];
    const all = portAgents(told.value);
    if (told.value.length === 0) return [silent(ports)];
    const here = all.filter((agent) => agent.host === host);
    if (here.length === 0) return [missing(host, fullName, [...new Set(all.map((agent) => agent.host))])];
    const findings = here.map(({ agent_type, alive, admin_state_up = true, binary, id }) => {
      if (!alive)
        return fail(`the ${agent_type} of ${host} is not alive`, `systemctl restart ${binary ?? 'neutron-*-agent'}`);
      if (!admin_state_up)
        return fail(`the ${agent_type} of ${host} is switched off`, `openstack network agent set --enable ${id}`);
      return ok(`the ${agent_type} of ${host} is alive`);
    });
    // One that lives wires the ports, though another is left over.
    const lives = findings.some(({ level }) => level === 'ok');
    return findings.map((finding) => (lives && finding.level === 'fail' ? { ...finding, level: 'warn' } : finding));
  },
};

/** An administrator is told of all agents, and anybody else of none, whether there are any or not. */
function silent(ports: Parameters<NeutronCheck['look']>[0]['ports']): Finding {
  const bound = ports !== undefined && 'value' in ports && ports.value.some(({ vif }) => isBound(vif));
  if (bound) return ok('Neutron tells this user of none, and binds ports to this host');
  return warn(
    'Neutron tells this user of no agent',
    "allow get_agent in Neutron's policy, or: openstack network agent list",
  );
}

const isBound = (vif: string | undefined): boolean =>
  vif !== undefined && vif !== 'binding_failed' && vif !== 'unbound';

function missing(host: string, fullName: string, hosts: readonly string[]): Finding {
  const short = (name: string): string => name.toLowerCase().split('.')[0]!;
  const near =
    hosts.find((name) => short(name) === short(host)) ?? hosts.find((name) => short(name) === short(fullName));
  if (near !== undefined)
    return fail(`Neutron has an agent on '${near}', and Berth calls this host '${host}'`, `berth agent --host ${near}`);
  const others =
    hosts.length === 0 ? 'on no host' : `on ${hosts.slice(0, 8).join(', ')}${hosts.length > 8 ? ' …' : ''}`;
  return fail(
    `Neutron has no agent that wires ports on '${host}'; there are some ${others}`.replace('some on no host', 'none'),
    'systemctl start neutron-linuxbridge-agent (or neutron-openvswitch-agent), or: berth agent --host NAME',
  );
}
