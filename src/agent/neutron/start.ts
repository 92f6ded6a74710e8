/** Neutron, where a plugin of this host is for it: found and logged in as kuryr.conf says. */

import { BerthError } from '../../model/errors.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Exchange } from '../../openstack/api.ts';
import { describeFinding, type KuryrConf, readKuryrConf } from '../../openstack/conf/kuryr-conf.ts';
import { namedSources } from '../../openstack/conf/sources.ts';
import { openSession, type Session } from '../../openstack/keystone/session.ts';
import { createNeutron } from '../../openstack/neutron/neutron.ts';
import type { Config } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { NestedConfig } from './nested.ts';
import { createReachability } from './reachability.ts';
import { createNeutronService, type NeutronService, type NeutronServiceParts } from './service.ts';

export interface StartNeutronParts
  extends Pick<NeutronServiceParts, 'notes' | 'events' | 'state' | 'now' | 'monotonic'> {
  readonly config: Pick<Config, 'plugins' | 'kuryrConf' | 'neutronMacs' | 'host' | 'gcGrace' | 'auditInterval'>;
  readonly env: NodeJS.ProcessEnv;
  readonly metrics: Pick<Metrics, 'openstackCall' | 'neutron' | 'garbage'>;
  /** See `crashPoints`. */
  crash(session: Session): Session;
}

/** @throws BerthError KURYR_CONF_INVALID */
function nestedOf({ portDriver, binding }: KuryrConf): { nested?: NestedConfig } {
  if (portDriver !== 'nested' && portDriver !== 'vlan') return {};
  const bad = (sentence: string) => new BerthError('KURYR_CONF_INVALID', `[binding] ${sentence}`);
  const { linkInterface: link, driver } = binding;
  if (link === undefined)
    throw bad(`link_iface is missing: default_port_driver = ${portDriver} needs the machine's card`);
  if (portDriver === 'vlan') return { nested: { driver: 'vlan', link } };
  if (driver === 'macvlan' || driver === 'ipvlan') return { nested: { driver, link } };
  throw bad(`default_driver is macvlan or ipvlan with default_port_driver = nested, not ${driver}`);
}

/** Frees what an endpoint held that the engine has forgotten. */
interface EndpointLeases {
  endpointGone(endpoint: { readonly id: EndpointId }): Promise<void>;
}

export interface StartedNeutron extends NeutronService {
  /** The same, and the endpoint's port goes as well. */
  withLeases<Of extends EndpointLeases>(leases: Of): Of;
}

/**
 * Asks nothing of Neutron yet: it may be away, and the agent serves all the same.
 *
 * @returns undefined where no plugin is for Neutron.
 * @throws BerthError KURYR_CONF_INVALID, BAD_CONFIG
 */
export async function startNeutron(parts: StartNeutronParts): Promise<StartedNeutron | undefined> {
  const { config, env, events, metrics } = parts;
  if (!config.plugins.some(({ fabric }) => fabric === 'neutron')) return undefined;
  const { conf, remarks } = readKuryrConf({ env, ...namedSources(config.kuryrConf) });
  for (const remark of remarks) events.emit('neutron.conf', describeFinding(remark));
  const reachability = createReachability({ events, back: () => service.hurry(), now: parts.now });
  const observe = (exchange: Exchange): void => {
    const { service: of, method, template, status, seconds } = exchange;
    metrics.openstackCall(of, method, template, status === undefined ? 'none' : String(status), seconds);
    reachability.observe(exchange);
  };
  const service: NeutronService = await createNeutronService({
    ...parts,
    reachability,
    grace: config.gcGrace,
    interval: config.auditInterval,
    client: createNeutron(parts.crash(openSession({ ...conf.session, observe }))),
    config: {
      host: config.host,
      defaultPools: conf.defaultSubnetPools,
      macs: config.neutronMacs,
      dhcp: conf.enableDhcp,
      interfacePrefix: conf.binding.containerPrefix,
      bindir: conf.bindir,
      ...nestedOf(conf),
      ...(conf.vifPluggingIsFatal && { activation: { timeout: conf.vifPluggingTimeout } }),
      kuryrPools: conf.subnetPoolPrefix,
      files: conf.files,
      opensExposed: conf.processExternalConnectivity,
    },
  });
  metrics.neutron(service.status);
  return {
    ...service,
    withLeases: (leases) => ({
      ...leases,
      async endpointGone(endpoint) {
        await leases.endpointGone(endpoint);
        await service.endpointGone(endpoint.id);
      },
    }),
  };
}
