/** Drivers for tests: they record every call, and answer something valid. */

import type { PoolId } from '../../model/ids.ts';
import { parseInterfaceAddress, parsePrefix } from '../../model/prefix.ts';
import type { IpamDriver, NetworkDriver } from '../driver.ts';

export interface FakeDrivers {
  readonly network: NetworkDriver;
  readonly ipam: IpamDriver;
  /** Method and request, without the Call. */
  readonly calls: { readonly method: string; readonly request: unknown }[];
}

/** @param changes methods that behave otherwise; their calls are recorded too. */
export function fakeDrivers(
  changes: { network?: Partial<NetworkDriver>; ipam?: Partial<IpamDriver> } = {},
): FakeDrivers {
  const calls: FakeDrivers['calls'] = [];
  const network: NetworkDriver = {
    scope: () => 'local',
    createNetwork: async () => undefined,
    deleteNetwork: async () => undefined,
    createEndpoint: async () => ({ addresses: [] }),
    deleteEndpoint: async () => undefined,
    join: async () => ({
      sourceName: 'bv0',
      destinationPrefix: 'eth',
      routes: [],
      disableGatewayService: false,
    }),
    leave: async () => undefined,
    ...changes.network,
  };
  const ipam: IpamDriver = {
    addressSpaces: () => ({ local: 'local', global: 'global' }),
    requestPool: async (request) => ({
      id: 'local/10.1.0.0-24' as PoolId,
      subnet: request.subnet ?? parsePrefix('10.1.0.0/24')!,
    }),
    releasePool: async () => undefined,
    requestAddress: async () => parseInterfaceAddress('10.1.0.5/24')!,
    releaseAddress: async () => undefined,
    ...changes.ipam,
  };
  return { network: recording(network, calls), ipam: recording(ipam, calls), calls };
}

function recording<T extends object>(driver: T, calls: FakeDrivers['calls']): T {
  return new Proxy(driver, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...parameters: unknown[]) => {
        const request = parameters.slice(0, -1);
        calls.push({ method: String(name), request: request.length === 1 ? request[0] : request });
        return (member as (...all: unknown[]) => unknown)(...parameters);
      };
    },
  });
}
