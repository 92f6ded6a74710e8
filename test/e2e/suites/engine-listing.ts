/** What an engine tells of the networks and containers that `engineCalls` makes: by it the agent finds out what nobody told it of. */

import { createServer } from 'node:http';
import type { Host } from '../bed/host.ts';
import type { EngineCalls, EngineContainer, EngineNetwork } from './engine-calls.ts';

interface Known {
  readonly network: EngineNetwork;
  readonly containers: Map<string, EngineContainer>;
}

/** The same engine, which answers at its socket on a host where none runs. It ends with the process of the test. */
export async function listed(host: Host, engine: EngineCalls, plugin: string): Promise<EngineCalls> {
  const known = new Map<string, Known>();
  const shown = ({ network, containers }: Known) => ({
    Id: network.id,
    Name: network.id.slice(0, 12),
    Driver: plugin,
    Scope: 'local',
    IPAM: { Driver: plugin },
    Containers: Object.fromEntries(
      [...containers.values()].map(({ id, mac, addresses }) => {
        const of = (v6: boolean) => addresses.find((one) => one.includes(':') === v6) ?? '';
        return [id, { Name: id, EndpointID: id, MacAddress: mac, IPv4Address: of(false), IPv6Address: of(true) }];
      }),
    ),
  });
  const answers: Readonly<Record<string, () => unknown>> = {
    version: () => ({ ApiVersion: '1.44', MinAPIVersion: '1.24' }),
    info: () => ({ ID: `engine of ${host.name}`, ServerVersion: '28.5.2' }),
    networks: () => [...known.values()].map(shown),
    'containers/json': () => [],
  };
  const server = createServer((request, response) => {
    const path = new URL(request.url!, 'http://engine').pathname.replace(/^\/(v[\d.]+\/)?/, '');
    response.setHeader('content-type', 'application/json');
    // A stream on which nothing comes.
    if (path === 'events') {
      response.flushHeaders();
      return;
    }
    const network = known.get(/^networks\/([0-9a-f]{64})$/.exec(path)?.[1] ?? '');
    const answer = network === undefined ? answers[path]?.() : shown(network);
    if (answer === undefined) response.statusCode = 404;
    response.end(JSON.stringify(answer ?? { message: `no ${path}` }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(host.path('/run/docker.sock'), resolve);
  });
  server.unref();
  return {
    ...engine,
    async createNetwork(wanted) {
      const network = await engine.createNetwork(wanted);
      known.set(network.id, { network, containers: new Map() });
      return network;
    },
    async removeNetwork(network) {
      known.delete(network.id);
      await engine.removeNetwork(network);
    },
    async start(network, wanted) {
      const container = await engine.start(network, wanted);
      known.get(network.id)!.containers.set(container.id, container);
      return container;
    },
    async stop(network, container) {
      known.get(network.id)!.containers.delete(container.id);
      await engine.stop(network, container);
    },
  };
}
