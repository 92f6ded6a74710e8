/** neutron-server 21 (Zed) with the ML2 plugin. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Service, service } from '../control.ts';
import type { Machine } from '../machine.ts';
import { controlRegion, password } from './identity.ts';
import { ini } from './ini.ts';
import { keystonePort } from './keystone.ts';
import { type WsgiService, wsgiService } from './wsgi.ts';

export interface NeutronOptions {
  /** Ask for tokens of Keystone, which runs beside it; otherwise everybody is an administrator. */
  readonly keystone: boolean;
  /** URL of the database (SQLAlchemy). */
  readonly database: string;
  /** URL of the message bus (oslo.messaging); `fake://` for none. */
  readonly bus: string;
  readonly processes: number;
  /** About each token, at each call. */
  readonly asksEachTime: boolean;
  /** Rules that differ from Neutron's defaults: `{ 'create_port:binding:host_id': 'role:member' }`. */
  readonly policy?: Readonly<Record<string, string>>;
}

/** Port of 127.0.0.1 in the machine. */
export const neutronPort = 9696;

/** Writes its files. Not started yet. */
export function neutronServer(machine: Machine, options: NeutronOptions): WsgiService {
  const folder = join(machine.dir, 'neutron');
  mkdirSync(folder, { recursive: true });
  const config = join(folder, 'neutron.conf');
  writeFileSync(config, neutronConf(machine, folder, options));
  setPolicy(machine, options.policy ?? {});
  const paste = readFileSync('/usr/share/neutron-common/api-paste.ini', 'utf8');
  writeFileSync(join(folder, 'api-paste.ini'), paste.replaceAll('/etc/neutron/', `${folder}/`));
  return wsgiService(machine, {
    name: 'neutron',
    program: '/usr/bin/neutron-api',
    args: `--config-file ${config}`,
    port: neutronPort,
    processes: options.processes,
    env: { HOME: folder },
    probe: '/',
  });
}

/** The process that talks with agents, which the API's processes leave to it. It has the files of `neutronServer`. */
export function neutronRpcServer(machine: Machine): Service {
  const command = ['/usr/bin/neutron-rpc-server', '--config-file', join(machine.dir, 'neutron/neutron.conf')];
  return service(
    'neutron-rpc-server',
    () => machine.spawn([...command, '--log-file', join(machine.dir, 'log/neutron-rpc.log')]),
    () => Promise.resolve(true),
  );
}

/** The rules that differ from the defaults, from now on: Neutron reads the file again when it has changed. */
export function setPolicy(machine: Machine, rules: Readonly<Record<string, string>>): void {
  writeFileSync(join(machine.dir, 'neutron/policy.yaml'), JSON.stringify(rules));
}

function neutronConf(machine: Machine, folder: string, options: NeutronOptions): string {
  const keystone = `http://127.0.0.1:${keystonePort}/v3`;
  return ini({
    DEFAULT: {
      auth_strategy: options.keystone ? 'keystone' : 'noauth',
      state_path: folder,
      api_paste_config: join(folder, 'api-paste.ini'),
      log_file: join(machine.dir, 'log/neutron.log'),
      core_plugin: 'ml2',
      service_plugins: 'router,trunk,qos,segments,port_forwarding',
      transport_url: options.bus,
      rpc_workers: 1,
      rpc_state_report_workers: 0,
      // Nobody listens on a bus that is none.
      dhcp_agent_notification: options.bus !== 'fake://',
      notify_nova_on_port_status_changes: false,
      notify_nova_on_port_data_changes: false,
      dns_domain: 'openstack.test.',
      max_allowed_address_pair: 50,
    },
    oslo_concurrency: { lock_path: join(folder, 'lock') },
    database: { connection: options.database, max_retries: 20 },
    quotas: Object.fromEntries(
      ['network', 'subnet', 'port', 'security_group', 'security_group_rule', 'router', 'floatingip'].map((what) => [
        `quota_${what}`,
        -1,
      ]),
    ),
    // Zed calls the driver experimental, as its maintainer left.
    experimental: { linuxbridge: true },
    oslo_policy: {
      policy_file: join(folder, 'policy.yaml'),
      policy_dirs: join(folder, 'policy.d'),
      enforce_scope: false,
      enforce_new_defaults: false,
    },
    oslo_messaging_notifications: { driver: 'noop' },
    keystone_authtoken: {
      auth_type: 'password',
      auth_url: keystone,
      www_authenticate_uri: keystone,
      username: 'neutron',
      password,
      project_name: 'service',
      user_domain_id: 'default',
      project_domain_id: 'default',
      region_name: controlRegion,
      token_cache_time: options.asksEachTime ? -1 : 300,
      service_token_roles_required: false,
    },
    ml2: {
      type_drivers: 'flat,vlan,vxlan',
      tenant_network_types: 'vxlan',
      mechanism_drivers: 'linuxbridge,openvswitch',
      extension_drivers: 'port_security,qos,dns',
    },
    ml2_type_flat: { flat_networks: '*' },
    ml2_type_vlan: { network_vlan_ranges: 'physnet1:100:199' },
    ml2_type_vxlan: { vni_ranges: '1000:1999', vxlan_group: '224.0.0.1' },
  });
}
