/** Names that may stand in a command line, as a master knows them. */

import { connectionFrom } from './connection.ts';
import { credentialsFile, readToken } from './credentials.ts';
import type { Values } from './flags.ts';
import { httpMaster } from './http-master.ts';
import type { Fields, Master } from './master.ts';
import type { Suggestion } from './spec.ts';
import { text } from './text.ts';

/** A shell waits for us with every key, so a master that is slow is asked no longer than this. */
const patience = 500;

export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What else the command line says. */
export interface Asker {
  /** The flags about masters, by netctl's names. */
  readonly globals: Values;
  readonly environment: NodeJS.ProcessEnv;
  /** Empty: the default one. */
  readonly tenant: string;
  /** The arguments before. */
  readonly args: readonly string[];
}

/** @throws MasterFailure when no master answers. */
export async function suggest(suggestion: Suggestion | undefined, asker: Asker): Promise<readonly Candidate[]> {
  if (suggestion === undefined) return [];
  if (typeof suggestion !== 'string') return suggestion.map((value) => ({ value, description: '' }));
  const { globals, environment, tenant, args } = asker;
  const connection = { ...connectionFrom(globals, environment), timeout: patience };
  const master = httpMaster(connection, {
    token: async () => connection.token ?? (await readToken(credentialsFile(environment))),
  });
  try {
    return await objects(suggestion, master, tenant || 'default', args);
  } finally {
    master.close();
  }
}

async function objects(
  kind: Exclude<Suggestion, readonly string[]>,
  master: Master,
  tenant: string,
  args: readonly string[],
): Promise<readonly Candidate[]> {
  const list = async (type: string, name: string, describe: (object: Fields) => string): Promise<Candidate[]> =>
    (await master.list(type, tenant))
      .filter((object) => object.tenantName === undefined || object.tenantName === tenant || type === 'tenants')
      .map((object) => ({ value: text(object, name), description: describe(object) }));
  switch (kind) {
    case 'tenant':
      return list('tenants', 'tenantName', () => 'tenant');
    case 'network':
      return list('networks', 'networkName', (network) => text(network, 'subnet'));
    case 'group':
      return list('endpointGroups', 'groupName', (group) => `group on ${text(group, 'networkName')}`);
    case 'policy':
      return list('policys', 'policyName', () => 'policy');
    case 'rule':
      return (await master.list('rules', tenant))
        .filter((rule) => rule.tenantName === tenant && rule.policyName === args[0])
        .map((rule) => ({
          value: text(rule, 'ruleId'),
          description: [text(rule, 'direction'), text(rule, 'action'), text(rule, 'protocol'), text(rule, 'port')]
            .filter((word) => word !== '')
            .join(' '),
        }));
    case 'netprofile':
      return list('netprofiles', 'profileName', (profile) => text(profile, 'bandwidth'));
    case 'service':
      return list('serviceLBs', 'serviceName', (service) => `service on ${text(service, 'networkName')}`);
    case 'app-profile':
      return list('appProfiles', 'appProfileName', () => 'application profile');
    case 'external-contracts':
      return list('extContractsGroups', 'contractsGroupName', (group) => text(group, 'contractsType'));
    case 'bgp':
      return list('Bgps', 'hostname', (bgp) => text(bgp, 'neighbor'));
  }
}
