/** Neutron's agents on a host of a bed, whatever its engine: they run with this machine's programs in the host's network. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Service, service } from '../control.ts';
import type { Machine } from '../machine.ts';
import { type Result, type RunOptions, run, start, waitFor } from '../process.ts';
import { ini } from './ini.ts';
import type { Resource, RestClient } from './rest.ts';

export interface AgentOptions {
  /** Address of the host that its tunnels begin at. */
  readonly localAddress: string;
  /** Run the DHCP agent too, with dnsmasq for the networks it serves. */
  readonly dhcp?: boolean;
  /** Run the L3 agent too, for routers and floating IPs. */
  readonly l3?: boolean;
}

export interface Agents {
  /** The name under which Neutron knows the host. */
  readonly host: string;
  readonly linuxbridge: Service;
  readonly dhcp?: Service;
  readonly l3?: Service;
  /** Runs a program where the agents' named network namespaces are: `ip netns exec qrouter-… …`. */
  exec(command: readonly string[], options?: RunOptions): Promise<Result>;
}

const binaries = {
  linuxbridge: 'neutron-linuxbridge-agent',
  dhcp: 'neutron-dhcp-agent',
  l3: 'neutron-l3-agent',
} as const;

/**
 * Starts the agents of a host, and waits until Neutron hears of them. After a power failure of the host, start them again.
 *
 * @param bus URL of the message bus. @param neutron to ask for the agents.
 */
export async function startAgents(
  machine: Machine,
  bus: string,
  neutron: RestClient,
  options: AgentOptions,
): Promise<Agents> {
  const side = await start(
    [
      ...enter(machine.pid()),
      'unshare',
      '-m',
      '--propagation',
      'private',
      'sh',
      join(import.meta.dirname, 'agents-boot.sh'),
    ],
    { log: join(machine.dir, 'log/agents-boot.log'), forks: true },
  );
  await side.waitForOutput(/^up$/m);
  const inside = (command: readonly string[]) => [...enter(side.pid, '-m'), ...command];
  const env = {
    PATH: `${join(import.meta.dirname, 'tools')}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: '/run/agents',
    // Sockets of the privileged helpers are made there; their paths must be short.
    TMPDIR: '/run/agents',
    LANG: 'C.UTF-8',
  };

  const folder = join(machine.dir, 'agents');
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'agents.conf');
  writeFileSync(config, agentsConf(machine, bus, options.localAddress));
  // A section of this name is read by each of them, and none knows the extensions of another.
  const l3Config = join(folder, 'l3.conf');
  writeFileSync(l3Config, ini({ agent: { extensions: 'port_forwarding' } }));
  const agent = (kind: keyof typeof binaries): Service => {
    const binary = binaries[kind];
    const command = [
      `/usr/bin/${binary}`,
      '--config-file',
      config,
      ...(kind === 'l3' ? ['--config-file', l3Config] : []),
      '--log-file',
      join(machine.dir, `log/${kind}-agent.log`),
    ];
    return service(
      `${binary} on ${machine.name}`,
      () => start(inside(command), { env, log: join(machine.dir, `log/${kind}-agent.out.log`), forks: true }),
      () => Promise.resolve(true),
    );
  };
  const agents: Agents = {
    host: machine.name,
    linuxbridge: agent('linuxbridge'),
    ...(options.dhcp ? { dhcp: agent('dhcp') } : {}),
    ...(options.l3 ? { l3: agent('l3') } : {}),
    exec: (command, more = {}) => run(inside(command), { ...more, env: { ...env, ...more.env } }),
  };
  const started = [agents.linuxbridge, agents.dhcp, agents.l3].filter((one) => one !== undefined);
  await Promise.all(started.map((one) => one.start()));
  await waitFor(
    `the agents of ${machine.name} to report to Neutron`,
    async () => {
      for (const one of started) one.process();
      const known = await neutron.get<Resource[]>(`/agents?host=${machine.name}`);
      return known.filter(({ alive }) => alive === true).length === started.length;
    },
    120_000,
    250,
  );
  return agents;
}

const enter = (pid: number, ...more: readonly string[]) => [
  'nsenter',
  '-t',
  `${pid}`,
  '-n',
  '-u',
  '-i',
  '-p',
  ...more,
  '--',
];

function agentsConf(machine: Machine, bus: string, localAddress: string): string {
  const helper = { helper_command: '/usr/bin/privsep-helper' };
  return ini({
    DEFAULT: {
      host: machine.name,
      // Of the host's folder dnsmasq could read nothing, as it is not root.
      state_path: '/run/agents/state',
      transport_url: bus,
      interface_driver: 'linuxbridge',
      dhcp_driver: 'neutron.agent.linux.dhcp.Dnsmasq',
      rpc_response_timeout: 20,
    },
    oslo_concurrency: { lock_path: '/run/agents/lock' },
    // They are root: nothing needs sudo.
    agent: { root_helper: '', root_helper_daemon: '', report_interval: 10, polling_interval: 1 },
    experimental: { linuxbridge: true },
    linux_bridge: { physical_interface_mappings: '' },
    vxlan: {
      enable_vxlan: true,
      vxlan_group: '224.0.0.1',
      local_ip: localAddress,
      l2_population: false,
      udp_dstport: 4789,
    },
    securitygroup: { firewall_driver: 'iptables', enable_security_group: true, enable_ipset: true },
    privsep: helper,
    privsep_conntrack: helper,
    privsep_dhcp_release: helper,
    privsep_link: helper,
    privsep_namespace: helper,
    privsep_ovs_vsctl: helper,
  });
}
