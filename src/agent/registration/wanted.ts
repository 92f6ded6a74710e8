/** Which names there should be on the LANs: decided from the records and from what the engine has told. Pure. */

import type { Service } from '../../dns/mdns/claim.ts';
import { child, type DomainName, nameKey } from '../../dns/name.ts';
import type { DnsPolicy, NamingPolicy } from '../../fabric/fabric.ts';
import { type Address, formatAddress } from '../../model/address.ts';
import type { EndpointId } from '../../model/ids.ts';
import type { Mac } from '../../model/mac.ts';
import type { Endpoint } from '../../model/network.ts';

/** What the engine tells of a container that matters here. */
export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  /** `--hostname`, or the beginning of the id when that was not given. */
  readonly hostName: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An endpoint whose container is to be known by name. */
export interface Named {
  readonly endpoint: Endpoint;
  readonly policy: NamingPolicy;
  /** As a label; other endpoints may want the same. */
  readonly label: string;
  readonly services: readonly Service[];
}

export interface MdnsWish {
  readonly endpoint: EndpointId;
  readonly link: string;
  readonly mac: Mac;
  readonly label: string;
  readonly addresses: readonly Address[];
  readonly services: readonly Service[];
}

export interface DnsWish {
  readonly endpoint: EndpointId;
  readonly policy: DnsPolicy;
  readonly name: DomainName;
  readonly label: string;
  readonly addresses: readonly Address[];
}

const LONGEST_LABEL = 63;

/** What a container is called: by its own host name if it was given one, or else by its name. Undefined when nothing of it can be in a name. */
export function labelOf(container: ContainerFacts): string | undefined {
  const { hostName, id, labels } = container;
  const given = hostName === '' || id.startsWith(hostName) ? undefined : asLabel(hostName.replace(/\..*/s, ''));
  return given ?? composeLabel(container.name, labels) ?? asLabel(container.name);
}

/** The first container of a service is called without its number, as long as the name is the one that Compose has made up. */
function composeLabel(name: string, labels: ContainerFacts['labels']): string | undefined {
  const project = labels['com.docker.compose.project'] ?? '';
  const service = labels['com.docker.compose.service'] ?? '';
  const isMadeUp = [`${project}-${service}-1`, `${project}_${service}_1`].includes(name);
  return project !== '' && service !== '' && isMadeUp ? asLabel(`${project}-${service}`) : undefined;
}

/** Letters, digits and hyphens (RFC 952), in lower case; what is none becomes a hyphen. */
export function asLabel(text: string): string | undefined {
  const label = text
    .toLowerCase()
    .replaceAll(/[^0-9a-z]+/g, '-')
    .replace(/^-/, '')
    .slice(0, LONGEST_LABEL)
    .replace(/-$/, '');
  return label === '' ? undefined : label;
}

const SERVICE = /^(_[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?\._(?:tcp|udp)):([0-9]{1,5})((?:;[!-:<>-~][ -:<-~]*)*)$/i;

/**
 * The services in a label `berth.service`: `_http._tcp:80`, perhaps with `;key=value` of RFC 6763 §6 behind, several with commas
 * between.
 *
 * @returns those that are well formed.
 */
export function servicesOf(labels: ContainerFacts['labels']): readonly Service[] {
  return partsOf(labels).flatMap((part) => serviceOf(part) ?? []);
}

/** What of the label means nothing. */
export function strayServices(labels: ContainerFacts['labels']): readonly string[] {
  return partsOf(labels).filter((part) => serviceOf(part) === undefined);
}

function partsOf(labels: ContainerFacts['labels']): readonly string[] {
  const parts = (labels['berth.service'] ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '');
}

function serviceOf(part: string): Service | undefined {
  const [, type, , port, text] = SERVICE.exec(part) ?? [];
  if (type === undefined || Number(port) < 1 || Number(port) > 65_535) return undefined;
  const strings = (text ?? '').split(';').slice(1);
  if (strings.some((one) => one.length > 255)) return undefined;
  return { type: type.toLowerCase(), port: Number(port), text: strings };
}

export function mdnsWishes(all: readonly Named[]): readonly MdnsWish[] {
  return inOrder(all).flatMap(({ endpoint, policy, label, services }) => {
    const addresses = addressesOf(endpoint);
    if (policy.mdns === undefined || addresses.length === 0) return [];
    return [{ endpoint: endpoint.id, link: policy.mdns.link, mac: endpoint.mac, label, addresses, services }];
  });
}

/**
 * Of several that want one name in a domain, the one that has it keeps it, or else the oldest gets it; the next is called
 * `name-2`, and so on.
 *
 * @param held the name that an endpoint has already.
 */
export function dnsWishes(
  all: readonly Named[],
  held: (endpoint: EndpointId) => DomainName | undefined,
): readonly DnsWish[] {
  const taken = new Map<string, EndpointId>();
  const wishes = new Map<EndpointId, DnsWish>();
  const place = (key: DnsPolicy, name: DomainName): string =>
    `${formatAddress(key.server)} ${key.port} ${nameKey(name)}`;
  const candidates = inOrder(all).flatMap((one) =>
    one.policy.dns === undefined ? [] : [{ ...one, dns: one.policy.dns }],
  );
  const take = (one: (typeof candidates)[number], name: DomainName): boolean => {
    const at = place(one.dns, name);
    if (taken.has(at)) return false;
    taken.set(at, one.endpoint.id);
    wishes.set(one.endpoint.id, {
      endpoint: one.endpoint.id,
      policy: one.dns,
      name,
      label: one.label,
      addresses: addressesOf(one.endpoint),
    });
    return true;
  };
  const fitting = candidates.filter(({ endpoint }) => endpoint.addresses.length > 0);
  for (const one of fitting) {
    const name = held(one.endpoint.id);
    if (name !== undefined && isVariant(name, one.label, one.dns.zone)) take(one, name);
  }
  for (const one of fitting) {
    if (wishes.has(one.endpoint.id)) continue;
    for (let number = 1; number < 1000; number++) {
      const name = numbered(one.label, number, one.dns.zone);
      if (name === undefined || take(one, name)) break;
    }
  }
  return [...wishes.values()];
}

function numbered(label: string, number: number, zone: DomainName): DomainName | undefined {
  const suffix = number === 1 ? '' : `-${number}`;
  return child(label.slice(0, LONGEST_LABEL - suffix.length) + suffix, zone);
}

/** Whether a name is the label's, with a number or without. */
function isVariant(name: DomainName, label: string, zone: DomainName): boolean {
  const number = Number(/^[^.]*-([0-9]{1,3})\./.exec(`${name}.`)?.[1] ?? 1);
  return [1, number].some((one) => {
    const own = numbered(label, one, zone);
    return own !== undefined && nameKey(own) === nameKey(name);
  });
}

const inOrder = (all: readonly Named[]): readonly Named[] =>
  all.toSorted((a, b) => a.endpoint.createdAt - b.endpoint.createdAt || (a.endpoint.id < b.endpoint.id ? -1 : 1));

const addressesOf = ({ addresses }: Endpoint): readonly Address[] => addresses.map(({ address }) => address);
