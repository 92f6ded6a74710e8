/**
 * Every key of kuryr.conf: those of kuryr-libnetwork and kuryr, of keystoneauth in `[neutron]`, and of oslo.log. The page
 * docs/kuryr-conf.md is made from this.
 */

import { interfaces } from '../keystone/catalog.ts';
import * as values from './values.ts';

export interface ConfKey {
  readonly name: string;
  /** Older names of the same. */
  readonly aliases?: readonly string[];
  readonly type: values.ValueType<unknown>;
  readonly default?: string;
  /** A variable whose value is the default (kuryr_libnetwork/config.py). */
  readonly variable?: string;
  readonly help: string;
  /** Why it changes nothing here; undefined when it does. */
  readonly noEffect?: string;
}

const portDrivers = ['veth', 'nested', 'vlan', 'sriov'] as const;
const bindingDrivers = ['veth', 'macvlan', 'ipvlan', 'vlan', 'hw_veb'] as const;

const python = 'it is of the Python program only';
const logged = 'Berth writes its log to its output, which systemd keeps';
const repeats = 'Berth repeats by itself what can be repeated without harm';
const oneVersion = 'Neutron has one version of its API, 2.0';

const idle = (name: string, noEffect: string, type: values.ValueType<unknown> = values.text): ConfKey => ({
  name,
  type,
  help: '',
  noEffect,
});

const general: readonly ConfKey[] = [
  {
    name: 'kuryr_uri',
    type: values.url,
    default: 'http://127.0.0.1:23750',
    variable: 'OS_KURYR_URI',
    help: 'Where Docker calls the plugin, when its .spec or .json file says so.',
  },
  {
    name: 'capability_scope',
    type: values.oneOf('local', 'global'),
    default: 'local',
    variable: 'CAPABILITY_SCOPE',
    help: 'The scope of the plugin: `global` for engines with a cluster store, and for swarm.',
  },
  { name: 'local_default_address_space', type: values.text, default: 'no_address_space', help: 'What Docker is told.' },
  {
    name: 'global_default_address_space',
    type: values.text,
    default: 'no_address_space',
    help: 'What Docker is told.',
  },
  {
    name: 'default_port_driver',
    type: values.driver(portDrivers),
    default: 'veth',
    help: 'How a container gets at its port.',
  },
  {
    name: 'enabled_port_drivers',
    type: values.drivers(portDrivers),
    default: 'veth',
    help: 'The ways that may be used.',
  },
  {
    name: 'process_external_connectivity',
    type: values.boolean,
    default: 'True',
    help: 'Opens exposed ports by a security group.',
  },
  { name: 'enable_ssl', type: values.boolean, default: 'False', help: 'Whether `kuryr_uri` is served in TLS.' },
  {
    name: 'ssl_cert_file',
    type: values.path,
    default: '/var/lib/kuryr/certs/cert.pem',
    help: 'The certificate for that.',
  },
  { name: 'ssl_key_file', type: values.path, default: '/var/lib/kuryr/certs/key.pem', help: 'Its key.' },
  {
    name: 'bindir',
    type: values.path,
    default: '/usr/libexec/kuryr',
    help: 'Where executables for kinds of binding are that Berth does not know itself.',
  },
  {
    name: 'subnetpool_name_prefix',
    type: values.text,
    default: 'kuryrPool',
    help: 'How the subnet pools begin that kuryr-libnetwork has made, and that are taken over.',
  },
  { name: 'debug', type: values.boolean, default: 'False', help: 'Logs more.' },
  idle('pybasedir', python),
  idle('port_driver', 'it never had any'),
  idle('deployment_type', 'it never had any'),
  idle('log_config_append', logged),
  idle('log_date_format', logged),
  idle('log_file', logged),
  idle('log_dir', logged),
  idle('watch_log_file', logged, values.boolean),
  idle('use_syslog', logged, values.boolean),
  idle('use_journal', logged, values.boolean),
  idle('syslog_log_facility', logged),
  idle('use_json', logged, values.boolean),
  idle('use_stderr', logged, values.boolean),
  idle('use_eventlog', logged, values.boolean),
  idle('log_rotate_interval', logged),
  idle('log_rotate_interval_type', logged),
  idle('max_logfile_count', logged),
  idle('max_logfile_size_mb', logged),
  idle('log_rotation_type', logged),
  idle('logging_context_format_string', logged),
  idle('logging_default_format_string', logged),
  idle('logging_debug_format_suffix', logged),
  idle('logging_exception_prefix', logged),
  idle('logging_user_identity_format', logged),
  idle('default_log_levels', logged),
  idle('publish_errors', logged, values.boolean),
  idle('instance_format', logged),
  idle('instance_uuid_format', logged),
  idle('rate_limit_interval', logged),
  idle('rate_limit_burst', logged),
  idle('rate_limit_except_level', logged),
  idle('fatal_deprecations', python, values.boolean),
  idle('verbose', logged, values.boolean),
];

