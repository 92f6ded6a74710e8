/**
 * What kuryr-libnetwork leaves behind, where itself is not there: a plugin that answers Docker's calls by making the same objects, in
 * Neutron by its API and in the kernel by hand. No more than migrations need: networks of one IPv4 subnet.
 */

import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Host } from '../host.ts';
import { listenIn } from './listen.ts';
import type { OpenStack } from './openstack.ts';
import type { Resource } from './rest.ts';

type Body = Readonly<Record<string, never>> & {
  readonly NetworkID: string;
  readonly EndpointID: string;
  readonly PoolID: string;
  readonly Pool: string;
  readonly SubPool: string;
  readonly Address: string;
  readonly Options?: Readonly<Record<string, unknown>>;
  readonly IPv4Data?: readonly { readonly Pool: string; readonly Gateway: string }[];
  readonly Interface?: { readonly Address: string; readonly MacAddress: string };
};

const marks = (id: string) => [`kuryr.net.uuid.lh:${id.slice(0, 32)}`, `kuryr.net.uuid.uh:${id.slice(32)}`];

/** Serves the plugin `kuryr` of a host, found as kuryr is by its .spec file. @returns what ends it; all that it made stays. */
export async function startLikeKuryr(host: Host, stack: OpenStack): Promise<() => void> {
  const neutron = stack.as('operator');
  const tag = (kind: string, id: unknown, ...tags: readonly string[]) =>
    neutron.call('PUT', `/${kind}/${String(id)}/tags`, { tags });
  const one = async (path: string): Promise<Resource> => (await neutron.get(path))[0]!;
  const short = (id: string) => id.slice(0, 11);
  const networkOf = (id: string) => one(`/networks?tags=${marks(id).join(',')}`);
  const portOf = (id: string) => one(`/ports?tags=${marks(id).join(',')}`);

  async function createNetwork({ NetworkID: id, Options, IPv4Data }: Body): Promise<object> {
    const generic = (Options?.['com.docker.network.generic'] ?? {}) as Readonly<Record<string, string>>;
    const [{ Pool: cidr, Gateway: gateway }] = IPv4Data as [{ Pool: string; Gateway: string }];
    const existing = generic['neutron.net.uuid'];
    const network = existing ?? (await neutron.post('/networks', { name: `kuryr-net-${id.slice(0, 8)}` })).id;
    await tag('networks', network, ...marks(id), ...(existing ? [`kuryr.net.existing:${id.slice(0, 12)}`] : []));
    const pool = await one(`/subnetpools?name=kuryrPool-${cidr}`);
    const found = (await neutron.get(`/subnets?network_id=${network}`)).find((subnet) => subnet.cidr === cidr);
    const subnet =
      found ??
      (await neutron.post<Resource>('/subnets', {
        name: `kuryr-subnet-${cidr}`,
        network_id: network,
        ip_version: 4,
        cidr,
        subnetpool_id: pool.id,
        gateway_ip: gateway.split('/')[0]!,
      }));
    await tag('subnets', subnet.id, pool.id);
    return {};
  }

  async function requestAddress({ PoolID, Address, Options }: Body): Promise<object> {
    const subnets = await neutron.get(`/subnets?tags=${PoolID}`);
    if (Options?.RequestAddressType === 'com.docker.network.gateway') {
      const { prefixes } = await one(`/subnetpools?id=${PoolID}`);
      return { Address: `${Address}/${(prefixes as string[])[0]!.split('/')[1]}` };
    }
    const subnet = subnets[0]!;
    const known = Address && (await one(`/ports?fixed_ips=subnet_id=${subnet.id}&fixed_ips=ip_address=${Address}`));
    if (known) await tag('ports', known.id, 'kuryr.port.existing');
    const made = async () => {
      const port = await neutron.post('/ports', {
        name: 'kuryr-unbound-port',
        network_id: subnet.network_id,
        fixed_ips: [{ subnet_id: subnet.id, ...(Address && { ip_address: Address }) }],
      });
      await tag('ports', port.id, 'compute:kuryr');
      return port;
    };
    const { fixed_ips: on } = known || (await made());
    return { Address: `${(on as { ip_address: string }[])[0]!.ip_address}/${String(subnet.cidr).split('/')[1]}` };
  }

  async function createEndpoint({ NetworkID, EndpointID: id, Interface }: Body): Promise<object> {
    const network = await networkOf(NetworkID);
    const { Address, MacAddress: mac } = Interface!;
    const ip = Address.split('/')[0]!;
    const ports = await neutron.get(`/ports?network_id=${network.id}&fixed_ips=ip_address=${ip}`);
    const [port] = ports as [Resource];
    await neutron.put(`/ports/${port.id}`, {
      'binding:host_id': host.name,
      device_owner: 'compute:kuryr',
      device_id: id,
      mac_address: mac,
    });
    await tag('ports', port.id, ...(port.tags as string[]), ...marks(id));
    const [tap, end, bridge] = [`tap${short(port.id)}`, `t_c${short(port.id)}`, `brq${short(network.id)}`];
    const there = await host.net(['ip', 'link', 'show', bridge], { check: false });
    if (there.code !== 0) await host.ip(`link add ${bridge} type bridge`, `link set ${bridge} up`);
    await host.ip(
      `link add ${tap} type veth peer name ${end}`,
      `link set ${end} address ${mac} mtu ${String(network.mtu)} up`,
      `link set ${tap} master ${bridge} up`,
    );
    return { Interface: {} };
  }

  const routes: Readonly<Record<string, (body: Body) => Promise<object>>> = {
    'Plugin.Activate': () => Promise.resolve({ Implements: ['NetworkDriver', 'IpamDriver'] }),
    'NetworkDriver.GetCapabilities': () => Promise.resolve({ Scope: 'local' }),
    'IpamDriver.GetCapabilities': () => Promise.resolve({ RequiresMACAddress: true }),
    'IpamDriver.GetDefaultAddressSpaces': () =>
      Promise.resolve({ LocalDefaultAddressSpace: 'no_address_space', GlobalDefaultAddressSpace: 'no_address_space' }),
    'IpamDriver.RequestPool': async ({ Pool, SubPool }) => {
      const cidr = SubPool || Pool;
      const known = await one(`/subnetpools?name=kuryrPool-${cidr}`);
      const wanted = { name: `kuryrPool-${cidr}`, default_prefixlen: cidr.split('/')[1]!, prefixes: [cidr] };
      return { PoolID: (known ?? (await neutron.post('/subnetpools', wanted))).id, Pool: cidr };
    },
    'IpamDriver.RequestAddress': requestAddress,
    'NetworkDriver.CreateNetwork': createNetwork,
    'NetworkDriver.CreateEndpoint': createEndpoint,
    'NetworkDriver.Join': async ({ NetworkID, EndpointID }) => {
      const port = await portOf(EndpointID);
      const { gateway_ip: gateway } = await one(`/subnets?network_id=${(await networkOf(NetworkID)).id}`);
      return {
        InterfaceName: { SrcName: `t_c${short(port.id)}`, DstPrefix: 'eth' },
        Gateway: gateway,
        StaticRoutes: [],
        DisableGatewayService: true,
      };
    },
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const answer = (status: number, body: object) => response.writeHead(status).end(JSON.stringify(body));
      const route = routes[request.url!.slice(1)] ?? (() => Promise.resolve({}));
      route((text === '' ? {} : JSON.parse(text)) as Body).then(
        (body) => answer(200, body),
        (error: unknown) => answer(500, { Err: String(error) }),
      );
    });
  });
  const [listener] = await listenIn(host, '127.0.0.1', [23750]);
  listener!.on('connection', (socket) => server.emit('connection', socket));
  writeFileSync(host.path('/etc/docker/plugins/kuryr.spec'), 'http://127.0.0.1:23750\n');
  return () => {
    listener!.close();
    server.closeAllConnections();
    server.close();
  };
}
