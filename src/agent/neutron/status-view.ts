/** What the API of the agent tells of OpenStack. */

/** OpenStack as this host knows it. */
export interface NeutronStatusView {
  /** `binding:host_id`: as the agent of Neutron on this host is called. */
  readonly host: string;
  /** The kuryr.conf that was read. */
  readonly files: readonly string[];
  /** Those that have been asked. */
  readonly services: readonly OpenstackServiceView[];
  /** Of this host, as its records say. */
  readonly ports: number;
  readonly networks: number;
  /** What waits to be removed from Neutron, and why the last of it could not be. */
  readonly waiting: { readonly count: number; readonly problem?: string };
}

export interface OpenstackServiceView {
  readonly name: 'Keystone' | 'Neutron';
  /** `away`: no answer, or from a proxy behind which nobody is. `refuses`: it does not accept who we are. */
  readonly state: 'answers' | 'away' | 'refuses';
  /** ISO 8601. */
  readonly since: string;
  /** When it was last asked. ISO 8601. */
  readonly asked: string;
  readonly problem?: string;
}

/** `neutron`: Neutron could not be asked; `neutron record`: it has no such object any more. */
export type NeutronGarbageKind =
  | 'neutron'
  | 'neutron port'
  | 'neutron subnet'
  | 'neutron floating IP'
  | 'neutron interface'
  | 'neutron group'
  | 'neutron network'
  | 'neutron tag'
  | 'neutron record';
