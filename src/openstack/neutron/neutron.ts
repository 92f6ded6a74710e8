/** Neutron's API (https://docs.openstack.org/api-ref/network/v2/), as far as Berth uses it. */

import { z } from 'zod';
import type { Bounds } from '../bounds.ts';
import type { Session } from '../keystone/session.ts';
import {
  type Collection,
  checked,
  collection,
  type Kind,
  type Readable,
  readable,
  segment,
  type Taggable,
  taggable,
} from './collection.ts';
import * as objects from './objects.ts';
import type * as requests from './requests.ts';

/** Every call throws BerthError OPENSTACK_…, KEYSTONE_REFUSED or NEUTRON_…, and takes bounds. */
export interface Neutron {
  /** The aliases of all that this Neutron can do beyond the core, such as `port-security`. */
  extensions(bounds?: Bounds): Promise<ReadonlySet<string>>;
  readonly networks: Collection<objects.Network, requests.NetworkRequest, requests.NetworkRequest> & Taggable;
  readonly subnets: Collection<objects.Subnet, requests.SubnetRequest, requests.SubnetChange> & Taggable;
  readonly subnetPools: Collection<objects.SubnetPool, requests.SubnetPoolRequest, requests.SubnetPoolChange> &
    Taggable;
  readonly ports: Collection<objects.Port, requests.PortRequest, requests.PortChange> & Taggable;
  readonly routers: Collection<objects.Router, requests.RouterRequest, requests.RouterRequest> &
    Taggable &
    RouterInterfaces;
  readonly securityGroups: Collection<
    objects.SecurityGroup,
    requests.SecurityGroupRequest,
    requests.SecurityGroupRequest
  > &
    Taggable;
  /** They can be made and removed, and never changed. */
  readonly securityGroupRules: Omit<
    Collection<objects.SecurityGroupRule, requests.SecurityGroupRuleRequest, never>,
    'update'
  >;
  readonly floatingIps: Collection<objects.FloatingIp, requests.FloatingIpRequest, requests.FloatingIpChange> &
    Taggable;
  /** Of one floating IP. */
  portForwardings(
    floatingIp: string,
  ): Collection<objects.PortForwarding, requests.PortForwardingRequest, Partial<requests.PortForwardingRequest>>;
  readonly qosPolicies: Collection<objects.QosPolicy, requests.QosPolicyRequest, requests.QosPolicyRequest> & Taggable;
  readonly trunks: Collection<objects.Trunk, requests.TrunkRequest, requests.TrunkChange> & Taggable & TrunkSubports;
  readonly agents: Readable<objects.Agent>;
  /** How many objects of each kind a project may have. */
  quota(project: string, bounds?: Bounds): Promise<Readonly<Record<string, number>>>;
  /** The same, and how many it has. Needs the extension `quota_details`. */
  quotaUsage(project: string, bounds?: Bounds): Promise<objects.QuotaUsage>;
  close(): void;
}

interface RouterInterfaces {
  /** By the subnet, whose gateway address it takes, or by a port. */
  addInterface(
    router: string,
    to: { readonly subnet_id: string } | { readonly port_id: string },
    bounds?: Bounds,
  ): Promise<objects.RouterInterface>;
  removeInterface(
    router: string,
    from: { readonly subnet_id: string } | { readonly port_id: string },
    bounds?: Bounds,
  ): Promise<void>;
}

interface TrunkSubports {
  addSubports(trunk: string, subports: readonly requests.SubportRequest[], bounds?: Bounds): Promise<objects.Trunk>;
  removeSubports(trunk: string, ports: readonly string[], bounds?: Bounds): Promise<objects.Trunk>;
}

function kind<Schema extends z.ZodObject>(one: string, schema: Schema, path?: string, many = `${one}s`): Kind<Schema> {
  return { one, many, schema, path: path ?? `/${many.replaceAll('_', '-')}` };
}

