/** The keys of the agent's configuration, which the help texts and docs/configuration.md are made from. */

import { storeForms } from '../store/location.ts';

export interface ConfigKey {
  /** In the configuration file; the flag is `--<key>`, the variable `BERTH_<KEY>`. */
  readonly key: string;
  readonly values: string;
  readonly default: string;
  readonly help: string;
}

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

export const configKeys: readonly ConfigKey[] = [
  { key: 'state-dir', values: 'folder', default: '/var/lib/berth', help: 'Where the embedded store is kept.' },
  {
    key: 'run-dir',
    values: 'folder',
    default: '/run/berth',
    help: "Where the agent's own socket, berth.sock, is made.",
  },
  {
    key: 'plugin-dir',
    values: 'folder',
    default: '/run/docker/plugins',
    help: 'Where the engine looks for plugin sockets.',
  },
  {
    key: 'spec-dir',
    values: 'folder',
    default: '/usr/lib/docker/plugins',
    help: 'Where the engine looks for .spec and .json files; used with tls-address.',
  },
  {
    key: 'docker',
    values: 'unix:///path or tcp://host:port',
    default: 'unix:///run/docker.sock',
    help: "The engine's API. Never used within a plugin call.",
  },
  {
    key: 'store',
    values: storeForms,
    default: 'sqlite',
    help: 'Where state is kept: berth.db in the state folder, another file, or, for what the hosts of a cluster share, etcd; etcds:// talks to it in TLS.',
  },
  { key: 'etcd-ca', values: 'PEM file', default: 'none', help: 'The authority that signed the certificates of etcd.' },
  { key: 'etcd-cert', values: 'PEM file', default: 'none', help: 'The certificate that we show to etcd.' },
  { key: 'etcd-key', values: 'PEM file', default: 'none', help: 'Its private key.' },
  { key: 'etcd-user', values: 'name', default: 'none', help: 'Who we are to etcd, where it has users.' },
  {
    key: 'etcd-password-file',
    values: 'file',
    default: 'none',
    help: 'A file whose first line is the password of etcd-user.',
  },
  {
    key: 'host',
    values: 'name',
    default: "the machine's host name",
    help: 'What this host is called in the cluster. No two hosts may have the same name.',
  },
  {
    key: 'vtep',
    values: 'IP address, or interface',
    default: 'the address that the default route sends from',
    help: 'Where other hosts send the packets of cluster networks to.',
  },
  {
    key: 'vxlan-port',
    values: '1 to 65535',
    default: '4789',
    help: 'UDP port of VXLAN, the same on all hosts.',
  },
  {
    key: 'uplinks',
    values: 'interfaces, separated by commas',
    default: 'none',
    help: 'The NICs that lead to the VLANs of cluster networks with encap vlan.',
  },
  {
    key: 'api',
    values: 'address:port',
    default: 'none',
    help: "Serve the cluster's API, which netctl talks to, in the agent as well: with it one host needs no etcd and no master for tenants, networks and groups.",
  },
  { key: 'api-tls-cert', values: 'PEM file', default: 'none', help: 'Certificate of the API: serve HTTPS.' },
  { key: 'api-tls-key', values: 'PEM file', default: 'none', help: 'Its private key.' },
  {
    key: 'api-token-file',
    values: 'file',
    default: 'none',
    help: 'Who may do what there; without it, whoever reaches the API.',
  },
  {
    key: 'log-level',
    values: logLevels.join(', '),
    default: 'info',
    help: 'How much is logged to standard error, as JSON lines.',
  },
  {
    key: 'plugins',
    values: 'name=fabric[:scope], separated by commas',
    default: 'berth=cluster,berth-lan=lan,local=lan',
    help: 'The driver names that Docker knows us by; fabric is cluster, lan or neutron, scope local (the default), global, or auto: global on an engine with a cluster store.',
  },
  {
    key: 'bridge',
    values: 'name of a bridge',
    default: 'br0',
    help: 'The bridge of lan networks that name neither a bridge nor a parent.',
  },
  {
    key: 'ovs-database',
    values: 'unix:/path or tcp:address:port',
    default: 'unix:/run/openvswitch/db.sock',
    help: "Where the database of this host's Open vSwitch listens, for lan networks with mode=ovs.",
  },
  {
    key: 'kuryr-conf',
    values: 'files and folders, separated by commas',
    default: 'the first of ~/.kuryr/kuryr.conf, ~/kuryr.conf, /etc/kuryr/kuryr.conf, /etc/kuryr.conf',
    help: 'Where OpenStack is, and who we are there, for plugins of the fabric neutron: a kuryr.conf as it is, or several, of which later ones count. Of a folder, all *.conf.',
  },
  {
    key: 'neutron-macs',
    values: 'engine, neutron',
    default: 'engine',
    help: 'Who chooses the MAC addresses of containers on networks of Neutron. With neutron, ports can be made before there is a container (neutron.warm_ports); a chosen --mac-address then costs two calls more. The engine asks once: restart it after a change.',
  },
  {
    key: 'default-pools',
    values: 'base:length, separated by commas',
    default: '10.201.0.0/16:24,10.202.0.0/15:24',
    help: 'What subnets are cut from when docker network create gives none: each is base:length. IPv6 subnets come from a unique local prefix (RFC 4193) unless a base is given.',
  },
  {
    key: 'tls-address',
    values: 'IP address',
    default: 'none',
    help: 'Listen for the engine on TCP with mutual TLS instead of on unix sockets.',
  },
  { key: 'tls-ca', values: 'PEM file', default: 'none', help: 'The authority that signed both certificates.' },
  { key: 'tls-cert', values: 'PEM file', default: 'none', help: "The agent's certificate." },
  { key: 'tls-key', values: 'PEM file', default: 'none', help: "The agent's private key." },
  { key: 'tls-client-cert', values: 'PEM file', default: 'none', help: 'The certificate that the engine shows.' },
  { key: 'tls-client-key', values: 'PEM file', default: 'none', help: "The engine's private key." },
  {
    key: 'metrics-address',
    values: 'address:port',
    default: 'none',
    help: 'Serve /metrics and /health on TCP too; they are always on the agent socket.',
  },
  {
    key: 'audit-interval',
    values: '1 to 3600 seconds',
    default: '60',
    help: 'How often everything declared is compared with the kernel, besides at kernel events.',
  },
  {
    key: 'gc-grace',
    values: '1 to 86400 seconds',
    default: '30',
    help: 'How long something must be unknown to the engine before it is freed.',
  },
  {
    key: 'linger',
    values: '0 to 3600 seconds',
    default: '5',
    help: 'How long the kernel objects of a network outlive its last endpoint.',
  },
];
