/**
 * Whether Docker is waiting for a network to be made. Its pools have no owner until then, and nothing but the network itself says which
 * they are; Neutron may take longer over it than anything may be without an owner.
 */

import type { IpamDriver, NetworkDriver } from '../../docker/driver.ts';

export interface Asking {
  /** The same drivers, of which it is known when they are asked for pools and networks. */
  watched(drivers: { readonly network: NetworkDriver; readonly ipam: IpamDriver }): {
    readonly network: NetworkDriver;
    readonly ipam: IpamDriver;
  };
  /** Milliseconds since the last of these requests was answered; 0 while one is not. */
  quiet(): number;
}

/** @param monotonic milliseconds of a clock that nobody sets. */
export function createAsking(monotonic: () => number): Asking {
  let waiting = 0;
  let answered = Number.NEGATIVE_INFINITY;

  async function during<Result>(work: () => Promise<Result>): Promise<Result> {
    waiting += 1;
    try {
      return await work();
    } finally {
      waiting -= 1;
      answered = monotonic();
    }
  }

  return {
    watched: ({ network, ipam }) => ({
      network: { ...network, createNetwork: (request, call) => during(() => network.createNetwork(request, call)) },
      ipam: { ...ipam, requestPool: (request, call) => during(() => ipam.requestPool(request, call)) },
    }),
    quiet: () => (waiting > 0 ? 0 : monotonic() - answered),
  };
}