const kinds = {
  network: kind('network', objects.networkSchema),
  subnet: kind('subnet', objects.subnetSchema),
  subnetPool: kind('subnetpool', objects.subnetPoolSchema),
  port: kind('port', objects.portSchema),
  router: kind('router', objects.routerSchema),
  securityGroup: kind('security_group', objects.securityGroupSchema),
  securityGroupRule: kind('security_group_rule', objects.securityGroupRuleSchema),
  floatingIp: kind('floatingip', objects.floatingIpSchema),
  qosPolicy: kind('policy', objects.qosPolicySchema, '/qos/policies', 'policies'),
  trunk: kind('trunk', objects.trunkSchema),
  agent: kind('agent', objects.agentSchema),
  extension: kind('extension', objects.extensionSchema),
};

/** A client of Neutron; asks nothing before it is asked. */
export function createNeutron(session: Session): Neutron {
  const both = <Schema extends z.ZodObject, New extends object, Change extends object>(kind: Kind<Schema>) => ({
    ...collection<Schema, New, Change>(session, kind),
    ...taggable(session, kind.path),
  });

  /** These are PUT, and yet a second one is refused. */
  async function act(path: string, body: unknown, bounds: Bounds): Promise<unknown> {
    return (await session.call({ method: 'PUT', path, body, repeatable: false, bounds })).body;
  }

  const router = (id: string, action: string) => `${kinds.router.path}/${segment(id)}/${action}`;
  const trunk = (id: string, action: string) => `${kinds.trunk.path}/${segment(id)}/${action}`;

  async function quotaAt<Value>(path: string, schema: z.ZodType<Value>, bounds: Bounds): Promise<Value> {
    const { body } = await session.call({ method: 'GET', path, bounds });
    return checked(`GET ${path}`, z.object({ quota: z.unknown().pipe(schema) }), body).quota;
  }

  return {
    async extensions(bounds = {}) {
      const found = await readable(session, kinds.extension).list({}, { ...bounds, fields: ['alias'] });
      return new Set(found.map(({ alias }) => alias));
    },
    networks: both(kinds.network),
    subnets: both(kinds.subnet),
    subnetPools: both(kinds.subnetPool),
    ports: both(kinds.port),
    routers: {
      ...both(kinds.router),
      async addInterface(id, to, bounds = {}) {
        const path = router(id, 'add_router_interface');
        return checked(`PUT ${path}`, objects.routerInterfaceSchema, await act(path, to, bounds));
      },
      async removeInterface(id, from, bounds = {}) {
        await act(router(id, 'remove_router_interface'), from, bounds);
      },
    },
    securityGroups: both(kinds.securityGroup),
    securityGroupRules: collection(session, kinds.securityGroupRule),
    floatingIps: both(kinds.floatingIp),
    portForwardings: (floatingIp) =>
      collection(
        session,
        kind(
          'port_forwarding',
          objects.portForwardingSchema,
          `${kinds.floatingIp.path}/${segment(floatingIp)}/port_forwardings`,
        ),
      ),
    qosPolicies: both(kinds.qosPolicy),
    trunks: {
      ...both(kinds.trunk),
      async addSubports(id, subports, bounds = {}) {
        const path = trunk(id, 'add_subports');
        return checked(`PUT ${path}`, objects.trunkSchema, await act(path, { sub_ports: subports }, bounds));
      },
      async removeSubports(id, ports, bounds = {}) {
        const path = trunk(id, 'remove_subports');
        const body = { sub_ports: ports.map((port_id) => ({ port_id })) };
        return checked(`PUT ${path}`, objects.trunkSchema, await act(path, body, bounds));
      },
    },
    agents: readable(session, kinds.agent),
    quota: (project, bounds = {}) => quotaAt(`/quotas/${segment(project)}`, objects.quotaSchema, bounds),
    quotaUsage: (project, bounds = {}) =>
      quotaAt(`/quotas/${segment(project)}/details`, objects.quotaUsageSchema, bounds),
    close: () => session.close(),
  };
}