/** keystoneauth1/loading: `session.py`, `adapter.py`. They stand in `[neutron]` always. */
const service: readonly ConfKey[] = [
  { name: 'enable_dhcp', type: values.boolean, default: 'True', help: 'Whether subnets that are made have DHCP.' },
  {
    name: 'default_subnetpool_v4',
    type: values.text,
    default: 'kuryr',
    help: 'The pool for networks without --subnet.',
  },
  { name: 'default_subnetpool_v6', type: values.text, default: 'kuryr6', help: 'The same for IPv6.' },
  {
    name: 'vif_plugging_is_fatal',
    type: values.boolean,
    default: 'False',
    help: 'Whether a container starts only when Neutron says that its port is active.',
  },
  {
    name: 'vif_plugging_timeout',
    type: values.wholeNumber(0, 'of seconds'),
    default: '0',
    help: 'How long that is waited for; 0: as long as Docker can be kept waiting.',
  },
  { name: 'region_name', type: values.text, help: "The region of Neutron; without, the catalogue's first." },
  { name: 'endpoint_type', type: values.oneOf(...interfaces), default: 'public', help: 'Which of its URLs is used.' },
  {
    name: 'valid_interfaces',
    type: values.listOf(...interfaces),
    help: 'The same, of which the first is used that there is. Counts before `endpoint_type`.',
  },
  { name: 'endpoint_override', type: values.url, help: 'The URL of Neutron, in place of what the catalogue says.' },
  { name: 'service_type', type: values.text, default: 'network', help: 'What Neutron is called in the catalogue.' },
  { name: 'service_name', type: values.text, help: 'Needed where several are of that type.' },
  { name: 'cafile', type: values.path, help: 'Which authorities are trusted; without, those of the host.' },
  { name: 'certfile', type: values.path, help: 'The certificate that we show.' },
  { name: 'keyfile', type: values.path, help: 'Its key; without, it is in `certfile`.' },
  { name: 'insecure', type: values.boolean, default: 'False', help: "Does not look at the server's certificate." },
  {
    name: 'timeout',
    type: values.wholeNumber(1, 'of seconds'),
    default: '30',
    help: 'How long one call may take. kuryr-libnetwork waits for ever without it.',
  },
  idle('interface', 'kuryr-libnetwork does not read it; write endpoint_type'),
  idle('version', oneVersion),
  idle('min_version', oneVersion),
  idle('max_version', oneVersion),
  idle('connect_retries', repeats),
  idle('connect_retry_delay', repeats),
  idle('status_code_retries', repeats),
  idle('status_code_retry_delay', repeats),
  idle('retriable_status_codes', repeats),
  idle('collect_timing', python, values.boolean),
  idle('split_loggers', python, values.boolean),
  idle('auth_uri', 'it is of the servers of OpenStack; a client reads auth_url'),
  idle('www_authenticate_uri', 'it is of the servers of OpenStack; a client reads auth_url'),
];

/** keystoneauth1/loading/_plugins. They stand in the section that `auth_section` names, and in `[neutron]` without. */
const authentication: readonly ConfKey[] = [
  {
    name: 'auth_type',
    aliases: ['auth_plugin'],
    type: values.text,
    help: 'How we prove who we are: `password`, `v3applicationcredential`, `token`, `none`, `http_basic`, `admin_token`; `v3password` and `v3token` are the same as those without `v3`.',
  },
  { name: 'auth_url', type: values.url, help: 'Keystone. With or without `/v3` at its end.' },
  { name: 'user_id', type: values.text, help: 'Who we are,' },
  { name: 'username', aliases: ['user_name'], type: values.text, help: 'or by name' },
  { name: 'user_domain_id', type: values.text, help: 'within a domain,' },
  { name: 'user_domain_name', type: values.text, help: 'which may be named too.' },
  { name: 'password', type: values.secret, help: '' },
  { name: 'project_id', aliases: ['tenant_id'], type: values.text, help: 'For what: a project,' },
  { name: 'project_name', aliases: ['tenant_name'], type: values.text, help: 'or by name' },
  { name: 'project_domain_id', type: values.text, help: 'within a domain,' },
  { name: 'project_domain_name', type: values.text, help: 'which may be named too;' },
  { name: 'domain_id', type: values.text, help: 'or a whole domain,' },
  { name: 'domain_name', type: values.text, help: 'also by name;' },
  { name: 'system_scope', type: values.oneOf('all'), help: 'or the system;' },
  { name: 'trust_id', type: values.text, help: 'or what was entrusted.' },
  { name: 'default_domain_id', type: values.text, help: 'The domain of user and project, where none is given.' },
  { name: 'default_domain_name', type: values.text, help: 'The same by name.' },
  { name: 'application_credential_id', type: values.text, help: 'An application credential,' },
  { name: 'application_credential_name', type: values.text, help: 'or by name, with the user whose it is.' },
  { name: 'application_credential_secret', type: values.secret, help: 'Its secret.' },
  { name: 'token', type: values.secret, help: 'For `token`, and for `admin_token`.' },
  {
    name: 'endpoint',
    aliases: ['url'],
    type: values.url,
    help: 'Neutron, for `none`, `http_basic` and `admin_token`.',
  },
];

const section: ConfKey = {
  name: 'auth_section',
  type: values.text,
  help: 'Another section, where `auth_type` and all that belongs to it stand.',
};

const binding: readonly ConfKey[] = [
  { name: 'veth_dst_prefix', type: values.text, default: 'eth', help: 'How interfaces are called in a container.' },
  {
    name: 'default_driver',
    aliases: ['driver'],
    type: values.driver(bindingDrivers),
    default: 'veth',
    help: 'How a container in a virtual machine gets at the network.',
  },
  {
    name: 'enabled_drivers',
    type: values.drivers(bindingDrivers),
    default: 'veth',
    help: 'The ways that may be used.',
  },
  {
    name: 'link_iface',
    type: values.text,
    default: '',
    help: 'The interface of the virtual machine, for macvlan, ipvlan and vlan.',
  },
];

export const authenticationKeys = authentication;

/** By section; those of `[neutron]` with what proves who we are. */
export const confSections: Readonly<Record<'DEFAULT' | 'neutron' | 'binding', readonly ConfKey[]>> = {
  DEFAULT: general,
  neutron: [...service, section, ...authentication],
  binding,
};
