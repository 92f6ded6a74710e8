/**
 * What docker-network-plugin-local did, for tests of the migration from it: one network, in memory; a pair of links for each
 * container, one end a port of br0. Run on a host: node old-local-plugin.ts SOCKET
 */

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';

const [socket] = process.argv.slice(2);
const ip = (line: string): Buffer => execFileSync('ip', line.split(' '));

interface Body {
  readonly IPv4Data?: readonly { readonly Gateway?: string }[];
  readonly EndpointID?: string;
}

let gateway = '';

function answer(method: string, body: Body): object {
  // Five characters of the endpoint's id, as the old one had them.
  const id = body.EndpointID?.slice(0, 5);
  switch (method) {
    case '/Plugin.Activate':
      return { Implements: ['NetworkDriver'] };
    case '/NetworkDriver.GetCapabilities':
      return { Scope: 'local' };
    case '/NetworkDriver.CreateNetwork':
      gateway = body.IPv4Data![0]!.Gateway!.split('/')[0]!;
      return {};
    case '/NetworkDriver.Join':
      ip(`link add veth${id} type veth peer name ethp${id}`);
      ip(`link set veth${id} master br0 up`);
      return { InterfaceName: { SrcName: `ethp${id}`, DstPrefix: 'eth' }, Gateway: gateway };
    case '/NetworkDriver.DeleteEndpoint':
      ip(`link del veth${id}`);
      return {};
    case '/NetworkDriver.EndpointOperInfo':
      return { Value: {} };
    default:
      return {};
  }
}

const server = createServer((request, response) => {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on('end', () => {
    try {
      response.end(JSON.stringify(answer(request.url!, JSON.parse(text || '{}') as Body)));
    } catch (error) {
      response.end(JSON.stringify({ Err: String(error) }));
    }
  });
});
rmSync(socket!, { force: true });
server.listen(socket, () => process.stdout.write('ready\n'));
