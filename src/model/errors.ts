/**
 * The one catalogue of errors. Everything that can go wrong for a user has an entry here: what it is called, what to do
 * next, and which HTTP status the agent's own API answers with. `docs/errors.md` lists the same codes; a test compares.
 */

interface ErrorKind {
  /** HTTP status on the agent's API. Docker's plugin protocol always gets 200 with `Err` and `Error`. */
  readonly status: number;
  /** What the user can do next, as an imperative sentence. */
  readonly next: string;
}

const catalogue = {
  // What was asked for cannot be understood.
  BAD_REQUEST: { status: 400, next: 'Correct the request; docs/protocol.md lists every field.' },
  EMPTY_BODY: { status: 400, next: 'Run the command again: the engine repeated a request without its body.' },
  BODY_TOO_LARGE: { status: 413, next: 'Send at most 1 MiB.' },
  UNKNOWN_METHOD: { status: 404, next: 'Check the path; docs/protocol.md lists every method.' },
  METHOD_NOT_ALLOWED: { status: 405, next: 'Use a method that the path takes; docs/api.md lists them.' },
  BAD_OPTION: { status: 400, next: 'Correct the option; docs/options.md lists every option and its values.' },
  BAD_ADDRESS: { status: 400, next: 'Give an address such as 10.1.0.5 or fd00::5.' },
  BAD_SUBNET: { status: 400, next: 'Give a subnet whose host bits are zero, such as 10.1.0.0/24.' },
  BAD_CONFIG: { status: 400, next: 'Correct the configuration; docs/configuration.md lists every key.' },

  // What was asked for does not exist, or exists already.
  NETWORK_UNKNOWN: { status: 404, next: 'List the networks with: berth network ls' },
  ENDPOINT_UNKNOWN: { status: 404, next: 'List the endpoints with: berth endpoint ls' },
  POOL_UNKNOWN: { status: 404, next: 'List the pools with: berth pool ls' },
  NOT_FOUND: { status: 404, next: 'List what there is with the ls command of the same kind.' },
  CONTAINER_UNKNOWN: { status: 404, next: 'List the containers with: docker ps' },
  ATTACHMENT_UNKNOWN: { status: 404, next: 'List the attachments with: berth attachment ls' },
  NETWORK_EXISTS: { status: 409, next: 'Remove the other network first, or use it.' },
  NETWORK_IN_USE: { status: 409, next: 'Disconnect the containers first: docker network disconnect NETWORK CONTAINER' },
  ENDPOINT_EXISTS: { status: 409, next: 'Remove the other endpoint first.' },
  CONTAINER_STOPPED: { status: 409, next: 'Start the container first: docker start CONTAINER' },
  CONTAINER_UNSUITABLE: { status: 409, next: 'Start the container with a network of its own, such as --network none.' },
  INTERFACE_EXISTS: { status: 409, next: 'Choose another name with --interface, or none: Berth then finds one.' },
  MAC_IN_USE: { status: 409, next: 'Choose another --mac-address, or none.' },

  // The cluster's hosts.
  HOST_UNKNOWN: { status: 404, next: 'List the hosts with: berth host ls' },
  HOST_SILENT: { status: 504, next: 'See which hosts are heard with: berth host ls' },
  HOST_HEARD: {
    status: 409,
    next: 'Only a host that is gone for good is removed; stop its agent first: systemctl disable --now berth',
  },

  // The cluster's objects.
  OBJECT_INVALID: { status: 400, next: 'Correct the request; docs/api.md lists every field.' },
  REFERENCE_UNKNOWN: { status: 400, next: 'Create what is referred to first, or correct its name.' },
  OBJECT_UNKNOWN: { status: 404, next: 'List what there is with: netctl KIND ls' },
  OBJECT_CONFLICT: { status: 409, next: 'Choose what is free, or delete the other object first.' },
  OBJECT_IMMUTABLE: { status: 409, next: 'Delete the object, and create it again as it should be.' },
  OBJECT_IN_USE: { status: 409, next: 'Delete what uses it first.' },
  TAGS_EXHAUSTED: { status: 409, next: 'Delete networks that are not needed, or widen the range: netctl global set' },
  CLUSTER_ABSENT: {
    status: 409,
    next: 'Start the agent with the store that the hosts share: --store etcd://HOST:2379',
  },
  CLUSTER_NOT_READY: { status: 409, next: 'Set what is missing with: netctl global set' },
  REVISION_CHANGED: { status: 412, next: 'Read the object again, and repeat the change with its new ETag.' },
  RACE_LOST: { status: 409, next: 'Try again: others were changing the same at the same time.' },
  TOKEN_MISSING: { status: 401, next: 'Send a token: Authorization: Bearer TOKEN' },
  TOKEN_REFUSED: { status: 401, next: 'Send a token that is in the token file of the master, and has not expired.' },
  BAD_TOKEN_FILE: { status: 500, next: 'Correct the token file of the master; see: berth master --help' },
  TOKEN_READ_ONLY: { status: 403, next: 'Send a token whose role is admin.' },

  // Addresses.
  SUBNET_OVERLAP: { status: 409, next: 'Choose a subnet that is free, or none: Berth then finds one.' },
  ADDRESS_TAKEN: { status: 409, next: 'Choose another --ip, or none: Berth then gives the lowest free address.' },
  ADDRESS_CONFLICT: {
    status: 409,
    next: 'Choose another --ip, or take the address from the other machine; where a router answers for all addresses: -o conflict_check=false',
  },
  ADDRESS_OUTSIDE: { status: 400, next: 'Choose an --ip within the subnet of the network.' },
  ADDRESS_RESERVED: {
    status: 400,
    next: 'Choose another --ip: the network and broadcast addresses are not for hosts.',
  },
  POOL_EXHAUSTED: {
    status: 409,
    next: 'Remove containers that are not needed, or make a network with a larger subnet.',
  },
  NO_FREE_SUBNET: { status: 409, next: 'Give --subnet, or widen default_pools in the configuration.' },

  // The host.
  INTERFACE_UNKNOWN: { status: 404, next: 'List the interfaces of the host with: ip link' },
  OVS_BRIDGE_UNKNOWN: { status: 404, next: 'Make the bridge with: ovs-vsctl add-br BRIDGE' },
  INTERFACE_UNSUITABLE: { status: 409, next: 'Choose another interface; docs/lan.md says what each mode needs.' },
  KERNEL_REFUSED: { status: 500, next: 'Find what the kernel lacks with: berth doctor' },
  KERNEL_LACKS: { status: 501, next: 'Load the kernel module, or choose another mode; see: berth doctor' },
  KERNEL_BUSY: { status: 503, next: 'Try again; if it lasts, see: berth status' },
  CONNECTIVITY_LOST: { status: 409, next: 'Everything was put back. Check the uplink, then try again.' },

  // DHCP.
  DHCP_NO_ANSWER: {
    status: 504,
    next: 'Check that a DHCP server serves that LAN and has free addresses; docs/lan-dhcp.md lists what else can be wrong.',
  },
  DHCP_NO_ADDRESS: {
    status: 409,
    next: 'Make room on the DHCP server: remove machines that are not needed, or widen its range.',
  },
  DHCP_NO_ROUTER: {
    status: 504,
    next: 'Check that a router advertises itself on that LAN; where there is only a DHCPv6 server: -o ipv6=dhcp',
  },
  DHCP_REFUSED: { status: 409, next: "Look into the DHCP server's log: its leases do not fit what is on the LAN." },

  // OpenStack.
  KURYR_CONF_INVALID: { status: 400, next: 'Correct the file; docs/kuryr-conf.md lists every key and its values.' },
  KEYSTONE_REFUSED: {
    status: 502,
    next: 'Correct the user, the password or the application credential, and the project; docs/kuryr-conf.md lists the keys.',
  },
  OPENSTACK_NO_ENDPOINT: {
    status: 502,
    next: 'Correct region_name and endpoint_type, or have the service entered into the catalogue of Keystone.',
  },
  OPENSTACK_UNREACHABLE: {
    status: 503,
    next: 'Check that the API of OpenStack runs and can be reached from this host; containers that run are not affected.',
  },
  OPENSTACK_CERTIFICATE: {
    status: 502,
    next: 'Give the authority that signed the certificate (cafile), and a client certificate where one is asked for (certfile, keyfile).',
  },
  OPENSTACK_TIMEOUT: { status: 504, next: 'Try again; if it lasts, look at the load and the log of that API server.' },
  OPENSTACK_BUSY: { status: 503, next: 'Try again later: the API of OpenStack is overloaded or being started.' },
  OPENSTACK_FAILED: { status: 502, next: 'Look for the request id in the log of that API server.' },
  OPENSTACK_BAD_ANSWER: {
    status: 502,
    next: 'Check that the URL leads to the API itself, and not to a web page, a proxy or another service.',
  },
  NEUTRON_INVALID: { status: 400, next: 'Correct what Neutron names; docs/options.md lists every option.' },
  NEUTRON_DENIED: { status: 403, next: "Grant the right in Neutron's policy, or use a user whose role has it." },
  NEUTRON_NOT_FOUND: {
    status: 404,
    next: 'Check that it exists and is visible to the project of the user: openstack network list',
  },
  NEUTRON_CONFLICT: { status: 409, next: 'Choose what is free, or remove what uses it first.' },
  PORT_UNBOUND: {
    status: 502,
    next: 'See which agents Neutron has on which hosts: openstack network agent list; the host must be called the same there.',
  },
  PORT_UNSUPPORTED: { status: 409, next: 'Use a port of another kind; docs/neutron.md lists those that can be wired.' },
  PORT_INACTIVE: {
    status: 504,
    next: 'Look into the log of Neutron’s agent on this host; with vif_plugging_is_fatal = false nobody waits for it.',
  },
  PORT_PROGRAM_FAILED: {
    status: 502,
    next: 'Correct what the program complains of; it is in the bindir of kuryr.conf, and docs/neutron.md tells what it is given.',
  },
  NEUTRON_AMBIGUOUS: { status: 409, next: 'Name it by its UUID.' },
  NEUTRON_QUOTA: { status: 409, next: 'Remove what is not needed, or have the quota raised: openstack quota show' },
  NEUTRON_CHANGED: { status: 412, next: 'Try again: somebody else changed the same object meanwhile.' },

  // What Berth depends on.
  OVS_UNREACHABLE: {
    status: 503,
    next: 'Start Open vSwitch (systemctl start openvswitch-switch), or say where its database listens: --ovs-database.',
  },
  OVS_REFUSED: { status: 500, next: 'See what Open vSwitch has with: ovs-vsctl show' },
  TIMEOUT: { status: 504, next: 'Try again; if it lasts, see: berth status' },
  STORE_UNAVAILABLE: { status: 503, next: 'Check the disk or the etcd servers; running containers are not affected.' },
  STORE_FULL: { status: 507, next: 'Free disk space; nothing was changed.' },
  STORE_NOT_EMPTY: { status: 409, next: 'Give another prefix or file, or replace what is there with --force.' },
  STORE_DENIED: {
    status: 502,
    next: 'Correct the user, the password or the certificate for etcd, or grant the rights; docs/store.md lists them.',
  },
  TRANSACTION_TOO_LARGE: {
    status: 507,
    next: 'Start etcd with larger limits: --max-request-bytes, --max-txn-ops; nothing was changed.',
  },
  STORE_CORRUPT: {
    status: 500,
    next: 'Restore the file from a backup, or move it away and start again; docs/troubleshooting.md.',
  },
  STORE_NEWER: { status: 500, next: 'Start the version of Berth that wrote the state, or a later one.' },
  STATE_LOCKED: { status: 409, next: 'Stop the other one, or give this one its own --state-dir or prefix in etcd.' },
  ENGINE_REFUSED: { status: 502, next: "Look into the engine's log: journalctl -u docker" },
  ENGINE_UNREACHABLE: { status: 503, next: 'Start Docker, or give its socket with --docker.' },
  AGENT_UNREACHABLE: { status: 503, next: 'Start the agent with: berth agent' },
  SHUTTING_DOWN: { status: 503, next: 'Try again when the agent has restarted.' },
  SOCKET_IN_USE: {
    status: 409,
    next: 'Stop the other program that listens there, or give another folder: --plugin-dir or --run-dir.',
  },
  INTERNAL: {
    status: 500,
    next: 'This is a defect of Berth. Please report it with the output of: berth status --json',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof catalogue;

export const errorCatalogue: Readonly<Record<ErrorCode, ErrorKind>> = catalogue;

/**
 * An error that a user is meant to read: what failed, why, and what to do next. Its `message` is one line and is what
 * Docker shows.
 */
export class BerthError extends Error {
  readonly code: ErrorCode;

  /** @param sentence what failed and why, without a full stop, naming the thing and the value. */
  constructor(code: ErrorCode, sentence: string, options?: { cause?: unknown }) {
    super(sentence.replaceAll(/\s*\n\s*/g, ' '), options);
    this.name = 'BerthError';
    this.code = code;
  }

  get next(): string {
    return catalogue[this.code].next;
  }

  get status(): number {
    return catalogue[this.code].status;
  }
}

/** Any thrown value as a BerthError; what is not one already is a defect and becomes INTERNAL. */
export function asBerthError(thrown: unknown): BerthError {
  if (thrown instanceof BerthError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new BerthError('INTERNAL', reason, { cause: thrown });
}
