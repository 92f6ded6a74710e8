/** An existing /etc/kuryr/kuryr.conf, as it is. */

import { BerthError } from '../../model/errors.ts';
import type { Interface } from '../keystone/catalog.ts';
import type { SessionSettings } from '../keystone/session.ts';
import { oneLine } from '../text.ts';
import { readAuthentication } from './credentials.ts';
import { type Place, sectionName } from './ini.ts';
import { authenticationKeys, confSections } from './keys.ts';
import { createOptions, type Options, type Problem, type Remark, remarksOn } from './options.ts';
import { type ConfSources, readSources } from './sources.ts';

export interface KuryrConf {
  /** The files that it comes from, in the order in which they were read. */
  readonly files: readonly string[];
  readonly uri: string;
  /** Where `uri` is served in TLS. */
  readonly tls: { readonly certfile: string; readonly keyfile: string } | undefined;
  readonly scope: 'local' | 'global';
  readonly localAddressSpace: string;
  readonly globalAddressSpace: string;
  /** `veth`, `nested`, `vlan` or `sriov`. */
  readonly portDriver: string;
  readonly enabledPortDrivers: readonly string[];
  readonly processExternalConnectivity: boolean;
  readonly bindir: string;
  readonly subnetPoolPrefix: string;
  readonly debug: boolean;
  readonly enableDhcp: boolean;
  readonly defaultSubnetPools: { readonly 4: string; readonly 6: string };
  readonly vifPluggingIsFatal: boolean;
  /** Milliseconds; undefined: as long as there is time. */
  readonly vifPluggingTimeout: number | undefined;
  readonly binding: {
    /** How interfaces are called in containers, such as `eth`. */
    readonly containerPrefix: string;
    /** `veth`, `macvlan`, `ipvlan`, `vlan` or `hw_veb`. */
    readonly driver: string;
    readonly enabledDrivers: readonly string[];
    readonly linkInterface: string | undefined;
  };
  /** For `openSession`. */
  readonly session: SessionSettings;
}

export interface KuryrConfReading {
  /** Undefined when there are problems. */
  readonly conf: KuryrConf | undefined;
  readonly problems: readonly Problem[];
  readonly remarks: readonly Remark[];
}

/** Reads it, and tells all that is wrong with it and all that is odd. @throws BerthError KURYR_CONF_INVALID where there is nothing to read. */
export function inspectKuryrConf(sources: ConfSources): KuryrConfReading {
  const { assignments, problems: broken, files, open } = readSources(sources);
  const authSection = assignments.findLast(
    ({ section, key }) => section === 'neutron' && key === 'auth_section',
  )?.value;
  const where = authSection === undefined || authSection === '' ? 'neutron' : sectionName(authSection);
  const sections = { ...confSections, [where]: [...(confSections[where as 'neutron'] ?? []), ...authenticationKeys] };
  const options = createOptions(assignments, sections, sources.env);
  const conf = assemble(options, where, files);
  const problems = [...broken.map((problem) => ({ ...problem, section: '', key: undefined })), ...options.problems];
  const remarks = [...remarksOn(assignments, sections), ...careless(options, where, open)];
  return { conf: problems.length === 0 ? conf : undefined, problems, remarks };
}

/** @throws BerthError KURYR_CONF_INVALID, which names every mistake by file, line, section and key. */
export function readKuryrConf(sources: ConfSources): { readonly conf: KuryrConf; readonly remarks: readonly Remark[] } {
  const { conf, problems, remarks } = inspectKuryrConf(sources);
  if (conf === undefined) throw new BerthError('KURYR_CONF_INVALID', problems.map(describeFinding).join('. '));
  return { conf, remarks };
}

/** A problem or a remark in one line: `/etc/kuryr/kuryr.conf:12: [neutron] auth_url: …`. */
export function describeFinding({ place, section, key, sentence }: Problem | Remark): string {
  const name = [section === '' ? '' : `[${section}]`, key ?? ''].filter((part) => part !== '').join(' ');
  return [place === undefined ? '' : at(place), name, oneLine(sentence, 400)].filter((part) => part !== '').join(': ');
}

