/** Services: one address for all containers whose labels match. */

import { parseAddress } from '../address.ts';
import { contains } from '../prefix.ts';
import { type Config, IPV4, nameField } from './field.ts';
import { type Kind, type Objects, refuse, text, texts } from './kind.ts';
import { networkSubnet } from './network.ts';

export const service: Kind = {
  name: 'serviceLB',
  path: 'serviceLBs',
  summary: 'A service: one address in front of the containers whose labels match.',
  fields: {
    ipAddress: {
      type: 'text',
      pattern: new RegExp(`^(${IPV4})?$`),
      values: 'an IPv4 address, or empty',
      help: 'Its address; empty: the lowest that is free in its network.',
    },
    networkName: nameField('The network that its address is of.'),
    ports: {
      type: 'texts',
      longest: 32,
      values: '80:8080:TCP',
      help: 'Port of the service, of the container, protocol.',
    },
    selectors: { type: 'texts', longest: 512, values: 'key=value', help: 'Labels that a container must have.' },
    serviceName: nameField('Name.', 256),
    tenantName: nameField('Its tenant.'),
  },
  key: ['tenantName', 'serviceName'],
  linkSets: false,
  links: ['Network', 'Tenant'],
  oper: true,
  notInForce: 'services are stored and have an address; no traffic is balanced by them yet',
  check: (config) => {
    if (texts(config, 'selectors').length === 0) refuse('OBJECT_INVALID', 'Invalid selector options');
    const ports = texts(config, 'ports');
    if (ports.length === 0 || !ports.every(isPortMapping)) {
      refuse('OBJECT_INVALID', 'Invalid Port maping . Port format is - Port:TargetPort:Protocol');
    }
    for (const selector of texts(config, 'selectors')) {
      if (/^[^=]+=[^=]*$/.test(selector)) continue;
      refuse('OBJECT_INVALID', `Invalid selector ${selector}. selector format is key1=value1`);
    }
  },
  create: (config, objects) => {
    checkAddress(config, objects);
    return {};
  },
  update: (existing, config, objects) => {
    // The address is leased in the network: another one is another service.
    if (existing.config.networkName !== config.networkName) {
      refuse('OBJECT_IMMUTABLE', 'Cannot change the network of a service after it is created');
    }
    const address = text(config, 'ipAddress');
    if (address !== '' && address !== existing.allocated.vip) {
      refuse('OBJECT_IMMUTABLE', 'Cannot change the address of a service after it is created');
    }
    checkAddress(config, objects);
    return config;
  },
};

/** `80:8080:TCP`; every port is looked at, not only the first, and none of them can be without a colon. */
function isPortMapping(port: string): boolean {
  const match = /^([0-9]{1,5}):([0-9]{1,5}):(tcp|udp)$/i.exec(port);
  return match !== null && [match[1], match[2]].every((number) => Number(number) >= 1 && Number(number) <= 65535);
}

function checkAddress(config: Config, objects: Objects): void {
  const address = parseAddress(text(config, 'ipAddress'));
  if (address === undefined) return;
  const network = objects.get('network', `${text(config, 'tenantName')}:${text(config, 'networkName')}`)!;
  const { hosts, prefix } = networkSubnet(network);
  const usable = hosts !== undefined && address.value >= hosts.first && address.value <= hosts.last;
  if (usable && contains(prefix, address)) return;
  refuse('OBJECT_INVALID', `ip address ${text(config, 'ipAddress')} is not in network ${text(config, 'networkName')}`);
}
