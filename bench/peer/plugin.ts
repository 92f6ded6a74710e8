/**
 * The peer: a network and IPAM plugin as most are written, which starts `ip` for each step and remembers nothing. It makes
 * the same thing as Berth does for a container, a veth pair with one end in a bridge, and nothing else: no journal, no
 * packet filter, no audit, no check of what it is asked.
 *
 *   node bench/peer/plugin.ts SOCKET
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ip = (...args: readonly string[]) => run('ip', args);
const short = (id: string) => createHash('sha256').update(id).digest('hex').slice(0, 10);

interface Request {
  readonly NetworkID: string;
  readonly EndpointID: string;
  readonly Pool: string;
  readonly PoolID: string;
  readonly Address: string;
  readonly IPv4Data: readonly { readonly Gateway: string }[];
  readonly Options?: Readonly<Record<string, unknown>>;
}

const gateways = new Map<string, string>();
const used = new Map<string, Set<number>>();
let pools = 0;

/** The lowest free address of a /16. */
function lowest(pool: string): string {
  const taken = used.get(pool) ?? new Set([0, 1]);
  used.set(pool, taken);
  let host = 2;
  while (taken.has(host)) host++;
  taken.add(host);
  const [a, b] = pool.split('.');
  return `${a}.${b}.${host >> 8}.${host & 255}/16`;
}

const methods: Readonly<Record<string, (request: Request) => unknown>> = {
  'Plugin.Activate': () => ({ Implements: ['NetworkDriver', 'IpamDriver'] }),
  'NetworkDriver.GetCapabilities': () => ({ Scope: 'local', ConnectivityScope: 'local' }),
  'NetworkDriver.CreateNetwork': async ({ NetworkID, IPv4Data }) => {
    const bridge = `pb${short(NetworkID)}`;
    const gateway = IPv4Data[0]!.Gateway;
    await ip('link', 'add', bridge, 'type', 'bridge');
    await ip('address', 'add', gateway, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    gateways.set(NetworkID, gateway.replace(/\/.*/, ''));
    return {};
  },
  'NetworkDriver.DeleteNetwork': async ({ NetworkID }) =>
    ip('link', 'delete', `pb${short(NetworkID)}`).then(() => ({})),
  'NetworkDriver.CreateEndpoint': () => ({ Interface: {} }),
  'NetworkDriver.EndpointOperInfo': () => ({ Value: {} }),
  'NetworkDriver.Join': async ({ NetworkID, EndpointID }) => {
    const end = short(EndpointID);
    await ip('link', 'add', `ph${end}`, 'type', 'veth', 'peer', 'name', `pc${end}`);
    await ip('link', 'set', `ph${end}`, 'master', `pb${short(NetworkID)}`);
    await ip('link', 'set', `ph${end}`, 'up');
    return { InterfaceName: { SrcName: `pc${end}`, DstPrefix: 'eth' }, Gateway: gateways.get(NetworkID) };
  },
  'NetworkDriver.Leave': async ({ EndpointID }) => ip('link', 'delete', `ph${short(EndpointID)}`).then(() => ({})),
  'IpamDriver.GetCapabilities': () => ({}),
  'IpamDriver.GetDefaultAddressSpaces': () => ({ LocalDefaultAddressSpace: 'l', GlobalDefaultAddressSpace: 'g' }),
  'IpamDriver.RequestPool': ({ Pool }) => {
    pools += 1;
    const pool = Pool || `10.${100 + pools}.0.0/16`;
    return { PoolID: pool, Pool: pool };
  },
  'IpamDriver.RequestAddress': ({ PoolID, Address, Options }) => {
    if (Options?.RequestAddressType) return { Address: Address ? `${Address}/16` : PoolID.replace('.0.0/', '.0.1/') };
    return { Address: Address ? `${Address}/16` : lowest(PoolID) };
  },
  'IpamDriver.ReleaseAddress': ({ PoolID, Address }) => {
    const [, , third, fourth] = Address.split('.').map(Number);
    used.get(PoolID)?.delete(third! * 256 + fourth!);
    return {};
  },
};

async function answer(path: string, text: string): Promise<unknown> {
  const method = methods[path.slice(1)] ?? (() => ({}));
  return method((text === '' ? {} : JSON.parse(text)) as Request);
}

const server = createServer((request, response) => {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.once('end', () => {
    answer(request.url!, text).then(
      (given) => response.end(JSON.stringify(given)),
      (error: Error) => response.writeHead(500).end(JSON.stringify({ Err: error.message })),
    );
  });
});
server.listen(process.argv[2], () => console.log('ready'));