function at({ file, line }: Place): string {
  return line === undefined ? `the variable ${file}` : `${file}:${line}`;
}

function assemble(options: Options, where: string, files: readonly string[]): KuryrConf | undefined {
  const general = <Value>(key: string) => options.value<Value>('DEFAULT', key)!;
  const neutron = <Value>(key: string) => options.value<Value>('neutron', key);
  const binding = <Value>(key: string) => options.value<Value>('binding', key)!;
  const ssl = general<boolean>('enable_ssl');
  const certfile = general<string>('ssl_cert_file');
  const keyfile = general<string>('ssl_key_file');
  const plugging = neutron<number>('vif_plugging_timeout') ?? 0;
  const session = readSession(options, where);
  if (session === undefined) return undefined;
  return {
    files,
    uri: general('kuryr_uri'),
    tls: ssl ? { certfile, keyfile } : undefined,
    scope: general('capability_scope'),
    localAddressSpace: general('local_default_address_space'),
    globalAddressSpace: general('global_default_address_space'),
    portDriver: general('default_port_driver'),
    enabledPortDrivers: general('enabled_port_drivers'),
    processExternalConnectivity: general('process_external_connectivity'),
    bindir: general('bindir'),
    subnetPoolPrefix: general('subnetpool_name_prefix'),
    debug: general('debug'),
    enableDhcp: neutron('enable_dhcp')!,
    defaultSubnetPools: { 4: neutron('default_subnetpool_v4')!, 6: neutron('default_subnetpool_v6')! },
    vifPluggingIsFatal: neutron('vif_plugging_is_fatal')!,
    vifPluggingTimeout: plugging === 0 ? undefined : plugging * 1000,
    binding: {
      containerPrefix: binding('veth_dst_prefix'),
      driver: binding('default_driver'),
      enabledDrivers: binding('enabled_drivers'),
      linkInterface: binding<string>('link_iface') || undefined,
    },
    session,
  };
}

function readSession(options: Options, where: string): SessionSettings | undefined {
  const text = (key: string) => options.value<string>('neutron', key) || undefined;
  const complain = (key: string, sentence: string) =>
    options.problems.push({ place: options.given('neutron', key)?.place, section: 'neutron', key, sentence });
  const timeout = options.value<number>('neutron', 'timeout');
  const tls = {
    cafile: text('cafile'),
    certfile: text('certfile'),
    keyfile: text('keyfile'),
    insecure: options.value<boolean>('neutron', 'insecure'),
  };
  const interfaces = options.value<readonly Interface[]>('neutron', 'valid_interfaces') ?? [];
  const type = options.value<Interface>('neutron', 'endpoint_type');
  const endpointOverride = text('endpoint_override');
  if (tls.keyfile !== undefined && tls.certfile === undefined) complain('keyfile', 'it needs certfile as well');
  const authentication = readAuthentication(options, where);
  if (authentication === undefined) return undefined;
  if (authentication.kind !== 'keystone' && authentication.endpoint === undefined && endpointOverride === undefined)
    complain('endpoint_override', 'it is missing: without Keystone nobody says where Neutron is');
  return {
    authentication,
    region: text('region_name'),
    interfaces: interfaces.length > 0 ? interfaces : [type ?? 'public'],
    endpointOverride,
    serviceType: text('service_type'),
    serviceName: text('service_name'),
    tls,
    callLimit: (timeout ?? 30) * 1000,
  };
}

const secrets = authenticationKeys.filter(({ type }) => type.secret === true).map(({ name }) => name);

/** Files that everybody may read, and that hold what nobody should. */
function careless(options: Options, where: string, open: readonly string[]): Remark[] {
  return secrets.flatMap((key): Remark[] => {
    const place = options.given(where, key)?.place;
    if (place === undefined || !open.includes(place.file)) return [];
    const sentence = `everybody on this host can read it: chmod 640 ${place.file}`;
    return [{ place, section: where, key, kind: 'careless', sentence }];
  });
}
