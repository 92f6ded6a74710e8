/** All kinds of objects, and what they refer to: from this table come referential integrity, links, and the API's paths. */

import { aciGateway } from './aci-gateway.ts';
import { appProfile } from './app-profile.ts';
import { bgp } from './bgp.ts';
import { externalContracts } from './external-contracts.ts';
import type { Config, FieldValue } from './field.ts';
import { global } from './global.ts';
import { group } from './group.ts';
import type { ClusterObject, Kind, KindName, Reference } from './kind.ts';
import { netprofile } from './netprofile.ts';
import { network } from './network.ts';
import { policy } from './policy.ts';
import { rule } from './rule.ts';
import { service } from './service.ts';
import { tenant } from './tenant.ts';

const all = [
  aciGateway,
  appProfile,
  bgp,
  group,
  externalContracts,
  global,
  netprofile,
  network,
  policy,
  rule,
  service,
  tenant,
] as const;

export const kinds: ReadonlyMap<KindName, Kind> = new Map(all.map((kind) => [kind.name, kind]));
export const kindsByPath: ReadonlyMap<string, Kind> = new Map(all.map((kind) => [kind.path, kind]));

export function kindOf(name: KindName): Kind {
  return kinds.get(name)!;
}

const name = (object: ClusterObject) => object.key.slice(object.key.lastIndexOf(':') + 1);

/**
 * Of one kind they are in the order in which a new object's are looked for; those to one kind in the order in which the
 * deletion of an object looks for what keeps it.
 */
export const references: readonly Reference[] = [
  {
    from: 'appProfile',
    field: 'tenantName',
    to: 'tenant',
    missing: (tenant) => `Tenant ${tenant} not found`,
    shown: 'Tenant',
    back: 'AppProfiles',
    inUse: (target, by) => `cannot delete ${target.key}, has ${by.length} app profiles`,
  },
  {
    from: 'endpointGroup',
    field: 'tenantName',
    to: 'tenant',
    missing: () => 'Tenant not found',
    shown: 'Tenant',
    back: 'EndpointGroups',
    inUse: (target, by) => `cannot delete ${target.key} has ${by.length} endpoint groups`,
  },
  {
    from: 'policy',
    field: 'tenantName',
    to: 'tenant',
    missing: () => 'Tenant not found',
    shown: 'Tenant',
    back: 'Policies',
    inUse: (target, by) => `cannot delete ${target.key} has ${by.length} policies`,
  },
  {
    from: 'netprofile',
    field: 'tenantName',
    to: 'tenant',
    missing: () => 'Tenant not found',
    shown: 'Tenant',
    back: 'NetProfiles',
    inUse: (target, by) => `Cannot delete ${target.key} has ${by.length} netprofiles`,
  },
  {
    from: 'network',
    field: 'tenantName',
    to: 'tenant',
    missing: () => 'Tenant not found',
    shown: 'Tenant',
    back: 'Networks',
    inUse: (target, by) => `cannot delete ${target.key} has ${by.length} networks`,
  },
  {
    from: 'serviceLB',
    field: 'tenantName',
    to: 'tenant',
    missing: (tenant) => `Tenant ${tenant} not found`,
    shown: 'Tenant',
    back: 'Servicelbs',
    inUse: (target, by) => `cannot delete ${target.key} has ${by.length} services`,
  },
  {
    from: 'extContractsGroup',
    field: 'tenantName',
    to: 'tenant',
    missing: (tenant) => `Tenant ${tenant} not found`,
    inUse: (target, by) => `cannot delete ${target.key} has ${by.length} external contracts groups`,
  },
  {
    from: 'endpointGroup',
    field: 'networkName',
    to: 'network',
    missing: (network) => `Network ${network} not found`,
    shown: 'Network',
    back: 'EndpointGroups',
    inUse: (target, by) => `cannot delete ${name(target)} has ${by.length} endpoint groups`,
  },
  {
    from: 'serviceLB',
    field: 'networkName',
    to: 'network',
    missing: (network) => `Network ${network} not found`,
    shown: 'Network',
    back: 'Servicelbs',
    inUse: (target, by) => `cannot delete ${name(target)} has ${by.length} services`,
  },
  {
    from: 'rule',
    field: 'fromEndpointGroup',
    to: 'endpointGroup',
    missing: () => 'endpoint group not found',
    shown: 'MatchEndpointGroup',
    back: 'MatchRules',
    inUse: (target, by) => `Cannot delete ${name(target)}, matched by rule ${by[0]!.key}`,
  },
  {
    from: 'rule',
    field: 'toEndpointGroup',
    to: 'endpointGroup',
    missing: () => 'endpoint group not found',
    shown: 'MatchEndpointGroup',
    back: 'MatchRules',
    inUse: (target, by) => `Cannot delete ${name(target)}, matched by rule ${by[0]!.key}`,
  },
  {
    from: 'rule',
    field: 'fromNetwork',
    to: 'network',
    missing: () => 'from Network not found',
    inUse: (target, by) => `cannot delete ${name(target)}, matched by rule ${by[0]!.key}`,
  },
  {
    from: 'rule',
    field: 'toNetwork',
    to: 'network',
    missing: () => 'to Network not found',
    inUse: (target, by) => `cannot delete ${name(target)}, matched by rule ${by[0]!.key}`,
  },
  {
    from: 'rule',
    field: 'policyName',
    to: 'policy',
    missing: () => 'Policy not found',
    shown: 'Policies',
    back: 'Rules',
    inUse: 'cascade',
  },
  {
    from: 'endpointGroup',
    field: 'policies',
    to: 'policy',
    missing: () => 'Policy not found',
    shown: 'Policies',
    back: 'EndpointGroups',
    inUse: () => 'Policy is being used',
  },
  {
    from: 'endpointGroup',
    field: 'netProfile',
    to: 'netprofile',
    missing: () => 'netprofile not found',
    shown: 'NetProfile',
    back: 'EndpointGroups',
    inUse: () => 'NetProfile is being used',
  },
  {
    from: 'endpointGroup',
    field: 'extContractsGrps',
    to: 'extContractsGroup',
    missing: (group) => `External contracts group ${group} not found`,
    shown: 'ExtContractsGrps',
    back: 'EndpointGroups',
    inUse: () => 'External contracts group is in-use',
  },
  {
    from: 'appProfile',
    field: 'endpointGroups',
    to: 'endpointGroup',
    missing: (_, key) => `EndpointGroup ${key} not found`,
    shown: 'EndpointGroups',
    back: { link: 'AppProfile' },
    inUse: (target, by) => `Cannot delete ${name(target)}, associated to appProfile ${name(by[0]!)}`,
  },
];

/** The key that the fields of a configuration make. */
export function keyOf(kind: Kind, config: Config): string {
  return kind.key.map((field) => config[field] as string).join(':');
}

/** The names that a field refers by, with the keys that they stand for; names are of the object's own tenant. */
export function targetsOf({ field, to }: Reference, config: Config): { readonly name: string; readonly key: string }[] {
  const value: FieldValue | undefined = config[field];
  const names = typeof value === 'string' ? [value] : ((value ?? []) as readonly string[]);
  return names
    .filter((given) => given !== '')
    .map((given) => ({ name: given, key: to === 'tenant' ? given : `${config.tenantName as string}:${given}` }));
}
